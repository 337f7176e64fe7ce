"""The page about the policy file is complete and true."""

import json
import re
from collections.abc import Iterator
from datetime import time
from pathlib import Path
from typing import Any

import pytest

from workflows.policy import Policy, changes, churn, onboarding, quality, sources, tenant
from workflows.policy.file import parse_policy
from workflows.policy.onboarding import Deals
from workflows.policy.parts import OwnTicket, Section

PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")
SECTIONS: dict[str, type[Section]] = {
    "Top level": Policy,
    "`[halopsa]`": tenant.Halopsa,
    "`[names]`": tenant.Names,
    "`[clients]`": tenant.Clients,
    "`[contacts]`": tenant.Contacts,
    '`[ticket_types."NAME"]`': tenant.TypeRules,
    "`[deals]`": Deals,
    "`[[deals.rules]]`": onboarding.DealRule,
    "`[deals.new]`, `[deals.addition]`, `[deals.renewal]`, `[deals.project]`": onboarding.DealKind,
    "`[onboard_client]`": onboarding.OnboardClient,
    "`[churn_client]`": churn.ChurnClient,
    "`[churn_client.hand_over]`": churn.HandOver,
    "`[deal_reopened]`": changes.DealReopened,
    "`[onboard_contact]`": changes.OnboardContact,
    "`[depart_contact]`": changes.DepartContact,
    "`[update_client]`": changes.UpdateClient,
    "`[reactivate_client]`": changes.ReactivateClient,
    "Tickets": OwnTicket,
    "`[data_quality]`": quality.DataQuality,
    "`[sources.NAME]`": sources.Source,
    "`[[sources.NAME.won]]`, `[[sources.NAME.churned]]`": sources.RecordRule,
}


def test_the_documented_example_is_valid() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)

    assert parse_policy(example).deals.renewal.contract == "extend"


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_key_is_documented_with_its_default(heading: str) -> None:
    (text,) = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", PAGE, re.DOTALL | re.MULTILINE)
    documented = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", text, re.MULTILINE))

    assert documented == {name: default for name, default in defaults(SECTIONS[heading]) if default is not None}


def defaults(section: type[Section]) -> Iterator[tuple[str, str | None]]:
    """Each key's default as the page writes it; None for a key that is a section of its own."""
    for name, field in section.model_fields.items():
        default = field.get_default(call_default_factory=True)
        is_section = isinstance(default, Section) or name in {"ticket_types", "sources"}
        yield name, "required" if field.is_required() else None if is_section else written(default)


def written(value: Any) -> str:
    if value is None:
        return "\N{EN DASH}"
    if isinstance(value, tuple) and len(value) > 10:
        return f"`[{', '.join(map(json.dumps, value[:3]))}, …]`"
    if isinstance(value, dict):
        return f"`{{{', '.join(f'{key} = {one}' for key, one in value.items())}}}`"
    return f"`{value}`" if isinstance(value, time) else f"`{json.dumps(value)}`"
