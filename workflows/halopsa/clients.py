"""HaloPSA's clients: found by the CRM's key wherever the dialect keeps it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx

from worker.errors import NeedsOperator
from workflows.halopsa.collection import Collection, Memory
from workflows.halopsa.dialects import Entity
from workflows.halopsa.models import Client
from workflows.halopsa.setup_models import CustomField

INCLUDED = "include_custom_fields"
MEND_KEY = "name a field for the CRM's key in the policy that this HaloPSA lists, then retry the run."


class Clients(Collection[Client]):
    """The clients of a tenant.

    Args:
        http: HaloPSA's API.
        entity: how the dialect calls them.
        memory: the process's remembered lists.
        custom_fields: lists the custom fields of clients.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        entity: Entity[Client],
        memory: Memory,
        custom_fields: Callable[[], Awaitable[list[CustomField]]],
    ) -> None:
        super().__init__(http, entity, memory)
        self._custom_fields = custom_fields

    async def update(self, record_id: int, **values: Any) -> None:
        """Change the given fields of a client; None is left as it is. Notes that hold the key keep it.

        Raises:
            HaloUnavailable: HaloPSA cannot do it now.
            HaloRefused: it refuses.
        """
        shared = self._entity.key is not None and self._entity.key.in_notes
        if shared and ("key" in values) != ("notes" in values):
            known = await self.get(record_id)
            values = {"key": known.key, "notes": known.notes, **values}
        await super().update(record_id, **values)

    async def _rows(self, params: Mapping[str, str]) -> list[dict[str, Any]]:
        if INCLUDED not in params:
            return await super()._rows(params)
        rows = await super()._rows({**params, INCLUDED: await self._field_id(params[INCLUDED])})
        # Older HaloPSAs list no custom fields whatever they are asked: then no key would ever be found.
        if rows and not any("customfields" in row for row in rows):
            raise NeedsOperator("HaloPSA's list of clients does not show custom fields.", mend=MEND_KEY)
        return rows

    async def _field_id(self, name: str) -> str:
        if name.isdecimal():
            return name
        found = [field for field in await self._custom_fields() if field.name.casefold() == name.casefold()]
        if not found:
            raise NeedsOperator(f"HaloPSA has no custom field {name!r} of clients.", mend=MEND_KEY)
        return str(found[0].id)
