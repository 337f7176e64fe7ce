"""What an event says about a client, in the fields of HaloPSA's clients."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from worker.errors import NeedsOperator
from workflows import canonical
from workflows.ensure.hierarchy import Place
from workflows.ensure.ticket import filled_fields
from workflows.halopsa import Halo
from workflows.halopsa.models import Choice, Client
from workflows.policy import Policy
from workflows.policy.parts import CUSTOM_FIELD, FieldValue
from workflows.resolve import LOOKUPS, Entry, chosen

E = TypeVar("E", bound=Entry)


class ClientFields:
    """Finds HaloPSA's entries for what an event says; what HaloPSA does not have is remarked and left out.

    Args:
        halo: HaloPSA.
        client: what the event says.
        policy: the MSP's words for HaloPSA's entries.
        data: the event's data, for the places in the policy's texts.

    Attributes:
        remarks: what could not be set, and why.
    """

    def __init__(self, halo: Halo, client: canonical.Client, policy: Policy, data: Mapping[str, Any]) -> None:
        self._halo, self._client, self._policy, self._data = halo, client, policy, data
        self.remarks: list[str] = []

    async def values(self, place: Place, rows: Sequence[Client]) -> dict[str, Any]:
        """Return the fields by our names; None is not to be set.

        Args:
            place: where the client stands among others.
            rows: all clients.
        """
        client = self._client
        return {
            "website": client.website,
            "notes": client.notes,
            "email": client.email,
            "phone": client.phone,
            "accounts_email": client.billing_email,
            "account_manager_id": await self._account_manager(),
            "group_id": await self._group(place, rows),
            "parent_id": place.parent.id if place.parent else None,
            "invoice_to": place.payer.id if place.payer else None,
            "type_id": await self._type(),
            "relationships": await self._relationships(),
            "payment_terms_days": client.payment_terms_days,
            "tax_number": client.tax_number,
            "currency": client.currency,
            "currency_id": await self._currency(rows),
            "custom_fields": self._custom_fields() or None,
        }

    async def _type(self) -> int | None:
        """Return HaloPSA's customer type."""
        if not self._halo.clients.has("type_id"):
            return None
        wanted = self._policy.clients.customer_type(self._client.type or "")
        found = await self._choose("customer type", wanted, partial(self._halo.lookup, LOOKUPS["customer type"]))
        return int(found.id) if found else None

    async def _account_manager(self) -> int | None:
        clients, agents = self._policy.clients, self._halo.agents.find
        email = self._client.account_manager_email
        found = await self._choose("account manager", clients.account_manager(email), agents) if email else None
        if found is None and clients.default_account_manager is not None:
            found = await self._choose("account manager", clients.default_account_manager, agents)
        return found.id if found else None

    async def _group(self, place: Place, rows: Sequence[Client]) -> int | None:
        """Return the customer group: the event's, the parent's, the policy's, or the one that most clients have."""
        if not self._halo.clients.has("group_id"):
            return None
        named = [self._client.group] if self._client.group else []
        if place.parent is None and self._policy.halopsa.customer_group is not None:
            named.append(str(self._policy.halopsa.customer_group))
        for name in named:
            if found := await self._choose("customer group", name, self._halo.top_levels.find):
                return found.id
        groups = Counter(row.group_id for row in ([place.parent] if place.parent else rows) if row.group_id)
        return min(groups, key=lambda group: (-groups[group], group), default=None)

    async def _relationships(self) -> list[dict[str, str]] | None:
        """Return the customer relationship; only policies that know relationships cost the request for their list."""
        clients = self._policy.clients
        if not (clients.relationships and self._halo.clients.has("relationships")):
            return None
        wanted, number = clients.relationship(self._client.type or ""), LOOKUPS["customer relationship"]
        found = await self._choose("customer relationship", wanted, partial(self._halo.lookup, number))
        return [{"id": str(found.id), "name": found.name}] if found else None

    async def _currency(self, rows: Sequence[Client]) -> int | None:
        """Return the currency; only where clients have currencies of their own is the list of them asked for."""
        wanted = self._client.currency
        if not wanted or not any(row.currency_id for row in rows):
            return None
        found = await self._choose("currency", wanted, self._currencies)
        return found.id if found else None

    async def _currencies(self) -> list[Choice]:
        """The currencies, called by their ISO code where they have one."""
        return [Choice(id=one.id, name=one.code or one.name) for one in await self._halo.currencies.find()]

    def _custom_fields(self) -> dict[str, FieldValue]:
        given = {name: value for name, value in self._client.custom_fields.items() if value is not None}
        unknown = [name for name in given if not CUSTOM_FIELD.fullmatch(name)]
        self.remarks += [f"custom field {name} not set: HaloPSA's names begin with CF" for name in unknown]
        own = {name: value for name, value in given.items() if name not in unknown}
        return {**filled_fields(self._policy.clients.custom_fields, self._data), **own}

    async def _choose(self, what: str, wanted: int | str, entries: Callable[[], Awaitable[Sequence[E]]]) -> E | None:
        """Find an entry that is in use; what is not there, or may not be read, is remarked."""
        try:
            in_use = [entry for entry in await entries() if not getattr(entry, "disabled", False)]
            return chosen(in_use, wanted, what)
        except NeedsOperator as refusal:
            self.remarks.append(f"{what} {wanted} not set: {refusal.what}")
            return None
