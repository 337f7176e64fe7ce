"""What HaloPSA must allow: the scopes of the API application, cut down by the role of the agent that it logs in as."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

APPLICATION: Final = "Configuration > Integrations > HaloPSA API > the application"
PERMISSIONS: Final = f"{APPLICATION} > Permissions"
ROLES: Final = "Configuration > Agents > Roles"
EVERYTHING: Final = frozenset({"all", "all:standard"})
FRESH: Final = "A token keeps its old rights for up to an hour: restart the workers afterwards."


@dataclass(frozen=True, slots=True)
class Right:
    """One right that a request needs.

    Attributes:
        scope: ``read:contracts``; empty where none is known to be needed.
        module: what the role must allow, in HaloPSA's words.
    """

    scope: str
    module: str

    def of(self, call: str) -> "Right":
        """Return the right that one request needs: to look at what was written, reading is enough."""
        return replace(self, scope=self.scope.replace("edit:", "read:")) if call.startswith("GET ") else self

    def remedy(self, granted: str) -> str:
        """Say how to give the right, after HaloPSA has refused a request for want of it.

        Args:
            granted: the token's scopes.
        """
        if self.scope and granted and not covers(granted, self.scope):
            return f"Tick {self.scope} under {PERMISSIONS}, and name it in PARHELION_HALO_SCOPE."
        level = "Read and Modify" if self.scope.startswith("edit:") else "at least Read Only"
        scope = f" If it has that, tick {self.scope} under {PERMISSIONS}." if self.scope else ""
        return f"Under {ROLES}, give the role of the application's agent {level} for {self.module}.{scope}"


NO_RIGHT: Final = Right("", "what was asked for")
READ_CUSTOMERS: Final = Right("read:customers", "Customers and Users")
READ_TICKETS: Final = Right("read:tickets", "Tickets, those of others and unassigned ones included")
READ_CONTRACTS: Final = Right("read:contracts", "Contracts (Agreements)")
READ_ASSETS: Final = Right("read:assets", "Assets")
READ_INVOICES: Final = Right("read:invoices", "Recurring Invoices")
READ_NOTES: Final = Right("read:crm", "CRM notes")
READ_OPPORTUNITIES: Final = Right("", "Opportunities")
READ_WEBHOOKS: Final = Right("read:webhooks", "Webhooks")
READ_LISTS: Final = Right("", "Configuration lists")
EDIT_CUSTOMERS: Final = Right("edit:customers", "Customers and Users")
EDIT_TICKETS: Final = Right("edit:tickets", "Tickets, with re-assigning and changing the status outside of actions")
EDIT_CONTRACTS: Final = Right("edit:contracts", "Contracts (Agreements)")
EDIT_ASSETS: Final = Right("edit:assets", "Assets")
EDIT_NOTES: Final = Right("edit:crm", "CRM notes")


NEEDED: Final = (
    READ_CUSTOMERS,
    EDIT_CUSTOMERS,
    READ_TICKETS,
    EDIT_TICKETS,
    READ_CONTRACTS,
    EDIT_CONTRACTS,
    READ_ASSETS,
    EDIT_ASSETS,
    READ_INVOICES,
)
WANTED: Final = (READ_NOTES, EDIT_NOTES)
"""What the workflows go on without."""


def covers(granted: str, wanted: str) -> bool:
    """Whether the scopes of a token hold a scope; whether ``edit:…`` lets one read is left to trying.

    Args:
        granted: separated by blanks.
        wanted: one scope.
    """
    given = set(granted.split())
    verb, _, what = wanted.partition(":")
    return bool(given & (EVERYTHING | {wanted})) or (verb == "read" and f"edit:{what}" in given)


def missing_scopes(granted: str, rights: Sequence[Right]) -> list[str]:
    """Name the scopes that the rights need and a token does not hold."""
    return [right.scope for right in rights if not covers(granted, right.scope)]
