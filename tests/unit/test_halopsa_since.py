"""What is older is left unread only where the list proves to come the latest first."""

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workflows.halopsa import HaloUnavailable
from workflows.halopsa.paging import read_since

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
Row = dict[str, Any]
Order = Callable[[list[Row]], list[Row]]


def latest_first(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row["timestamp"] or "without one", reverse=True)


def oldest_first(rows: list[Row]) -> list[Row]:
    return latest_first(rows)[::-1]


def by_guid(rows: list[Row]) -> list[Row]:
    return random.Random(7).sample(rows, len(rows))


def latest_made_first(rows: list[Row]) -> list[Row]:
    return rows[::-1]


class Log:
    """A log of deliveries, a minute apart, and what was asked of it."""

    def __init__(self, ages: Sequence[float | None], order: Order = latest_first, *, counts: bool = True) -> None:
        stamps = [age if age is None else f"{NOON - timedelta(minutes=age):%Y-%m-%dT%H:%M:%S}" for age in ages]
        self.rows = [{"id": f"e-{number}", "timestamp": stamp} for number, stamp in enumerate(stamps)]
        self.order, self.counts, self.pages = order, counts, True
        self.asked: list[Mapping[str, str]] = []

    async def __call__(self, params: Mapping[str, str]) -> Any:
        self.asked.append(params)
        first = 100 * (int(params["page_no"]) - 1) if self.pages else 0
        rows = self.order(self.rows)
        if self.order in {latest_first, latest_made_first} and params.get("orderdesc") == "false":
            rows = rows[::-1]
        page = rows[first : first + int(params["page_size"])]
        return {"events": page} | ({"record_count": len(self.rows)} if self.counts else {})

    async def since(self, moment: datetime = NOON) -> set[str]:
        return {row["id"] for row in await read_since(self, "events", 100, "timestamp", moment)}


async def test_a_long_log_of_old_deliveries_costs_two_requests() -> None:
    log = Log(range(1, 6001))

    assert await log.since() == set()
    first_page = {"pageinate": "true", "page_no": "1", "page_size": "100", "order": "timestamp", "orderdesc": "true"}
    proof = {**first_page, "page_size": "1", "orderdesc": "false"}
    assert log.asked == [first_page, proof]


@pytest.mark.parametrize("counts", [True, False])
async def test_reading_ends_with_the_first_page_of_older_ones(*, counts: bool) -> None:
    log = Log(range(-149, 5851), counts=counts)

    assert await log.since() == {f"e-{number}" for number in range(150)}
    assert len(log.asked) == 4


@pytest.mark.parametrize("order", [oldest_first, by_guid])
@pytest.mark.parametrize("counts", [True, False])
async def test_where_the_order_is_ignored_everything_is_read(order: Order, *, counts: bool) -> None:
    log = Log(range(-4, 400), order, counts=counts)

    assert await log.since() == {f"e-{number}" for number in range(5)}


async def test_an_order_that_only_looks_so_is_found_out() -> None:
    """The latest made come first, and it is an old one that was changed."""
    log = Log([*range(1, 300), -1], list)

    assert await log.since() == {"e-299"}


@pytest.mark.parametrize("last_page", [range(200, 100, -1), [150, 199, *range(198, 100, -1)]])
async def test_so_is_one_of_which_only_the_direction_counts(last_page: Sequence[int]) -> None:
    ages = [150 if last_page[0] == 200 else 999, -1, *range(400, 201, -1), *last_page]
    log = Log(ages, latest_made_first)

    assert await log.since() == {"e-1"}


async def test_rows_of_one_time_prove_no_order() -> None:
    log = Log([*[10] * 250, -1], list)

    assert await log.since() == {"e-250"}


async def test_rows_without_a_time_count_and_prove_nothing() -> None:
    log = Log([None, *range(1, 500), None])

    assert await log.since() == {"e-0", "e-500"}


async def test_a_log_that_fits_on_a_page_costs_one_request() -> None:
    for ages, found in (([], 0), ([-1], 1), ([-1, 1], 1)):
        log = Log(ages)
        assert (len(await log.since()), len(log.asked)) == (found, 1)


async def test_a_log_that_keeps_rows_back_is_refused() -> None:
    log = Log([-1] * 250)
    log.pages = False

    with pytest.raises(HaloUnavailable, match="100 of 250"):
        await log.since()
