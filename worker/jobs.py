"""arq, contained: a job is a doorbell that carries an id, and nothing of arq's own machinery is relied on.

This is the only module that imports arq. Its retries, results, expiry, aborts, cron and health checks stay unused: an
ordinary exception would end a job for good, a killed worker's jobs would wait for the longest timeout, and a job's
payload expires. The journal has the truth; the sweep rings again.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

import structlog
from arq.connections import ArqRedis
from arq.constants import default_queue_name
from arq.jobs import serialize_job
from arq.typing import WorkerCoroutine
from arq.worker import Worker, func
from redis.exceptions import RedisError

from worker.errors import StoreUnavailable
from worker.journal.scripts import Doorbell
from worker.store import PATIENT_TRIES, store_pool

POLL_S: Final = 0.02
JOB_TIMEOUT_S: Final = 600
"""Longer than any slice of a run; arq's own time limit must never cut one short."""

Answer = Callable[[str], Awaitable[None]]

_log = structlog.stdlib.get_logger("jobs")


def encode_doorbell() -> Doorbell:
    """Make the template from which the journal's scripts ring: arq's own job format, with a place for the subject."""
    payload = serialize_job("ring", ("@SUBJECT@",), {}, None, 0, serializer=_to_json)
    return Doorbell(queue=default_queue_name, payload=payload.decode())


class DoorbellWorker:
    """Answers doorbells until told to stop.

    Args:
        url: where Valkey is.
        answer: takes "event/<id>" or "run/<id>"; must not raise.
        slots: how many are answered at once.
    """

    def __init__(self, url: str, answer: Answer, *, slots: int) -> None:
        pool = store_pool(url, tries=PATIENT_TRIES, decode=False)
        self._pool = ArqRedis(pool, job_serializer=_to_json, job_deserializer=json.loads)
        self._answer = answer
        self._slots = slots
        self._in_hand: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._worker = self._make()

    async def run(self) -> None:
        """Answer until stopped; a poll that Valkey's absence has broken is taken up again."""
        while not self._stopping:
            try:
                await self._worker.main()
            except (RedisError, OSError) as error:
                _log.warning("store away", error=str(error))
                await asyncio.sleep(1)
                self._worker = self._make()

    async def drain(self, within_s: float) -> None:
        """Take no more doorbells and wait for those in hand; cut off what is left after `within_s` seconds."""
        self._stopping = True
        self._worker.allow_pick_jobs = False
        # Ours too: an arq worker that was given up after a store error has forgotten nothing but its tasks.
        in_hand = [*self._worker.tasks.values(), *self._in_hand]
        if in_hand:
            _, late = await asyncio.wait(in_hand, timeout=within_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*in_hand, return_exceptions=True)

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.aclose(close_connection_pool=True)

    def _make(self) -> Worker:
        return Worker(
            functions=[func(cast("WorkerCoroutine", self._ring), name="ring", max_tries=1_000_000)],
            redis_pool=self._pool,
            handle_signals=False,
            max_jobs=self._slots,
            # Idle workers see only this many of the oldest entries, those in others' hands included.
            queue_read_limit=max(1000, self._slots * 20),
            poll_delay=POLL_S,
            job_timeout=JOB_TIMEOUT_S,
            keep_result=0,
            log_results=False,
            job_serializer=_to_json,
            job_deserializer=json.loads,
        )

    async def _ring(self, _ctx: dict[Any, Any], subject: str) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._in_hand.add(task)
        try:
            await self._answer(subject)
        except StoreUnavailable as error:
            _log.warning("store away", subject=subject, error=str(error))
        except Exception:  # noqa: BLE001 - it is logged whole
            # An exception would make arq drop the job; the sweep rings again for what is still due.
            _log.exception("doorbell not answered", subject=subject)
        finally:
            self._in_hand.discard(task)


def _to_json(job: dict[str, Any]) -> bytes:
    return json.dumps(job, default=repr).encode()
