"""`parhelion events`: send samples, judge captured requests, see refusals, send events on once more."""

import json
from pathlib import Path
from typing import Any

import httpx

from tests.integration.processes import Parhelion, look_alike, parhelion, until

HUBSPOT = {"PARHELION_WEBHOOK_SECRET_HUBSPOT": "the-app-secret"}
ENV = {**HUBSPOT, "PARHELION_PUBLIC_URL": "https://hooks.msp.example"}


async def judged(tmp_path: Path, change: dict[str, Any], env: dict[str, str] = ENV) -> tuple[int, dict[str, str]]:
    """Capture a good HubSpot delivery, change it, and let it be judged."""
    file = tmp_path / "captured.json"
    code, _, err = await parhelion("events", "send", "hubspot", "--save", str(file), env=ENV)
    assert code == 0, err
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    code, out, err = await parhelion("events", "verify", str(file), "-o", "json", env=env)
    assert code in {0, 1}, err
    return code, json.loads(out)


async def test_a_good_delivery_is_good(tmp_path: Path) -> None:
    code, verdict = await judged(tmp_path, {})

    assert (code, verdict["cause"]) == (0, "good")


async def test_the_true_cause_is_named(tmp_path: Path) -> None:
    late = await judged(tmp_path, {"received_at": "2031-01-01T00:00:00Z"})
    bare = await judged(tmp_path, {"headers": {"content-type": "application/json"}})
    elsewhere = await judged(tmp_path, {}, {**HUBSPOT, "PARHELION_PUBLIC_URL": "http://inner.example:8080"})
    stranger = await judged(tmp_path, {}, {**ENV, "PARHELION_WEBHOOK_SECRET_HUBSPOT": "another"})

    assert [code for code, _ in (late, bare, elsewhere, stranger)] == [1, 1, 1, 1]
    assert [verdict["cause"] for _, verdict in (late, bare, elsewhere, stranger)] == [
        "too_old",
        "missing",
        "wrong_url",
        "wrong_secret",
    ]
    assert "the-app-secret" not in json.dumps([late, bare, elsewhere, stranger])


async def test_bad_use_says_what_to_do(tmp_path: Path) -> None:
    unset = await parhelion("events", "send", "pipedrive", env=ENV)
    unknown = await parhelion("events", "send", "nobody", env={**ENV, "PARHELION_WEBHOOK_SECRET_NOBODY": "x"})
    (tmp_path / "junk.json").write_text("{")
    junk = await parhelion("events", "verify", str(tmp_path / "junk.json"), env=ENV)
    missing = await parhelion("events", "verify", str(tmp_path / "missing.json"), env=ENV)
    there, secret = "http://127.0.0.1:9/webhooks/salesforce", {"PARHELION_WEBHOOK_SECRET_SALESFORCE": "s3cret"}
    deaf = await parhelion("events", "send", "salesforce", "--url", there, env=ENV | secret)

    assert [code for code, _, _ in (unset, unknown, junk, missing, deaf)] == [2, 2, 2, 2, 1]
    assert "PARHELION_WEBHOOK_SECRET_PIPEDRIVE" in unset[2]
    assert "there is no source 'nobody'" in unknown[2]
    assert f"{there} does not answer" in deaf[2]
    assert "s3cret" not in deaf[1] + deaf[2]


async def test_a_sample_goes_through_the_front_door_and_a_refused_one_is_seen(tmp_path: Path) -> None:
    async with look_alike() as halo:
        place = Parhelion(tmp_path, halo.url)
        place.env |= HUBSPOT
        await place.up()

        sent = await parhelion("events", "send", "hubspot", "-o", "json", env=place.env)
        async with httpx.AsyncClient() as client:
            refused = await client.post(
                f"{place.web}/webhooks/hubspot",
                content=b"[]",
                headers={"content-type": "application/json", "x-hubspot-signature-v3": "c2VjcmV0"},
            )
        listed = await parhelion("events", "list", "--refused", "-o", "json", env=place.env)

        assert (sent[0], json.loads(sent[1])["status"]) == (0, 202)
        assert refused.status_code == 401
        (row,) = json.loads(listed[1])
        assert (row["source"], row["status"]) == ("hubspot", 401)
        assert "c2VjcmV0" not in listed[1]


async def test_an_event_is_sent_on_once_more(tmp_path: Path) -> None:
    async with look_alike() as halo:
        place = Parhelion(tmp_path, halo.url)
        await place.up()
        await place.send({"type": "weather.changed", "data": {}}, "msg-1")

        async def ignored() -> bool:
            _, out, _ = await parhelion("events", "show", "standard:msg-1", "-o", "json", env=place.env)
            return bool(json.loads(out)["state"] == "ignored")

        await until(ignored)
        code, _, err = await parhelion("events", "replay", "standard:msg-1", env=place.env)
        assert code == 0, err
        await until(ignored)
        assert (await parhelion("events", "replay", "standard:msg-2", env=place.env))[0] == 4
