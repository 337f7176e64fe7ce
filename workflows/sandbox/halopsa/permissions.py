"""Who may do what: the token's scopes, and the role of the agent that the application logs in as."""

from collections.abc import Mapping
from dataclasses import dataclass

from workflows.sandbox.answers import Refused
from workflows.sandbox.faults import Role
from workflows.sandbox.halopsa.reference import API_AGENT, CLOSED_STATUSES, UNASSIGNED_AGENT
from workflows.sandbox.halopsa.store import Record

_EVERYTHING = frozenset({"all", "all:standard", "admin"})
_SCOPE_WORDS = {
    "customers": "customers",
    "users": "customers",
    "tickets": "tickets",
    "opportunities": "sales",
    "contracts": "contracts",
    "invoices": "invoices",
    "assets": "assets",
    "webhooks": "webhooks",
}
_MODULES: Mapping[str, str] = {
    "Client": "customers",
    "Site": "customers",
    "CRMNote": "customers",
    "ExternalLink": "customers",
    "Users": "users",
    "Tickets": "tickets",
    "Actions": "tickets",
    "Opportunities": "opportunities",
    "ClientContract": "contracts",
    "RecurringInvoice": "invoices",
    "Asset": "assets",
    "Webhook": "webhooks",
    "WebhookEvent": "webhooks",
    "Notification": "webhooks",
}
_RANKS: Mapping[str, int] = {"none": 0, "read": 1, "modify": 2}
SCOPES = (
    _EVERYTHING
    | {"offline_access"}
    | {f"{verb}:{word}" for verb in ("read", "edit") for word in {*_SCOPE_WORDS.values(), "crm", "items", "agents"}}
)
"""The scopes that there are; there is no ``read:teams``."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token stands for.

    Attributes:
        scopes: that it was granted for.
        role: the agent's when it was granted: HaloPSA bakes it into the token.
        as_agent: whether the application logs in as an agent at all.
    """

    scopes: frozenset[str]
    role: Role
    as_agent: bool = True


def check_access(grant: Grant, name: str, method: str, *, single: bool) -> None:
    """See to it that the token allows such a request.

    Set-up lists need no scope of their own, but an agent to log in as.

    Args:
        grant: what the token stands for.
        name: the path below ``/api``.
        method: the HTTP method.
        single: whether one record is asked for by its id.

    Raises:
        Refused: with 403, and with 401 for a single contract, whose list is open to everyone.
    """
    module = _MODULES.get(name)
    if not grant.as_agent and (module is None or method != "GET" or module != "customers"):
        raise Refused(status=403)
    if module is None:
        return
    verb, needed = ("read", "read") if method == "GET" else ("edit", "modify")
    if not grant.scopes & (_EVERYTHING | {f"{verb}:{_SCOPE_WORDS[module]}"}):
        raise Refused(status=403)
    if _RANKS[getattr(grant.role, module)] >= _RANKS[needed]:
        return
    if module != "contracts" or method != "GET":
        raise Refused(status=403)
    if single:
        raise Refused(status=401)


def sees(grant: Grant, name: str, record: Record) -> bool:
    """Whether a record exists for the agent: some tickets do not."""
    if name != "Tickets" or record["agent_id"] == API_AGENT:
        return True
    return grant.role.sees_unassigned if record["agent_id"] == UNASSIGNED_AGENT else grant.role.sees_others


def check_ticket_change(grant: Grant, ticket: Record, changes: Record) -> None:
    """See to it that the agent may change a ticket so.

    Raises:
        Refused: with "Record not found" where the ticket does not exist for the agent, else with 403.
    """
    if not sees(grant, "Tickets", ticket):
        raise Refused("Record not found")
    closes = changes.get("status_id", 0) in CLOSED_STATUSES and not ticket["hasbeenclosed"]
    reassigns = changes.get("agent_id", ticket["agent_id"]) != ticket["agent_id"]
    role = grant.role
    if (
        (closes and not role.may_close)
        or (reassigns and not role.may_reassign)
        or (ticket["hasbeenclosed"] and not role.may_edit_closed)
    ):
        raise Refused(status=403)
