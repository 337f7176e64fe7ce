"""What the sections of the policy are made of."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from workflows.policy.template import check_template

CUSTOM_FIELD: Final = re.compile(r"CF\w+|\d+")


ListName = Literal[
    "agent",
    "client",
    "custom field of clients",
    "customer group",
    "customer type",
    "customer relationship",
    "SLA",
    "ticket status",
    "team",
    "ticket type",
]


@dataclass(frozen=True, slots=True)
class ListedAs:
    """Marks what stands in one of HaloPSA's lists.

    Attributes:
        name: what an entry of the list is.
    """

    name: ListName


def _name_or_id(value: Any) -> int | str:
    if isinstance(value, str) and value.strip():
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise ValueError("must be a name as HaloPSA shows it, or an id (a whole number from 1)")


def _custom_field(name: str) -> str:
    if not CUSTOM_FIELD.fullmatch(name):
        raise ValueError("must be a custom field's name, which begins with CF, or its id")
    return name


def _field_value(value: Any) -> bool | int | float | str:
    if isinstance(value, str):
        return check_template(value)
    if isinstance(value, bool | int | float):
        return value
    raise ValueError("must be a text, a number, true or false")


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Id = Annotated[int, Field(strict=True, ge=1)]
Listed = BeforeValidator(_name_or_id)
Agent = Annotated[int | str, Listed, ListedAs("agent")]
"""Somebody who works in HaloPSA, by name, e-mail address or id; entries of the other lists are called by name or id."""
Client = Annotated[int | str, Listed, ListedAs("client")]
CustomerGroup = Annotated[int | str, Listed, ListedAs("customer group")]
CustomerType = Annotated[int | str, Listed, ListedAs("customer type")]
Relationship = Annotated[int | str, Listed, ListedAs("customer relationship")]
Sla = Annotated[int | str, Listed, ListedAs("SLA")]
Status = Annotated[int | str, Listed, ListedAs("ticket status")]
Team = Annotated[int | str, Listed, ListedAs("team")]
TicketType = Annotated[int | str, Listed, ListedAs("ticket type")]
Template = Annotated[str, AfterValidator(check_template)]
"""Text with places that an event fills: ``Onboarding of {client.name}``."""
FieldValue = Annotated[bool | int | float | str, BeforeValidator(_field_value)]
"""What a field of HaloPSA is set to."""
CustomField = Annotated[str, AfterValidator(_custom_field)]
CustomFields = dict[CustomField, FieldValue]
"""HaloPSA's custom fields by name (``CFTier``) or id (``"201"``)."""
Mode = Literal["auto", "approve", "plan"]
"""Whether a run that a webhook starts works at once, after a person's yes, or only shows what it would write."""


class Section(BaseModel):
    """One table of the policy file: unknown keys are refused, and nothing changes once it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TicketTemplate(Section):
    """A ticket that Parhelion opens.

    Attributes:
        ticket_type: its type.
        summary: its headline.
        details: its text.
        team: who gets it; None leaves it to HaloPSA.
        agent: who in the team; None leaves it to HaloPSA.
        fields: further fields by HaloPSA's names, custom ones included.
    """

    ticket_type: TicketType
    summary: Annotated[Template, StringConstraints(strip_whitespace=True, min_length=1)]
    details: Template = ""
    team: Team | None = None
    agent: Agent | None = None
    fields: dict[Text, FieldValue] = Field(default_factory=dict)


class OwnTicket(TicketTemplate):
    """A ticket for the MSP's own people.

    Attributes:
        client: the MSP's own client, under which it is opened.
    """

    client: Client
