"""What the sections of the policy are made of."""

import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from workflows.policy.template import check_template

CUSTOM_FIELD: Final = re.compile(r"CF\w+|\d+")


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
NameOrId = Annotated[int | str, BeforeValidator(_name_or_id)]
"""An entry of one of HaloPSA's lists."""
Template = Annotated[str, AfterValidator(check_template)]
"""Text with places that an event fills: ``Onboarding of {client.name}``."""
FieldValue = Annotated[bool | int | float | str, BeforeValidator(_field_value)]
"""What a field of HaloPSA is set to."""
CustomFields = dict[Annotated[str, AfterValidator(_custom_field)], FieldValue]
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

    ticket_type: NameOrId
    summary: Annotated[Template, StringConstraints(strip_whitespace=True, min_length=1)]
    details: Template = ""
    team: NameOrId | None = None
    agent: NameOrId | None = None
    fields: dict[Text, FieldValue] = Field(default_factory=dict)


class OwnTicket(TicketTemplate):
    """A ticket for the MSP's own people.

    Attributes:
        client: the MSP's own client, under which it is opened.
    """

    client: NameOrId
