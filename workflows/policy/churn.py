"""What an MSP decides about winding a client down."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from workflows.policy.parts import Agent, Client, Id, Mode, OwnTicket, Section, Status, Team, TicketType


class HandOver(Section):
    """Who gets the tickets that are not closed.

    Attributes:
        team: the team; None leaves it.
        agent: the agent; None leaves them with whom they are.
    """

    team: Team | None = None
    agent: Agent | None = None


class ChurnClient(Section):
    """Winding a client down.

    Attributes:
        mode: of runs that webhooks start.
        order: whether the client becomes inactive before its tickets are closed, or after everything else.
        max_open_tickets: with more open tickets than these a person decides.
        ask_about_children: whether a person decides where other clients belong to this one.
        ask_before_term: whether a person decides where a contract's term is not over and the event gives no last day.
        closed_status: the ticket status that closes.
        note_outcome_id: the outcome of internal notes on tickets; 7 is HaloPSA's built-in "Internal Note".
        closer_agent: who is assigned to tickets that nobody has; None: the agent that signs in. The setting
            ``HALO_CLOSER_AGENT_ID`` goes first.
        keep_types: types of tickets that are handed over instead of closed.
        hand_over: who gets those.
        contracts: whether running contracts end, or are only reported.
        recurring_invoices: whether recurring invoices are only reported, or end.
        final_billing: the ticket for finance; None: finance finds it all in the note on the client.
        reassign_assets_to: the client that assets go to.
        asset_status_id: HaloPSA's number for the status that assets get; None leaves it.
        assets: whether assets are only reported, set inactive, marked for their return, or given to another client.
        rmm_task: the task for people, where the RMM is one.
        rmm: whether what is to be done in the RMM is only reported, a task for people, or told to a webhook (the
            setting ``RMM_WEBHOOK_URL``).
        remove_portal_access: whether contacts lose their access to the portal.
    """

    mode: Mode = "auto"
    order: Literal["inactive-first", "inactive-last"] = "inactive-first"
    max_open_tickets: int = Field(default=1000, ge=0)
    ask_about_children: bool = True
    ask_before_term: bool = True
    closed_status: Status = "Closed"
    note_outcome_id: Id = 7
    closer_agent: Agent | None = None
    keep_types: tuple[TicketType, ...] = ()
    hand_over: HandOver = HandOver()
    contracts: Literal["end", "report"] = "end"
    recurring_invoices: Literal["report", "end"] = "report"
    final_billing: OwnTicket | None = None
    reassign_assets_to: Client | None = None
    asset_status_id: Id | None = None
    assets: Literal["report", "retire", "return", "reassign"] = "report"
    rmm_task: OwnTicket | None = None
    rmm: Literal["report", "task", "webhook"] = "report"
    remove_portal_access: bool = True

    @field_validator("assets")
    @classmethod
    def _assets_can_be_dealt_with(cls, assets: str, so_far: ValidationInfo) -> str:
        needed = {"return": "asset_status_id", "reassign": "reassign_assets_to"}.get(assets)
        return _given(assets, needed, so_far)

    @field_validator("rmm")
    @classmethod
    def _rmm_can_be_dealt_with(cls, rmm: str, so_far: ValidationInfo) -> str:
        return _given(rmm, "rmm_task" if rmm == "task" else None, so_far)


def _given(value: str, needed: str | None, so_far: ValidationInfo) -> str:
    if needed and needed in so_far.data and so_far.data[needed] is None:
        raise ValueError(f"{value!r} needs {needed} beside it")
    return value
