"""What an event says otherwise about a client than HaloPSA has it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pydantic import BaseModel, Field

from worker.errors import NeedsOperator, NotYet
from workflows.canonical import KnownClient
from workflows.ensure.hierarchy import find_place
from workflows.halopsa import Halo
from workflows.halopsa.models import Choice, Client
from workflows.matching import named_client
from workflows.policy import Policy
from workflows.policy.parts import CUSTOM_FIELD
from workflows.resolve import LOOKUPS, Entry, chosen

PLAIN: Final[Mapping[str, str]] = {
    "name": "name",
    "website": "website",
    "phone": "phone",
    "email": "email",
    "billing_email": "accounts_email",
    "notes": "notes",
    "tax_number": "tax_number",
    "payment_terms_days": "payment_terms_days",
    "currency": "currency",
}
"""The fields that are taken as they are: the event's name and ours of HaloPSA's."""


class Changes(BaseModel):
    """What is to be changed of a client.

    Attributes:
        fields: by our names: the value before and the value after.
        custom_fields: the same of custom fields.
        main_site_id: the client's main site, where that keeps the telephone number.
        main_site: the same of the main site.
        remarks: what is not changed, and why.
    """

    fields: dict[str, tuple[Any, Any]] = Field(default_factory=dict)
    custom_fields: dict[str, tuple[Any, Any]] = Field(default_factory=dict)
    main_site_id: int = 0
    main_site: dict[str, tuple[Any, Any]] = Field(default_factory=dict)
    remarks: list[str] = Field(default_factory=list)

    @property
    def values(self) -> dict[str, Any]:
        """The client's fields to write."""
        custom = {"custom_fields": _after(self.custom_fields)} if self.custom_fields else {}
        return _after(self.fields) | custom

    @property
    def site_values(self) -> dict[str, Any]:
        """The main site's fields to write."""
        return _after(self.main_site)


async def find_changes(halo: Halo, client_id: int, client: KnownClient, policy: Policy, *, late: bool) -> Changes:
    """Compare a client with what an event says about it; what the event does not give stays as it is.

    Args:
        halo: HaloPSA.
        client_id: the client.
        client: what the event says.
        policy: which fields may change, and the MSP's words for HaloPSA's entries.
        late: whether a later event was there first: then only what HaloPSA has nothing for is filled in.
    """
    known = await halo.clients.get(client_id)
    wishes = Wishes(halo, client, policy)
    fields = {name: value for name, value in (await wishes.fields(known)).items() if halo.clients.has(name)}
    custom, phone = wishes.custom_fields(), wishes.site_phone if known.main_site_id else {}
    site = await halo.sites.get(known.main_site_id) if phone else None
    comparison = _Comparison(late, wishes.remarks)
    return Changes(
        fields=_key(known, client)
        | comparison.differing({name: (getattr(known, name), value) for name, value in fields.items()}),
        custom_fields=comparison.differing({name: (known.custom_fields.get(name), custom[name]) for name in custom}),
        main_site_id=site.id if site else 0,
        main_site=comparison.differing({name: (site.phone, phone[name]) for name in phone} if site else {}),
        remarks=wishes.remarks,
    )


