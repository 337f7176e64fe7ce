"""What an MSP decides about won deals and the clients that they make."""

import re
from typing import Final, Literal, get_args

from pydantic import Field, model_validator

from workflows.policy.parts import CustomFields, Id, Mode, Section, Sla, Text, TicketTemplate

Kind = Literal["new", "addition", "renewal", "project", "ignore"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


class OnboardClient(Section):
    """Onboarding the client of a won deal.

    Attributes:
        mode: of runs that webhooks start.
        inactive_client: what happens where the client is found by its key but inactive: a person is asked, or it
            becomes active again.
        assets: whether the event's assets are entered.
        welcome_mail: whether contacts whose event asks for it get HaloPSA's welcome e-mail.
        crm_write_back: whether the CRM is told what stands in HaloPSA.
        report_note: whether the run's report is kept as a note on the client.
    """

    mode: Mode = "auto"
    inactive_client: Literal["ask", "reactivate"] = "ask"
    assets: bool = True
    welcome_mail: bool = False
    crm_write_back: bool = False
    report_note: bool = True


class DealRule(Section):
    """Which deals are of a kind. All that is given must match, upper and lower case alike; ``*`` stands for any text.

    Attributes:
        kind: what they are.
        source: the CRM ("hubspot").
        pipeline: the deal's pipeline, as its event has it.
        name: the deal's name.
        type: the CRM's own word for the kind of deal (`deal.kind` of the event).
    """

    kind: Kind
    source: Text | None = None
    pipeline: Text | None = None
    name: Text | None = None
    type: Text | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "DealRule":
        if self.source is self.pipeline is self.name is self.type is None:
            raise ValueError("must give at least one of source, pipeline, name, type")
        return self

    def matches(self, source: str, pipeline: str, name: str, type: str) -> bool:  # noqa: A002 - the rule's own word
        """Whether a deal is of this kind."""
        pairs = ((self.source, source), (self.pipeline, pipeline), (self.name, name), (self.type, type))
        return all(pattern is None or _alike(pattern, text) for pattern, text in pairs)


def _alike(pattern: str, text: str) -> bool:
    parts = (re.escape(part) for part in pattern.casefold().split("*"))
    return re.fullmatch(".*".join(parts), text.strip().casefold(), re.DOTALL) is not None


class DealKind(Section):
    """What a deal of one kind does beside its client. What the event itself says about the contract goes first.

    Attributes:
        contract: a contract is made for the deal, the client's one running contract gets the deal's end, or none is
            touched.
        contract_type_id: HaloPSA's number for the type of contract.
        pdf_template_id: the contract's PDF template.
        billing_period: one of the words of `billing_periods`.
        billing_plan_id: the contract's billing plan.
        sla: the contract's SLA.
        custom_fields: what custom fields of the contract are set to.
        kickoff: the ticket that is opened for the client; None: none.
    """

    contract: Literal["create", "extend", "none"] = "create"
    contract_type_id: Id | None = None
    pdf_template_id: Id | None = None
    billing_period: Text | None = None
    billing_plan_id: Id | None = None
    sla: Sla | None = None
    custom_fields: CustomFields = Field(default_factory=dict)
    kickoff: TicketTemplate | None = None


class ProjectDeal(DealKind):
    """A deal for a project, which by default touches no contract.

    Attributes:
        contract: see `DealKind`.
    """

    contract: Literal["create", "extend", "none"] = "none"


class Deals(Section):
    """What a won deal is. Only a new one makes a client.

    Attributes:
        rules: the first that matches a deal says its kind; without one an event's `deal.kind` counts if it is a kind.
        unmapped: what other deals of a client that HaloPSA knows are; "ask": a person decides. Other deals of unknown
            clients are new.
        new: the client's first deal.
        addition: more for a client.
        renewal: a contract goes on.
        project: work that ends.
    """

    rules: tuple[DealRule, ...] = ()
    unmapped: Kind | Literal["ask"] = "ask"
    new: DealKind = DealKind()
    addition: DealKind = DealKind()
    renewal: DealKind = DealKind()
    project: ProjectDeal = ProjectDeal()

    def kind_of(self, *, source: str, pipeline: str, name: str, type: str) -> Kind | None:  # noqa: A002 - see DealRule
        """Say what a deal is.

        Args:
            source: the CRM.
            pipeline: the deal's pipeline; may be empty.
            name: the deal's name; may be empty.
            type: the event's word for its kind; may be empty.

        Returns:
            None where neither a rule nor the event says.
        """
        matching = [rule.kind for rule in self.rules if rule.matches(source, pipeline, name, type)]
        named = [kind for kind in KINDS if kind == type.strip().casefold()]
        return next(iter(matching + named), None)
