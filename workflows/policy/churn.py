"""What an MSP decides about winding a client down."""

from typing import Literal

from pydantic import Field

from workflows.policy.parts import Choice, Id, Mode, Section


class ChurnClient(Section):
    """Winding a client down.

    Attributes:
        mode: of runs that webhooks start.
        order: whether the client becomes inactive before its tickets are closed, or after everything else.
        max_open_tickets: with more open tickets than these, a person decides.
        closed_status: the ticket status that closes.
        note_outcome_id: the outcome of internal notes on tickets; 7 is HaloPSA's built-in "Internal Note".
    """

    mode: Mode = "auto"
    order: Literal["inactive-first", "inactive-last"] = "inactive-first"
    max_open_tickets: int = Field(default=1000, ge=0)
    closed_status: Choice = "Closed"
    note_outcome_id: Id = 7