@dataclass(frozen=True, slots=True)
class _Comparison:
    late: bool
    remarks: list[str]

    def differing(self, pairs: Mapping[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
        """Pick what is to be changed; HaloPSA gives some numbers as text."""
        changes = {name: pair for name, pair in pairs.items() if str(pair[0]) != str(pair[1])}
        kept = [name for name, (before, _) in changes.items() if self.late and before not in (None, "", 0)]
        self.remarks.extend(f"{name} stays as it is: a later event was there first" for name in kept)
        return {name: pair for name, pair in changes.items() if name not in kept}


def _key(known: Client, client: KnownClient) -> dict[str, tuple[Any, Any]]:
    """Give a client whose key the CRM has merged away the key of the one that is left, however late that is told."""
    merged = client.id and known.key != client.id and known.key in client.merged_ids
    return {"key": (known.key, client.id)} if merged else {}


def _after(changes: Mapping[str, tuple[Any, Any]]) -> dict[str, Any]:
    return {name: after for name, (_, after) in changes.items()}


class Wishes:
    """What an event wants a client's fields to be; what HaloPSA has no entry for is remarked and left out.

    Args:
        halo: HaloPSA.
        client: what the event says.
        policy: which fields may change, and the MSP's words for HaloPSA's entries.

    Attributes:
        remarks: what cannot be set, and why.
    """

    def __init__(self, halo: Halo, client: KnownClient, policy: Policy) -> None:
        self._halo, self._policy = halo, policy
        self._said = client.model_dump(include=client.model_fields_set & set(policy.update_client.fields))
        self._client = client
        self.remarks: list[str] = []

    async def fields(self, known: Client) -> dict[str, Any]:
        """Return the fields by our names.

        Args:
            known: the client as HaloPSA has it.
        """
        wanted = {ours: self._said[name] for name, ours in PLAIN.items() if name in self._said}
        if wanted.get("name", known.name) != known.name and await self._is_taken(wanted["name"], known):
            self.remarks.append(f"name {wanted.pop('name')!r} not set: another client has it")
        wanted |= await self._entries()
        if {"parent_id", "invoice_to"} & self._said.keys():
            wanted |= await self._place(known)
        return wanted

    def custom_fields(self) -> dict[str, Any]:
        """Return the custom fields by HaloPSA's names for them."""
        given = self._said.get("custom_fields", {}) if self._halo.clients.has("custom_fields") else {}
        unknown = [name for name in given if not CUSTOM_FIELD.fullmatch(name)]
        self.remarks += [f"custom field {name} not set: HaloPSA's names begin with CF" for name in unknown]
        return {name: value for name, value in given.items() if name not in unknown and value is not None}

    @property
    def site_phone(self) -> dict[str, str]:
        """The telephone number, where HaloPSA keeps it with the main site."""
        kept_with_client = self._halo.clients.has("phone")
        return {"phone": self._said["phone"]} if "phone" in self._said and not kept_with_client else {}

    async def _entries(self) -> dict[str, int]:
        """Return what HaloPSA keeps as entries of its lists."""
        halo, clients, said = self._halo, self._policy.clients, self._said
        types = partial(halo.lookup, LOOKUPS["customer type"])
        wanted: list[tuple[str, str, int | str, Callable[[], Awaitable[Sequence[Entry]]]]] = []
        if email := said.get("account_manager_email"):
            wanted.append(("account_manager_id", "account manager", clients.account_manager(email), halo.agents.find))
        if word := said.get("type"):
            wanted.append(("type_id", "customer type", clients.customer_type(word), types))
        if group := said.get("group"):
            wanted.append(("group_id", "customer group", group, halo.top_levels.find))
        if currency := said.get("currency"):
            wanted.append(("currency_id", "currency", currency, self._currencies))
        found = {ours: await self._entry(ours, what, name, entries) for ours, what, name, entries in wanted}
        return {ours: entry for ours, entry in found.items() if entry is not None}

    async def _entry(
        self, ours: str, what: str, wanted: int | str, entries: Callable[[], Awaitable[Sequence[Entry]]]
    ) -> int | None:
        if not self._halo.clients.has(ours):
            return None
        try:
            in_use = [entry for entry in await entries() if not getattr(entry, "disabled", False)]
            return int(chosen(in_use, wanted, what).id)
        except NeedsOperator as refusal:
            self.remarks.append(f"{what} {wanted} not set: {refusal.what}")
            return None

    async def _currencies(self) -> list[Choice]:
        """The currencies, called by their ISO code where they have one."""
        return [Choice(id=one.id, name=one.code or one.name) for one in await self._halo.currencies.find()]

    async def _place(self, known: Client) -> dict[str, int]:
        """Return the client's parent and who pays for it; 0 = itself."""
        named = self._client.model_copy(
            update={
                "id": self._client.id or known.key,
                "name": self._client.name or known.name,
                "parent_id": self._said.get("parent_id"),
                "invoice_to": self._said.get("invoice_to"),
            }
        )
        try:
            place = find_place(await self._halo.clients.find(), named, known.id)
        except (NeedsOperator, NotYet) as trouble:
            self.remarks.append(f"hierarchy not set: {trouble.what}")
            return {}
        parent = {"parent_id": place.parent.id} if place.parent else {}
        return {**parent, "invoice_to": place.payer.id if place.payer else 0}

    async def _is_taken(self, name: str, known: Client) -> bool:
        return any(row.id != known.id for row in named_client(await self._halo.clients.find(), name))
