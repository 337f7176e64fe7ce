"""What an MSP may want otherwise: the choices that the workflows leave open."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Policy:
    """The business rules of one MSP.

    Attributes:
        order: whether a leaving client becomes inactive before its tickets are closed, or after everything else.
        closed_status: the name of the ticket status that closes.
        note_outcome_id: the outcome of internal notes on tickets; 7 is HaloPSA's built-in "Internal Note".
    """

    order: Literal["inactive-first", "inactive-last"] = "inactive-first"
    closed_status: str = "Closed"
    note_outcome_id: int = 7
