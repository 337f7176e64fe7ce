"""Every source: its door takes a good delivery once, and no tampered one."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.datastructures import Headers

from tests.unit.webhook_door import NOW, PUBLIC, SECRETS, Web
from webhooks import sources
from webhooks.delivery import Delivery, NotProven
from webhooks.samples import sample
from webhooks.sources import SOURCES, find_source

EVERY = pytest.mark.parametrize("name", SECRETS)


def made(name: str) -> Delivery:
    return sample(name, SECRETS[name], f"{PUBLIC}/webhooks/{name}", NOW)


def test_every_file_is_listed_under_its_own_name() -> None:
    files = {path.stem for path in Path(sources.__file__).parent.glob("*.py")} - {"__init__"}

    assert [source.name for source in SOURCES] == list(SECRETS)
    assert files == set(SECRETS)


@EVERY
async def test_a_good_delivery_is_taken_once(name: str) -> None:
    web = Web()
    first, again = await web.send(made(name)), await web.send(made(name))

    assert {first.status_code, again.status_code} <= {200, 202}
    assert len(web.shelf.events) == 1
    assert web.outcomes == [(name, "accepted"), (name, "duplicate")]


@EVERY
async def test_a_repeat_by_another_attempt_is_the_same_event(name: str) -> None:
    later = made(name)
    events = [find_source(name).events(one) for one in (later, replace(later, received_at=NOW + timedelta(hours=1)))]

    assert events[0] == events[1]


@EVERY
async def test_a_tampered_delivery_is_not_taken(name: str) -> None:
    web, sent = Web(), made(name)
    for tampered in tamperings(sent):
        answer = await web.send(tampered)
        assert answer.status_code in {401, 404}, tampered

    assert not web.shelf.events


def tamperings(sent: Delivery) -> list[Delivery]:
    """Break each proof that the delivery has."""
    secrets = {"zoho-s3cret", "salesforce-s3cret"}
    broken = [
        replace(sent, headers=Headers({**sent.headers, name: value[:-4] + "AAA="}))
        for name, value in sent.headers.items()
        if name in {"authorization", "webhook-signature", "x-hubspot-signature-v3", "x-webhook-secret"}
    ]
    broken += [
        replace(sent, body=sent.body.replace(one.encode(), b"x")) for one in secrets if one.encode() in sent.body
    ]
    return broken + [replace(sent, url=sent.url.replace(one, "x")) for one in secrets if one in sent.url]


@EVERY
def test_nothing_is_proven_by_an_empty_delivery(name: str) -> None:
    with pytest.raises(NotProven):
        find_source(name).verify(Delivery(Headers(), b"", NOW, f"{PUBLIC}/webhooks/{name}"), [SECRETS[name]])


@EVERY
def test_both_secrets_count_during_a_rotation(name: str) -> None:
    find_source(name).verify(made(name), ["whsec_" + "QUJD" * 8, SECRETS[name]])


@EVERY
def test_no_event_holds_a_secret(name: str) -> None:
    for event in find_source(name).events(made(name)):
        assert SECRETS[name] not in repr(event)


def test_a_sample_needs_a_source_and_a_secret_that_can_serve() -> None:
    with pytest.raises(ValueError, match="no source 'slack'"):
        sample("slack", "x", PUBLIC, NOW)
    with pytest.raises(ValueError, match="50 characters"):
        sample("zoho", "x" * 51, PUBLIC, NOW)


@pytest.mark.parametrize("name", ["salesforce", "zoho", "halopsa"])
async def test_an_address_that_ends_with_the_secret_proves_the_sender(name: str) -> None:
    web = Web(secrets={name: ["s3cret"]})
    kind, body = ("text/xml", made(name).body) if name == "salesforce" else ("application/json", BARE[name])
    headers = {"content-type": kind}
    right = await web.request("POST", f"/webhooks/{name}/s3cret", content=body, headers=headers)
    slash = await web.request("POST", f"/webhooks/{name}/s3cret/", content=body, headers=headers)
    wrong = await web.request("POST", f"/webhooks/{name}/s3cre", content=body, headers=headers)
    without = await web.request("POST", f"/webhooks/{name}", content=body, headers=headers)
    unknown = await web.request("POST", "/webhooks/slack/s3cret", content=body, headers=headers)

    assert [right.status_code // 100, slash.status_code // 100] == [2, 2]
    assert [wrong.status_code, without.status_code] == [404, 401]
    assert wrong.json() == unknown.json()


BARE = {
    "zoho": b'{"module": "Deals", "operation": "update", "ids": ["1"], "server_time": 1718117126473}',
    "halopsa": b'{"object_id": 4242}',
}


@pytest.mark.parametrize("name", ["standard", "token", "hubspot", "pipedrive", "dynamics"])
async def test_other_sources_have_no_such_address(name: str) -> None:
    sent = made(name)
    answer = await Web().send(replace(sent, url=f"{sent.url}/{SECRETS[name]}"))

    assert answer.status_code == 404


async def test_a_wrong_token_in_zoho_s_body_is_not_rescued_by_its_address() -> None:
    sent = made("zoho")
    answer = await Web().send(
        replace(sent, url=f"{sent.url}/zoho-s3cret", body=sent.body.replace(b"zoho-s3cret", b"other"))
    )

    assert answer.status_code == 401


def test_a_repeat_is_the_same_to_the_byte_in_another_process() -> None:
    """The store takes the same id with another body for another event."""
    told = [run_with_seed(seed) for seed in ("1", "2")]

    assert told[0] == told[1]
    assert told[0].count("\n") == len(SECRETS)


def run_with_seed(seed: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", DUMP],
        env={**os.environ, "PYTHONHASHSEED": seed},
        cwd=Path(__file__).parents[2],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


DUMP = """
from tests.unit.webhook_door import NOW, PUBLIC, SECRETS
from webhooks.samples import sample
from webhooks.sources import find_source

for name, secret in SECRETS.items():
    for event in find_source(name).events(sample(name, secret, PUBLIC, NOW)):
        print(event.id, event.dump())
"""
