"""What an MSP may want otherwise: the choices that the workflows leave open."""

from datetime import UTC, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from workflows.policy.changes import DealReopened, DepartContact, OnboardContact, ReactivateClient, UpdateClient
from workflows.policy.churn import ChurnClient
from workflows.policy.onboarding import DealKind, Deals, OnboardClient
from workflows.policy.parts import ListedAs, Section, Text
from workflows.policy.quality import DataQuality
from workflows.policy.sources import Source, SourceName
from workflows.policy.tenant import Clients, Contacts, Halopsa, Names, TypeRules

__all__ = ["ChurnClient", "Deals", "OnboardClient", "Policy"]

TypeKey = Annotated[Text, ListedAs("ticket type")]


def _time_zone(name: str) -> str:
    try:
        _zone(name)
    except (LookupError, ValueError, OSError):
        raise ValueError('must be a time zone as "Europe/London"') from None
    return name


def _zone(name: str) -> tzinfo:
    # UTC needs no time zone database, which small container images leave out.
    return UTC if name == "UTC" else ZoneInfo(name)


class Policy(Section):
    """The business rules of one MSP; the sections of workflows bear the workflows' names.

    Attributes:
        time_zone: where a last service day ends, and times of day are meant.
        approval_hours: when a decision that a run asks for is overdue.
        halopsa: how the tenant keeps things.
        names: when two names are one client.
        clients: how a client's data becomes HaloPSA's.
        contacts: how a contact's data becomes HaloPSA's.
        ticket_types: what tickets need, by the type's name or id.
        deals: what a won deal is, and does.
        onboard_client: the client of a won deal.
        churn_client: winding a client down.
        deal_reopened: a won deal that is open again.
        onboard_contact: a new contact.
        depart_contact: a contact that leaves.
        update_client: changed data of a client.
        reactivate_client: a client that comes back.
        data_quality: looking for faults in HaloPSA's data.
        sources: the senders of events.
    """

    time_zone: Annotated[str, AfterValidator(_time_zone)] = "UTC"
    approval_hours: int = Field(default=24, ge=1)
    halopsa: Halopsa = Halopsa()
    names: Names = Names()
    clients: Clients = Clients()
    contacts: Contacts = Contacts()
    ticket_types: dict[TypeKey, TypeRules] = Field(default_factory=dict)
    deals: Deals = Deals()
    onboard_client: OnboardClient = OnboardClient()
    churn_client: ChurnClient = ChurnClient()
    deal_reopened: DealReopened = DealReopened()
    onboard_contact: OnboardContact = OnboardContact()
    depart_contact: DepartContact = DepartContact()
    update_client: UpdateClient = UpdateClient()
    reactivate_client: ReactivateClient = ReactivateClient()
    data_quality: DataQuality = DataQuality()
    sources: dict[SourceName, Source] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _billing_periods_are_known(self) -> "Policy":
        for name, kind in self.deals:
            if isinstance(kind, DealKind) and kind.billing_period not in (None, *self.halopsa.billing_periods):
                raise ValueError(f"deals.{name}.billing_period: must be one of the words of halopsa.billing_periods")
        return self

    @property
    def zone(self) -> tzinfo:
        """The time zone."""
        return _zone(self.time_zone)
