"""What an MSP decides about the senders of events."""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, AwareDatetime, Field

from workflows.policy.parts import Section, Text

CANONICAL_FIELD: Final = re.compile(
    r"(deal|client|site|contact|asset)(\.\w+)+|last_service_day|notice_on|reason|reason_code|requested_by|handover_to"
)
SourceName = Literal["standard", "token", "hubspot", "pipedrive", "salesforce", "dynamics", "zoho", "halopsa"]


def _canonical_field(name: str) -> str:
    if not CANONICAL_FIELD.fullmatch(name):
        raise ValueError("must be a field of an event, such as client.website or last_service_day")
    return name


class RecordRule(Section):
    """Which records of a CRM (or of HaloPSA) mean something, decided after they are read.

    Attributes:
        object: the kind of record ("deal", "company", "subscription", "ticket").
        field: the record's field, by the system's own name.
        values: the values that count, as text; for a choice its id or its label.
        pipeline: only records of this pipeline, by id or label; None: of any.
    """

    object: Text
    field: Text
    values: Annotated[tuple[Text, ...], Field(min_length=1)]
    pipeline: Text | None = None


class Source(Section):
    """One sender of events.

    Attributes:
        since: facts from before count as history and start nothing; None: those from before the first start.
        won: when a deal is won; none: when the CRM itself says so.
        churned: when a client has churned; none: never by this source.
        fields: fields of canonical events ("client.website") and the CRM's field that each comes from
            ("company.domain"), where it is not the usual one.
        backfill_hours: how often the sender is asked what did not arrive; None: after outages of the endpoint, and by
            ``parhelion events backfill``.
        silence_hours: after how long without a delivery people are told; None: never.
    """

    since: AwareDatetime | None = None
    won: tuple[RecordRule, ...] = ()
    churned: tuple[RecordRule, ...] = ()
    fields: dict[Annotated[str, AfterValidator(_canonical_field)], Text] = Field(default_factory=dict)
    backfill_hours: float | None = Field(default=None, gt=0)
    silence_hours: float | None = Field(default=None, gt=0)
