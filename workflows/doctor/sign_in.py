"""Whether Parhelion gets into HaloPSA, as whom, and with which rights."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import httpx

from workflows.doctor.examination import LATER, Check, Verdict, persistently
from workflows.doctor.patient import Patient
from workflows.doctor.rights import APPLICATION, FRESH, NEEDED, PERMISSIONS, READ_LISTS, WANTED, missing_scopes
from workflows.halopsa import Halo, HaloForbidden, HaloRefused, HaloUnavailable
from workflows.halopsa.dialects import UNASSIGNED_AGENT_ID
from workflows.halopsa.models import Agent

SIGN_IN: Final = "the sign-in"
CREDENTIALS: Final = (
    f"Compare PARHELION_HALO_CLIENT_ID and PARHELION_HALO_CLIENT_SECRET with {APPLICATION}, which must be one for "
    "client credentials; a lost secret is replaced by a new one there."
)
UNREACHED: Final = (
    "Check PARHELION_HALO_URL (without /api) and PARHELION_HALO_AUTH_URL, this machine's name resolution and proxy, "
    "and HaloPSA's status."
)
NO_TOKEN: Final = (
    f"{LATER} An unknown tenant is answered with a server error, a wrong address with a page: compare "
    f"PARHELION_HALO_TENANT, PARHELION_HALO_URL and PARHELION_HALO_AUTH_URL with {APPLICATION}."
)
LOG_IN_AS: Final = (
    f"Under {APPLICATION}, set the login type to Agent and choose the agent to log in as, one that is not disabled. "
    f"{FRESH}"
)


async def sign_in(patient: Patient) -> Verdict:
    """Get a token for the scopes of the settings."""
    try:
        await persistently(_ask_for_token, patient.halo)
    except HaloUnavailable as error:
        unreached = isinstance(error.__cause__, httpx.TransportError | TimeoutError)
        return Verdict("fails", error.reason, UNREACHED if unreached else NO_TOKEN)
    except HaloForbidden as error:
        return await _refused_sign_in(patient, error)
    return Verdict("ok", "HaloPSA answers and gives a token")


async def token(patient: Patient) -> Verdict:
    """Look on with a token for the scopes that HaloPSA allows, where it refuses others."""
    try:
        await persistently(_ask_for_token, patient.halo)
    except (HaloUnavailable, HaloForbidden):
        return Verdict("skipped", "without a token nothing more can be looked at: see sign-in")
    return Verdict("ok", f"a token for: {patient.granted or patient.scope}")


async def agent(patient: Patient) -> Verdict:
    """Look whom the application logs in as."""
    try:
        me = await signed_in_agent(patient.halo)
    except HaloForbidden as error:
        return Verdict("fails", error.what, LOG_IN_AS)
    except HaloRefused as error:
        return Verdict("warning", f"HaloPSA does not say whom the application logs in as: {error.what}", LOG_IN_AS)
    if me is None or me.id == UNASSIGNED_AGENT_ID:
        return Verdict("fails", "the application logs in as no agent", LOG_IN_AS)
    if me.disabled:
        return Verdict("fails", f"the application logs in as {me.name} ({me.id}), who is disabled", LOG_IN_AS)
    return Verdict("ok", f"signed in as {me.name} ({me.id})")


async def signed_in_agent(halo: Halo) -> Agent | None:
    """Find the agent that the application logs in as.

    Raises:
        HaloRefused: HaloPSA does not say.
        HaloUnavailable: it cannot be asked now.
    """
    agents = await halo.signed_in.find()
    return agents[0] if agents else None


async def scopes(patient: Patient) -> Verdict:
    """Compare the token's scopes with those that the workflows' requests need."""
    granted = patient.granted or patient.scope
    needed, wanted = missing_scopes(granted, NEEDED), missing_scopes(granted, WANTED)
    if not needed and not wanted:
        return Verdict("ok", f"granted: {granted}")
    missing = ", ".join(needed + wanted)
    mend = f"Tick {missing} under {PERMISSIONS}, and name them in PARHELION_HALO_SCOPE. {FRESH}"
    return Verdict("fails" if needed else "warning", f"granted: {granted}; missing: {missing}", mend)


SIGN_IN_CHECKS: Final[Sequence[Check[Patient]]] = (
    Check("sign-in", sign_in, ("every workflow",), needs=()),
    Check("token", token, ("every workflow",), needs=()),
    Check("scopes", scopes, ("every workflow",)),
    Check("agent", agent, ("every workflow",), READ_LISTS),
)


async def _ask_for_token(halo: Halo) -> None:
    """Sign in.

    Raises:
        HaloForbidden: the sign-in is refused.
        HaloUnavailable: HaloPSA gives no token now.
    """
    try:
        await halo.signed_in.find()
    except HaloRefused as refusal:
        if refusal.call == SIGN_IN:
            raise
    except HaloUnavailable as error:
        # Any other answer than to the sign-in means that there is a token.
        if "sign-in" in error.reason:
            raise


async def _refused_sign_in(patient: Patient, error: HaloForbidden) -> Verdict:
    if error.status == HTTPStatus.NOT_FOUND:
        return Verdict("fails", error.what, UNREACHED)
    if "scope" not in error.text.casefold():
        return Verdict("fails", error.what, CREDENTIALS)
    allowed = await _allowed_scopes(patient)
    refused = [scope for scope in patient.scope.split() if scope not in allowed]
    patient.sign_in_for(" ".join(allowed) or patient.scope)
    return Verdict("fails", f"{error.what} Refused: {', '.join(refused)}", _mend_scopes(refused))


async def _allowed_scopes(patient: Patient) -> list[str]:
    """Ask for one scope at a time: of several, one refuses them all and is not named."""
    asked = patient.scope.split()
    if len(asked) == 1:
        asked = [right.scope for right in NEEDED + WANTED]
    allowed = []
    for scope in asked:
        patient.sign_in_for(scope)
        try:
            await _ask_for_token(patient.halo)
        except HaloForbidden:
            continue
        allowed.append(scope)
    return allowed


def _mend_scopes(refused: Sequence[str]) -> str:
    needed = " ".join(right.scope for right in NEEDED + WANTED)
    return (
        f"Tick {', '.join(refused)} under {PERMISSIONS}; if HaloPSA knows no such scope, take it out of "
        f"PARHELION_HALO_SCOPE. The workflows need no more than: {needed}"
    )
