"""What HaloPSA says when it refuses, what it means, and how to mend it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Meaning = Literal["invalid", "forbidden", "not found", "conflict"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refusal that is known by its words.

    Attributes:
        words: a part of HaloPSA's text, in lower case.
        meaning: what kind of refusal it is, whatever its status.
        mend: what to do about it.
    """

    words: str
    meaning: Meaning
    mend: str


# The first five are the client-management guide's, with its resolutions; the others were seen in live tenants.
REFUSALS: Final[Sequence[Refusal]] = (
    Refusal("name is required", "invalid", "Client must have a name. Give the record one where the event comes from."),
    Refusal("invalid client_id", "invalid", "Parent client doesn't exist. Check which client the record belongs to."),
    Refusal("duplicate email", "conflict", "Contact email already in use. Find out whose it is in HaloPSA."),
    Refusal(
        "client not found", "not found", "Verify client ID: the client may be deleted, or hidden from the API agent."
    ),
    Refusal("cannot delete", "conflict", "Deactivate instead."),
    Refusal(
        "please assign this ticket",
        "invalid",
        "Name the agent who closes tickets that nobody is assigned to, or assign the ticket; then retry the run.",
    ),
    Refusal(
        "record not found",
        "not found",
        "Check that the record exists and that the API agent may see it, with its ticket type and client; then retry.",
    ),
    Refusal(
        "requires a json array", "invalid", "This is a fault of Parhelion: HaloPSA takes arrays only. Please report it."
    ),
    Refusal(
        "please select a valid",
        "invalid",
        "Check that client, site and contact exist and belong together, and are not inactive; then retry the run.",
    ),
    Refusal(
        "an outcome must be entered", "invalid", "Name an outcome for notes in the policy that HaloPSA has; then retry."
    ),
    Refusal("ticket_id must be specified", "invalid", "This is a fault of Parhelion. Please report it."),
    Refusal(
        "do not have access",
        "forbidden",
        "Give the API agent's role access to this action or module in HaloPSA; then retry the run.",
    ),
    Refusal(
        "invalid advanced search", "invalid", "HaloPSA does not search by this field. Name another one in the policy."
    ),
    Refusal("child", "invalid", "Close the tickets under this one in HaloPSA first; then retry the run."),
    Refusal(
        "approv",
        "invalid",
        "Have the approval decided in HaloPSA, or withdraw it; then retry the run or skip the step.",
    ),
    Refusal("cab members", "invalid", "Have the approval decided in HaloPSA; then retry the run or skip the step."),
    Refusal(
        "mandatory",
        "invalid",
        "Fill in the field in HaloPSA, or give its value in the policy for this type; then retry.",
    ),
    Refusal("default client", "invalid", "Move the ticket to its own client in HaloPSA first; then retry the run."),
)


def known_refusal(text: str) -> Refusal | None:
    """Find what is known of a refusal by HaloPSA's words."""
    said = text.casefold()
    return next((refusal for refusal in REFUSALS if refusal.words in said), None)
