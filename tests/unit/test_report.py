"""The run report: text, page and digest."""

from datetime import UTC, datetime

import pytest

from workflows.report import DIGEST, Line, Report, digest_in

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


def report(**more: object) -> Report:
    facts: dict[str, object] = {
        "title": "Onboarded from won deal D-1001",
        "run": "r-1",
        "workflow": "onboard_client",
        "event_id": "standard:msg-1",
        "event_type": "deal.won",
        "source": "standard",
        "occurred_at": datetime(2026, 11, 23, 9, tzinfo=UTC),
        "started_at": datetime(2026, 11, 23, 9, 1, tzinfo=UTC),
        "drawn_up_at": NOW,
        "client_id": 29,
        "client": "Acme & Söhne <Ltd>",
        "lines": [
            Line(what="client", done="made", ids=[29], name="Acme & Söhne <Ltd>"),
            Line(what="contact", done="changed", ids=[7], changes={"active": (False, True), "title": (None, "CEO")}),
            Line(what="ticket", done="refused", ids=[5], why="Please assign this Ticket"),
        ],
        "remarks": ["country Narnia not set"],
    }
    return Report.model_validate(facts | more)


def test_the_text_says_what_was_done_by_which_event_and_when() -> None:
    assert report().text().splitlines() == [
        "Onboarded from won deal D-1001",
        "Client 29 Acme & Söhne <Ltd>",
        "By event standard:msg-1 (deal.won from standard, 2026-11-23 09:00 UTC)",
        "Run r-1 (onboard_client), begun 2026-11-23 09:01 UTC, reported 2026-11-23 09:30 UTC",
        "- client 29 (Acme & Söhne <Ltd>): made",
        "- contact 7: changed: active: False → True; title: nothing → CEO",
        "- ticket 5: refused: Please assign this Ticket",
        "Note: country Narnia not set",
    ]


def test_a_note_names_the_first_of_many_ids_and_the_report_has_all() -> None:
    many = Line(what="ticket", done="closed", ids=list(range(1, 701)))

    assert many.text().endswith("18, 19, 20 and 680 more: closed")
    assert Report.model_validate_json(report(lines=[many]).model_dump_json()).lines[0].ids == many.ids


def test_the_page_escapes_what_comes_from_outside() -> None:
    page = report().html()

    assert "Acme &amp; Söhne &lt;Ltd&gt;" in page
    assert "<Ltd>" not in page
    assert 'class="refused"' in page
    assert report().digest in page


def test_the_digest_survives_storing_and_tells_every_change() -> None:
    drawn = report()

    assert Report.model_validate_json(drawn.model_dump_json()).digest == drawn.digest
    assert report(client_id=30).digest != drawn.digest
    assert report(remarks=[]).digest != drawn.digest


@pytest.mark.parametrize(("note", "found"), [("a\nSHA-256 abc \nmark", "abc"), ("a\nmark", None), ("", None)])
def test_the_digest_is_found_in_a_note(note: str, found: str | None) -> None:
    assert digest_in(note) == found
    assert DIGEST == "SHA-256 "
