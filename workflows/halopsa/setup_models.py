"""What HaloPSA's administrators set up and workflows read, where it is more than an entry with a name."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from workflows.halopsa.models import Choice, Code, Id, Row, objects, without_nulls


def allowed_statuses(value: Any) -> list[Any]:
    """Read the status ids out of a ticket type's ``allowed_status``."""
    return [entry.get("status_id") for entry in objects(value)] or value


class LookupValue(Row):
    """One entry of a lookup; its id need not be a number, as a country's."""

    id: Code
    name: str = ""
    lookup_id: Id = 0


class Currency(Choice):
    """A currency with its ISO code."""

    code: str = ""


class Priority(Choice):
    """A priority of one SLA; `id` is the number that tickets take and may come again under another SLA."""

    sla_id: Id = 0
    hidden: bool = False


class TypeField(BaseModel):
    """One field of a ticket type, under HaloPSA's own names.

    Attributes:
        fieldid: the field itself.
        technew: HaloPSA's number for how the field stands for agents on a new ticket.
        techdetail: the same for a ticket that is there.
        fieldinfo: the field as administrators set it up (``mandatory``, ``label``, …).
    """

    fieldid: Id = 0
    fieldname: str = ""
    technew: Id = 0
    techdetail: Id = 0
    fieldinfo: dict[str, Any] = Field(default_factory=dict)

    _without_nulls = model_validator(mode="before")(without_nulls)


class TicketType(Choice):
    """A ticket type and what it asks of its tickets; only a single read has `fields` and `allowed_status_ids`."""

    initial_status_id: Id = 0
    mandatory_fields: bool = False
    children_first: bool = False
    approval_process_id: Id = 0
    allowed_status_ids: Annotated[list[Id], BeforeValidator(allowed_statuses)] = Field(default_factory=list)
    fields: list[TypeField] = Field(default_factory=list)


class CustomField(Choice):
    """A custom field as HaloPSA's administrators set it up: `name` is the API's (CF…), `label` the screen's."""

    label: str = ""
