"""Settings that are each well formed but cannot serve stop the start, all named at once."""

import pytest

from worker.assemble.checks import check_web, check_worker
from worker.settings import BadSettings, read_settings

HALO = {"PARHELION_HALO_URL": "https://halo.example", "PARHELION_HALO_CLIENT_ID": "x"}
HALO |= {"PARHELION_HALO_CLIENT_SECRET": "y"}
CHANNEL = {
    "PARHELION_CHANNEL_ZOHO": "1000000068001",
    "PARHELION_PUBLIC_URL": "https://hooks.msp.example",
    "PARHELION_WEBHOOK_SECRET_ZOHO": "zoho-s3cret",
    "PARHELION_ZOHO_CLIENT_ID": "app",
    "PARHELION_ZOHO_CLIENT_SECRET": "s",
    "PARHELION_ZOHO_REFRESH_TOKEN": "r",
}


def test_what_is_set_for_a_source_that_there_is_not_is_named() -> None:
    settings = read_settings(
        {
            "PARHELION_WEBHOOK_SECRET_HUBSPOTT": "x",
            "PARHELION_ALLOWED_ADDRESSES_PIPEDRIV": "10.0.0.0/8",
            "PARHELION_ACCOUNTS_SALESFROCE": "00D",
            "PARHELION_ACCOUNTS_HUBSPOT": "1",
        }
    )
    with pytest.raises(BadSettings) as refused:
        check_web(settings)

    assert [problem.split(":")[0] for problem in refused.value.problems] == [
        "PARHELION_WEBHOOK_SECRET_HUBSPOTT",
        "PARHELION_ALLOWED_ADDRESSES_PIPEDRIV",
        "PARHELION_ACCOUNTS_SALESFROCE",
    ]


def test_what_is_set_to_nothing_is_not_set() -> None:
    settings = read_settings(
        {
            "PARHELION_WEBHOOK_SECRET_HUBSPOT": " , ",
            "PARHELION_ALLOWED_ADDRESSES_HUBSPOT": " ",
            "PARHELION_ACCOUNTS_HUBSPOT": "",
        }
    )

    assert (settings.webhook_secrets, settings.allowed_addresses, settings.accounts) == ({}, {}, {})


def test_a_channel_that_can_be_kept_open_is_no_problem() -> None:
    check_worker(read_settings(HALO | CHANNEL))
    check_worker(read_settings(HALO))


@pytest.mark.parametrize("missing", ["PUBLIC_URL", "WEBHOOK_SECRET_ZOHO", "ZOHO_CLIENT_ID"])
def test_a_channel_that_cannot_be_kept_open_stops_the_start(missing: str) -> None:
    given = {name: value for name, value in (HALO | CHANNEL).items() if name != f"PARHELION_{missing}"}
    with pytest.raises(BadSettings, match=f"PARHELION_{missing}: is not set"):
        check_worker(read_settings(given))
