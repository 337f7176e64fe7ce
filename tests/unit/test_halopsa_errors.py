"""HaloPSA's error answers: what they mean for a run, and that its own words are kept."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from workflows.halopsa import HaloForbidden, HaloNotFound, HaloRefused, HaloUnavailable
from workflows.halopsa.errors import error_for, refusal_text, retry_after

RECORDED = Path(__file__).parents[3] / "shared/data/halopsa/errors/errors.json"


def answer(status: int, body: Any = "", **headers: str) -> httpx.Response:
    return httpx.Response(status, text=body if isinstance(body, str) else json.dumps(body), headers=headers)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('"Please select a valid Client/Site/User"', "Please select a valid Client/Site/User"),
        ({"message": "one"}, "one"),
        ({"ClassName": "System.Exception", "Message": "two"}, "two"),
        ({"resultCode": 1, "errorMessage": "three"}, "three"),
        ({"error": "invalid_scope", "error_description": "four"}, "four"),
        ({"error": "invalid_client"}, "invalid_client"),
        ({"[0].id": ["The value '' is not valid."], "[0].x": ["Bad."]}, "The value '' is not valid.; Bad."),
        ("Record not found", "Record not found"),
        ("", ""),
        ("<html><h1>502</h1></html>", "an HTML page"),
        ("null", ""),
        ("[1, 2]", ""),
    ],
)
def test_every_form_of_an_error_body_yields_its_words(body: Any, text: str) -> None:
    assert refusal_text(answer(400, body)) == text


def test_a_long_body_is_cut() -> None:
    assert len(refusal_text(answer(400, "x" * 10_000))) == 500


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, HaloRefused),
        (401, HaloForbidden),
        (403, HaloForbidden),
        (404, HaloNotFound),
        (408, HaloUnavailable),
        (409, HaloRefused),
        (302, HaloRefused),
        (429, HaloUnavailable),
        (500, HaloUnavailable),
        (502, HaloUnavailable),
    ],
)
def test_the_status_decides_what_happens_next(status: int, error: type[Exception]) -> None:
    assert type(error_for("POST /Client", answer(status, "Why not"))) is error


def test_a_refusal_names_the_call_the_words_and_a_remedy() -> None:
    text = str(error_for("POST /Tickets", answer(400, '"Please assign this Ticket these before closing it."')))

    assert "POST /Tickets" in text
    assert "Please assign this Ticket these before closing it." in text
    assert "To mend it:" in text


@pytest.mark.parametrize(
    ("value", "seconds"), [("7", 7.0), ("", None), ("soon", None), ("-5", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)]
)
def test_retry_after_in_seconds(value: str, seconds: float | None) -> None:
    assert retry_after(answer(429, **{"Retry-After": value})) == seconds


def test_retry_after_as_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)

    assert retry_after(answer(503, **{"Retry-After": later})) == pytest.approx(90, abs=3)


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded errors are not here")
def test_recorded_errors_keep_their_words() -> None:
    for entry in json.loads(RECORDED.read_text()):
        body = entry.get("raw") or entry.get("body") or entry.get("body_text") or entry.get("body_text_contains") or ""
        words = entry.get("body") or entry.get("body_text") or entry.get("body_text_contains") or ""
        status = entry["status"] if isinstance(entry["status"], int) else 400
        error = error_for("POST /X", answer(status, body))

        if isinstance(words, str):
            assert words in str(error)
        assert isinstance(error, HaloUnavailable) == (status == 429 or status >= 500)
