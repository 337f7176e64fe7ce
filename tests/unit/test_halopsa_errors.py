"""HaloPSA's error answers: what they mean for a run, and that its own words are kept."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from workflows.halopsa import HaloConflict, HaloForbidden, HaloNotFound, HaloRefused, HaloUnavailable, Kind
from workflows.halopsa.auth import sign_in_error
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
        (409, HaloConflict),
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


# What each recorded answer is, by a part of where it was seen and of its words; the first that fits counts.
RETRY, DENIED, INVALID, UNKNOWN = Kind.RETRY, Kind.PERMISSION, Kind.VALIDATION, Kind.NOT_FOUND
KINDS = [
    ("invalid_scope", DENIED),
    ("invalid_client", DENIED),
    ("unknown tenant", RETRY),
    ("not json", RETRY),
    ("Rate Limit Reached", RETRY),
    ("Record not found", UNKNOWN),
    ("do not have access", DENIED),
    ("expired/revoked token", DENIED),
    ("scope forbids", DENIED),
    ("without contract-module rights", DENIED),
    ("without module permission", DENIED),
    ("unknown id", UNKNOWN),
    ("wrong singular paths", UNKNOWN),
]


def error_of(entry: dict[str, Any]) -> HaloUnavailable | HaloRefused:
    body = entry.get("raw") or entry.get("body") or entry.get("body_text") or entry.get("body_text_contains") or ""
    given = answer(entry["status"] if isinstance(entry["status"], int) else 400, body)
    return sign_in_error(given) if "/auth/token" in entry["where"] else error_for("POST /X", given)


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded errors are not here")
def test_each_recorded_error_is_what_it_is_and_keeps_its_words() -> None:
    for entry in json.loads(RECORDED.read_text()):
        error, told = error_of(entry), json.dumps(entry)
        words = entry.get("body") or entry.get("body_text") or entry.get("body_text_contains") or ""

        assert error.kind == next((kind for words, kind in KINDS if words in told), INVALID), entry
        assert not isinstance(words, str) or words in str(error)
        assert isinstance(error, HaloUnavailable) or error.mend


GUIDE = [
    (400, "Name is required", Kind.VALIDATION, "Client must have a name"),
    (400, "Invalid client_id", Kind.VALIDATION, "Parent client doesn't exist"),
    (400, "Duplicate email", Kind.CONFLICT, "Contact email already in use"),
    (404, "Client not found", Kind.NOT_FOUND, "Verify client ID"),
    (409, "Cannot delete - has related records", Kind.CONFLICT, "Deactivate instead"),
]


@pytest.mark.parametrize(("status", "message", "kind", "resolution"), GUIDE)
def test_the_guides_errors_come_with_its_resolutions(status: int, message: str, kind: Kind, resolution: str) -> None:
    error = error_for("POST /Client", answer(status, {"message": message}))

    assert isinstance(error, HaloRefused)
    assert (error.kind, error.text) == (kind, message)
    assert resolution in error.mend


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded errors are not here")
def test_the_guide_has_no_other_errors() -> None:
    recorded = json.loads((RECORDED.parents[1] / "guide-dialect/errors.json").read_text())

    assert [(entry["status"], entry["message"]) for entry in recorded] == [(status, text) for status, text, *_ in GUIDE]


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("Please assign this Ticket these before closing it.", "Name the agent who closes"),
        ("This Ticket has open Child Tickets", "Close the tickets under this one"),
        ("CODE:APP03/2 Please select the CAB members to approve", "Have the approval decided"),
        ("Impact is a mandatory field", "give its value in the policy"),
        ("Tickets with the default Client/Site must be moved before working", "Move the ticket"),
    ],
)
def test_what_keeps_a_ticket_open_comes_with_its_remedy(text: str, remedy: str) -> None:
    error = error_for("POST /Tickets", answer(400, json.dumps(text)))

    assert isinstance(error, HaloRefused)
    assert remedy in error.mend
