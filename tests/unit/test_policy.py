"""The policy file is read whole or refused whole, its defaults are safe, and a run's policy can be kept."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from workflows.policy import Policy
from workflows.policy.file import BadPolicy, key_path, load_policy, parse_policy, restore_policy
from workflows.policy.onboarding import Deals
from workflows.policy.template import filled


def problems(text: str) -> dict[str, str]:
    """What is wrong with a policy file, by key."""
    with pytest.raises(BadPolicy) as refused:
        parse_policy(text)
    return {problem.key: problem.text for problem in refused.value.problems}


def kind(deals: Deals, *, source: str = "hubspot", pipeline: str = "", name: str = "", type: str = "") -> str | None:  # noqa: A002 - the rule's own word
    return deals.kind_of(source=source, pipeline=pipeline, name=name, type=type)


def test_the_defaults_ask_nobody_and_destroy_nothing() -> None:
    policy = Policy()

    assert {policy.onboard_client.mode, policy.churn_client.mode} == {"auto"}
    assert policy.halopsa.external_key == "ref"
    assert policy.deals.unmapped == "ask"
    assert policy.onboard_client.inactive_client == "ask"
    assert not policy.onboard_client.welcome_mail
    assert policy.churn_client.order == "inactive-first"
    assert policy.churn_client.max_open_tickets == 1000
    assert policy.churn_client.closed_status == "Closed"
    assert policy.churn_client.recurring_invoices == "report"
    assert policy.churn_client.assets == "report"
    assert policy.zone is UTC


def test_what_a_file_does_not_say_stays_as_it_is() -> None:
    policy = parse_policy('[churn_client]\norder = "inactive-last"\n')

    assert policy == Policy(churn_client=Policy().churn_client.model_copy(update={"order": "inactive-last"}))
    assert policy.model_fields_set == {"churn_client"}


def test_all_problems_are_named_at_once_with_their_keys() -> None:
    found = problems(
        """
        time_zone = "Europe/Atlantis"
        timezone = "UTC"
        [halopsa]
        external_key = "name"
        address_lines = ["line1", "city", "city", ""]
        [clients.custom_fields]
        Tier = "Gold"
        [[deals.rules]]
        kind = "upsell"
        pipelines = "Sales"
        [[deals.rules]]
        kind = "new"
        [ticket_types."Service Request"]
        close_fields = {CFReason = "{client name}", CFOther = []}
        [churn_client]
        mode = "manual"
        closed_status = 0
        keep_types = ["Incident", ""]
        max_open_tickets = -1
        assets = "return"
        rmm = "task"
        final_billing = {summary = ""}
        [sources.hubspot]
        since = 2026-01-01T00:00:00
        fields = {website = "domain"}
        churned = [{object = "company", field = "lifecyclestage", values = []}]
        [sources.hubspt]
        """
    )

    assert set(found) == {
        "time_zone",
        "timezone",
        "halopsa.external_key",
        "halopsa.address_lines",
        "clients.custom_fields.Tier",
        "deals.rules[0].kind",
        "deals.rules[0].pipelines",
        "deals.rules[1]",
        'ticket_types."Service Request".close_fields.CFReason',
        'ticket_types."Service Request".close_fields.CFOther',
        "churn_client.mode",
        "churn_client.closed_status",
        "churn_client.keep_types[1]",
        "churn_client.max_open_tickets",
        "churn_client.assets",
        "churn_client.rmm",
        "churn_client.final_billing.client",
        "churn_client.final_billing.ticket_type",
        "churn_client.final_billing.summary",
        "sources.hubspot.since",
        "sources.hubspot.fields.website",
        "sources.hubspot.churned[0].values",
        "sources.hubspt",
    }
    assert "did you mean time_zone?" in found["timezone"]
    assert "did you mean pipeline?" in found["deals.rules[0].pipelines"]
    assert found["churn_client.mode"] == "must be 'auto', 'approve' or 'plan'"
    assert found["churn_client.assets"] == "'return' needs asset_status_id beside it"
    assert found["churn_client.final_billing.client"] == "is required"


def test_the_keys_of_a_place_are_those_of_its_section_even_if_a_name_looks_like_one() -> None:
    found = problems("[ticket_types.closed_status]\nstatus = 9\n")

    assert found["ticket_types.closed_status.status"].endswith(
        "(the keys here: open_fields, close_fields, closed_status)"
    )


def test_a_file_that_is_no_toml_says_where() -> None:
    with pytest.raises(BadPolicy, match=r"is not TOML.*line 1"):
        parse_policy("mode = auto")


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_policy(None) == Policy()

    (tmp_path / "parhelion.toml").write_text("approval_hours = 4\n")
    assert load_policy(None).approval_hours == 4


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(BadPolicy, match="cannot be read"):
        load_policy(tmp_path / "missing.toml")


def test_a_policy_comes_back_from_its_json() -> None:
    policy = parse_policy(
        """
        time_zone = "Europe/London"
        [churn_client]
        keep_types = [25, "Offboarding"]
        [contacts.custom_fields]
        201 = 4.5
        CFBuyer = true
        [data_quality]
        at = 07:30:00
        [sources.hubspot]
        since = 2026-01-01T00:00:00Z
        """
    )

    assert restore_policy(policy.model_dump_json()) == policy
    assert policy.contacts.custom_fields == {"201": 4.5, "CFBuyer": True}
    assert policy.sources["hubspot"].since == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_recorded_policy_of_another_version_is_still_read() -> None:
    policy = restore_policy('{"approval_hours": 2, "gone": 1, "churn_client": {"order": "inactive-last", "gone": 1}}')

    assert policy.approval_hours == 2
    assert policy.churn_client.order == "inactive-last"


@pytest.mark.parametrize(
    ("pipeline", "name", "type", "expected"),
    [
        ("Renewals", "Acme", "", "renewal"),
        ("default", "Acme [EU], RENEWAL 2027", "new", "renewal"),
        ("default", "Acme", "existingbusiness", "addition"),
        ("default", "Acme", "New", "new"),
        ("default", "Acme renewal", "new", "new"),
        ("default", "Acme", "newbusiness", None),
        ("Renewals 2", "Acme", "", None),
    ],
)
def test_the_first_rule_that_matches_says_what_a_deal_is(pipeline: str, name: str, type: str, expected: str) -> None:  # noqa: A002 - the rule's own word
    deals = parse_policy(
        """
        [[deals.rules]]
        kind = "ignore"
        source = "pipedrive"
        [[deals.rules]]
        kind = "renewal"
        pipeline = "renewals"
        [[deals.rules]]
        kind = "renewal"
        name = "*[EU]*renewal*"
        [[deals.rules]]
        kind = "addition"
        source = "hubspot"
        type = "existing*"
        """
    ).deals

    assert kind(deals, pipeline=pipeline, name=name, type=type) == expected
    assert kind(deals, source="pipedrive", pipeline=pipeline, name=name, type=type) == "ignore"


def test_a_text_is_filled_from_the_event() -> None:
    data = {"client": {"name": "Acme", "custom_fields": {"tier": 1}}, "deal": {"lines": [1]}, "reason": None}

    assert filled("{client.name}: {client.custom_fields.tier}{reason}{deal.lines}{deal.name}!", data) == "Acme: 1!"


def test_a_text_reaches_nothing_but_the_event() -> None:
    assert filled("{client.name.__class__}{client.__class__}", {"client": {"name": "Acme"}}) == ""


def test_keys_are_written_as_the_file_has_them() -> None:
    assert key_path(["ticket_types", "Service Request", "fields", "[key]"]) == 'ticket_types."Service Request".fields'


def test_a_kind_of_deal_keeps_its_defaults_where_the_file_says_something_else() -> None:
    deals = parse_policy('[deals.project]\nsla = "Standard"\n').deals

    assert (deals.project.contract, deals.renewal.contract) == ("none", "create")


def test_a_billing_period_needs_halopsas_number() -> None:
    with pytest.raises(BadPolicy, match=r"^deals.new.billing_period: must be one of the words"):
        parse_policy('[deals.new]\nbilling_period = "weekly"\n')


def test_the_crms_words_become_halopsas_whatever_their_case() -> None:
    clients = parse_policy(
        """
        [clients]
        account_managers = {"Jane@crm.example" = "jane@msp.example"}
        types = {Vendor = 5}
        default_type = "vendor"
        """
    ).clients

    assert clients.account_manager("jane@CRM.example") == "jane@msp.example"
    assert clients.account_manager("omar@crm.example") == "omar@crm.example"
    assert [clients.customer_type(word) for word in ("VENDOR", "Partner", "")] == [5, "Partner", 5]
    assert clients.relationship("") == "vendor"


def test_legal_forms_and_domains_are_written_as_people_write_them() -> None:
    names = parse_policy('[names]\nlegal_forms = ["Ltd.", "S.A."]\nshared_domains = ["GMail.com"]\n').names

    assert (names.legal_forms, names.shared_domains) == (("ltd", "sa"), ("gmail.com",))
