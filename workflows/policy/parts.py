"""What the sections of the policy are made of."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Id = Annotated[int, Field(strict=True, ge=1)]
Choice = Id | Text
"""An entry of one of HaloPSA's lists: its id, or its name as HaloPSA shows it."""
Mode = Literal["auto", "approve", "plan"]
"""Whether a run that a webhook starts works at once, after a person has said yes, or only shows what it would write."""


class Section(BaseModel):
    """One table of the policy file: unknown keys are refused, nothing changes once it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")
