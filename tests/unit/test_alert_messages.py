"""What an alert says, in the forms that Teams and Slack take."""

from typing import Any

import pytest
from pydantic import SecretStr

from worker.alerts import message, plain_text, slack_message
from worker.assemble.checks import check_worker
from worker.settings import BadSettings, Settings, read_settings

ALERT: dict[str, Any] = {
    "id": "0199:run failed:1",
    "kind": "run failed",
    "run": "0199",
    "at": 1,
    "workflow": "onboard_client",
    "client": "Smith & <Sons> *Ltd*",
    "text": "HaloPSA refused the contract: no such type.",
}


def test_the_text_says_what_whose_why_and_what_to_do() -> None:
    text = plain_text(ALERT)

    assert text.splitlines() == [
        "Parhelion: run failed: onboard_client for Smith & <Sons> *Ltd*",
        "HaloPSA refused the contract: no such type.",
        "Mend what it says, then: parhelion runs retry 0199 --reason …",
        "More: parhelion runs show 0199",
    ]


def test_teams_gets_a_message_with_one_adaptive_card_whose_text_is_no_markdown() -> None:
    sent = message(ALERT)
    (attachment,) = sent["attachments"]
    card = attachment["content"]

    assert sent["type"] == "message"
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.2")
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert "\n".join(block["inlines"][0]["text"] for block in card["body"]) == plain_text(ALERT)
    assert sent["text"] == plain_text(ALERT)


def test_slack_gets_escaped_text_and_nothing_else() -> None:
    sent = slack_message({**ALERT, "text": "<!channel> look"})

    assert set(sent) == {"text"}
    assert "Smith &amp; &lt;Sons&gt; *Ltd*" in sent["text"]
    assert "&lt;!channel&gt;" in sent["text"]


def test_a_long_error_is_cut() -> None:
    assert len(plain_text({**ALERT, "text": "x" * 50_000})) < 3000


def test_an_alert_address_may_have_a_query_and_is_never_shown() -> None:
    address = "https://prod-1.westeurope.logic.azure.com/workflows/1/run?sp=%2F&sig=hush"
    settings = read_settings({"PARHELION_ALERT_URL": address})

    assert settings.alert_url == SecretStr(address)
    assert "hush" not in repr(settings)
    with pytest.raises(BadSettings) as refused:
        read_settings({"PARHELION_ALERT_URL": "ftp://hush"})
    assert "PARHELION_ALERT_URL" in str(refused.value)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"alert_secret": "whsec_c2VjcmV0LWZvci10ZXN0cy1vbmx5LTMyLWJ5dGVzISE="}, "PARHELION_ALERT_URL is not set"),
        ({"alert_secret": "whsec_???", "alert_url": "https://x.example"}, "PARHELION_ALERT_SECRET: "),
    ],
)
def test_a_worker_refuses_an_alert_secret_that_cannot_serve(settings: dict[str, Any], complaint: str) -> None:
    halo = {"halo_url": "https://halo.example.com", "halo_client_id": "id", "halo_client_secret": "secret"}

    with pytest.raises(BadSettings, match=complaint):
        check_worker(Settings(**halo, **settings))
