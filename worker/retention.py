"""Retention: what ended long ago goes from Valkey into files of JSON lines, one file for each day of its end.

A worker that dies between writing and deleting leaves it to the next one, which writes it again: an id may stand twice
in the archive, and a line that a crash has torn is followed by the whole one.
"""

import asyncio
import fcntl
import json
import os
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import structlog

from worker import metrics
from worker.errors import StoreUnavailable
from worker.journal.reading import Reader
from worker.journal.records import event_details, iso
from worker.journal.upkeep import INDEXES, Aged, Upkeep

EVERY_S: Final = 60.0
HOLD_MS: Final = 120_000
"""A worker that has not come back for this long is not archiving any more."""
BATCH: Final = 50
TRIM_BATCH: Final = 500
DAY_MS: Final = 24 * 3600 * 1000

_log = structlog.stdlib.get_logger("retention")


class Retention:
    """Keeps the journal's records to an age.

    Args:
        upkeep: deletes.
        reader: reads what is to be archived.
        worker: who does it.
        archive: the folder of the files; made when it is needed.
        days: how long ended runs and closed events stay in Valkey.
    """

    def __init__(self, upkeep: Upkeep, reader: Reader, *, worker: str, archive: Path, days: int) -> None:
        self._upkeep = upkeep
        self._reader = reader
        self._worker = worker
        self._archive = archive
        self._age_ms = days * DAY_MS
        self._cursors = dict.fromkeys(INDEXES, 0)

    async def keep_for_ever(self) -> None:
        """Archive and tidy up now and then, until cancelled."""
        while True:
            try:
                while await self.archive_some():
                    pass
                await self.trim_some()
            except StoreUnavailable as error:
                _log.warning("store away", error=str(error))
            except OSError as error:
                _log.error("archive cannot be written", folder=str(self._archive), error=str(error))
            await asyncio.sleep(EVERY_S * random.uniform(0.8, 1.2))  # noqa: S311 - no secret hangs on it

    async def archive_some(self) -> int:
        """Move one batch into the archive; returns how many are gone from Valkey.

        Raises:
            OSError: the archive cannot be written; nothing was deleted.
        """
        aged = await self._upkeep.aged(self._worker, hold_ms=HOLD_MS, age_ms=self._age_ms, limit=BATCH)
        if aged is None or not aged.subjects:
            return 0
        files = await self._read(aged)
        await asyncio.to_thread(_write, self._archive, files)
        expired = await self._upkeep.expire(aged)
        for name, lines in files.items():
            metrics.ARCHIVED.labels(name.partition("-")[0]).inc(len(lines))
        _log.info("archived", records=expired, before=iso(aged.before))
        return expired

    async def trim_some(self) -> None:
        """Go on looking for index entries whose record is gone."""
        for index, cursor in self._cursors.items():
            self._cursors[index], trimmed = await self._upkeep.trim(index, cursor, count=TRIM_BATCH)
            if trimmed:
                _log.warning("index entries without a record removed", index=index, entries=trimmed)

    async def _read(self, aged: Aged) -> Mapping[str, Sequence[dict[str, Any]]]:
        """Read the records as lines by file name: "runs-2026-11-23.jsonl"."""
        files: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for run in await self._reader.whole_runs(_ids(aged, "run")):
            files[f"runs-{iso(run.fields['finished'])[:10]}.jsonl"].append(run.details())
        for event_id in _ids(aged, "event"):
            if (stored := await self._reader.event(event_id)) is not None:
                files[f"events-{iso(stored['received'])[:10]}.jsonl"].append(event_details(event_id, stored))
        return files


def _ids(aged: Aged, kind: str) -> list[str]:
    return [subject.partition("/")[2] for subject in aged.subjects if subject.startswith(kind + "/")]


def _write(folder: Path, files: Mapping[str, Iterable[dict[str, Any]]]) -> None:
    """Append lines to files, on the disk when this returns."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, lines in files.items():
        _append(folder / name, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _append(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if end := file.seek(0, os.SEEK_END):
            file.seek(end - 1)
            torn = file.read(1) != b"\n"
            file.write(b"\n" * torn)
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
