"""Alerts on their way out: each once, in order, signed, whatever becomes of sender and receiver."""

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import standardwebhooks
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.integration.processes import SECRET, Parhelion, look_alike
from tests.integration.world import NOON, World
from webhooks.signatures import sign_standard
from worker.alerts import AlertSender
from worker.errors import NeedsOperator
from worker.jobs import encode_doorbell
from worker.journal.scripts import Scripts
from worker.journal.upkeep import Upkeep
from worker.ports import bind
from worker.serve import serving


class Receiver(httpx.AsyncBaseTransport):
    """The address that alerts go to."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answers: list[httpx.Response | BaseException] = []

    @property
    def ids(self) -> list[str]:
        return [request.headers["webhook-id"] for request in self.requests]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)  # let the other worker have its chance
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else httpx.Response(202)
        if isinstance(answer, BaseException):
            raise answer
        return answer


class Office:
    """Failed runs, and workers that tell of them."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.world = World(redis)
        self.world.plan = _fail
        self.receiver = Receiver()
        self.upkeep = Upkeep(Scripts(redis, encode_doorbell()))

    def sender(self, worker: str, url: str = "https://alerts.test/hook?sig=hush") -> AlertSender:
        return AlertSender(
            self.upkeep, worker=worker, url=url, sign=partial(sign_standard, SECRET), transport=self.receiver
        )

    async def fail(self, number: int) -> list[str]:
        runs = [await self.world.receive(f"e{n}", client=f"client {n}") for n in range(number)]
        for run in runs:
            await self.world.engine.advance(run)
        return runs

    async def waiting(self) -> int:
        return (await self.upkeep.backlog()).alerts

    async def hold_ends(self) -> int:
        """Let the time of whoever holds the alerts pass; returns how long it would have lasted (ms)."""
        left: int = await self.redis.pttl("ph:hold:alerts")
        await self.redis.delete("ph:hold:alerts")
        return left


async def _fail(*_: Any) -> None:
    raise NeedsOperator("HaloPSA refused it.", mend="choose another type.")


@pytest.fixture
async def office(redis: Redis) -> Office:
    office = Office(redis)
    await office.world.at(NOON)
    return office


async def drain(sender: AlertSender) -> None:
    while await sender.send_next():
        pass


async def test_two_workers_send_each_alert_once_and_in_order(office: Office) -> None:
    runs = await office.fail(20)
    one, two = office.sender("one"), office.sender("two")

    while await office.waiting():
        await asyncio.gather(drain(one), drain(two))

    assert Counter(request_id.split(":")[0] for request_id in office.receiver.ids) == Counter(runs)
    assert [request_id.split(":")[0] for request_id in office.receiver.ids] == runs


async def test_an_alert_is_signed_and_names_the_run_and_what_to_do(office: Office) -> None:
    (run,) = await office.fail(1)

    await drain(office.sender("one"))

    (request,) = office.receiver.requests
    sent = standardwebhooks.Webhook(SECRET).verify(request.content, dict(request.headers))
    assert f"parhelion runs show {run}" in sent["text"]
    assert "HaloPSA refused it. To mend it: choose another type." in sent["text"]
    assert sent["attachments"][0]["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert request.headers["webhook-id"] == f"{run}:run-failed:{int(NOON.timestamp() * 1000)}"


async def test_slack_gets_slacks_form(office: Office) -> None:
    await office.fail(1)

    await drain(office.sender("one", "https://hooks.slack.com/services/T0/B0/hush"))

    assert set(json.loads(office.receiver.requests[0].content)) == {"text"}


async def test_a_receiver_that_is_away_gets_the_alert_later_and_the_next_one_waits_for_it(office: Office) -> None:
    runs = await office.fail(2)
    office.receiver.answers = [httpx.ConnectError("refused"), httpx.Response(503)]

    waits = []
    for _ in range(2):
        await drain(office.sender("one"))
        assert not await office.sender("two").send_next(), "no other worker tries before its time"
        waits.append(await office.hold_ends())
    await drain(office.sender("two"))

    assert 0 < waits[0] <= 1000 < waits[1] <= 2000, "it waits longer each time"
    assert [request_id.split(":")[0] for request_id in office.receiver.ids] == [runs[0]] * 3 + [runs[1]]


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_a_receiver_says_when_it_wants_the_alert(office: Office, form: str) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=120), usegmt=True)
    header = {"seconds": "120", "date": date}[form]
    await office.fail(1)
    office.receiver.answers = [httpx.Response(429, headers={"retry-after": header})]

    await drain(office.sender("one"))

    assert 110_000 < await office.hold_ends() <= 120_000


async def test_a_refused_alert_is_given_up_and_does_not_hold_up_the_next(office: Office) -> None:
    await office.fail(2)
    office.receiver.answers = [httpx.Response(404)]

    await drain(office.sender("one"))

    assert len(office.receiver.requests) == 2
    assert await office.waiting() == 0


async def test_a_worker_that_dies_after_the_post_is_followed_by_one_that_repeats_it_under_the_same_id(
    office: Office,
) -> None:
    await office.fail(1)
    office.receiver.answers = [asyncio.CancelledError()]  # how a killed worker's post ends
    with pytest.raises(asyncio.CancelledError):
        await office.sender("one").send_next()

    assert not await office.sender("two").send_next(), "the dead worker still holds it"
    assert await office.hold_ends() > 10_000
    await drain(office.sender("two"))

    first, second = office.receiver.ids
    assert first == second
    assert await office.waiting() == 0


async def test_a_failed_run_is_told_by_up(tmp_path: Path) -> None:
    posted: asyncio.Queue[tuple[dict[str, Any], dict[str, str]]] = asyncio.Queue()

    async def hook(request: Request) -> Response:
        await posted.put((await request.json(), dict(request.headers)))
        return Response(status_code=202)

    listener = bind(("127.0.0.1", 0), "the test")
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/workflows/1?sig=hush"
    async with (
        look_alike() as halo,
        serving(Starlette(routes=[Route("/{path:path}", hook, methods=["POST"])]), listener),
    ):
        product = Parhelion(tmp_path, halo.url)
        product.env |= {"PARHELION_ALERT_URL": address, "PARHELION_ALERT_SECRET": SECRET}
        process = await product.up()
        await product.send({"type": "deal.won", "data": {"deal": {"id": "D-1"}}}, "delivery")
        async with asyncio.timeout(30):
            message, headers = await posted.get()
        (run,) = await product.runs()
        _, _, log = await process.interrupt()

    assert f"parhelion runs show {run['id']}" in message["text"]
    assert headers["webhook-id"].startswith(f"{run['id']}:run-failed:")
    assert "hush" not in log
    assert posted.empty()


async def test_a_worker_that_comes_back_late_takes_no_others_alert_away(office: Office) -> None:
    await office.fail(2)
    late, _ = await office.upkeep.next_alert("one", hold_ms=1000) or ("", 0)
    await office.hold_ends()
    taken, _ = await office.upkeep.next_alert("two", hold_ms=1000) or ("", 0)
    await office.upkeep.drop_alert("two", taken)
    await office.upkeep.next_alert("two", hold_ms=1000)

    await office.upkeep.drop_alert("one", late)

    assert late == taken
    assert await office.waiting() == 1
    assert await office.upkeep.next_alert("three", hold_ms=1000) is None, "worker two keeps its hold"
