"""What an MSP may want otherwise: the choices that the workflows leave open."""

from pydantic import Field

from workflows.policy.churn import ChurnClient
from workflows.policy.parts import Section

__all__ = ["ChurnClient", "Policy"]


class Policy(Section):
    """The business rules of one MSP; the sections of workflows bear the workflows' names.

    Attributes:
        churn_client: winding a client down.
    """

    churn_client: ChurnClient = Field(default_factory=ChurnClient)
