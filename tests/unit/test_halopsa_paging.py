"""Lists are read to their proven end."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from workflows.halopsa import HaloUnavailable
from workflows.halopsa.paging import read_all, rows_of


class Listing:
    """A HaloPSA listing of records 1…n, with what it may do wrong."""

    def __init__(self, n: int, *, cap: int = 100, counts: bool = True, pages: bool = True, claims: int = 0) -> None:
        self.n, self.cap, self.counts, self.pages, self.claims = n, cap, counts, pages, claims
        self.asked: list[Mapping[str, str]] = []

    async def __call__(self, params: Mapping[str, str]) -> Any:
        self.asked.append(params)
        size = min(self.cap, int(params["page_size"]))
        start = (int(params["page_no"]) - 1) * size if self.pages else 0
        rows = [{"id": float(number)} for number in range(1, self.n + 1)][start : start + size]
        return {"clients": rows} | ({"record_count": self.claims or self.n} if self.counts else {})


def read(listing: Listing, page_size: int = 500) -> list[int]:
    return [int(row["id"]) for row in asyncio.run(read_all(listing, "clients", page_size))]


@pytest.mark.parametrize("n", [0, 1, 99, 100, 101, 717])
@pytest.mark.parametrize("counts", [True, False])
def test_a_cap_smaller_than_asked_is_not_the_end(n: int, *, counts: bool) -> None:
    assert read(Listing(n, counts=counts)) == list(range(1, n + 1))


def test_a_counted_list_costs_no_request_more_than_its_pages() -> None:
    listing = Listing(250)
    read(listing)

    assert [params["page_no"] for params in listing.asked] == ["1", "2", "3"]
    assert listing.asked[0] == {"pageinate": "true", "page_no": "1", "page_size": "500", "order": "id"}


def test_a_listing_that_knows_no_pages_ends_with_the_repetition() -> None:
    assert read(Listing(60, pages=False, counts=False)) == list(range(1, 61))


def test_a_listing_that_keeps_rows_back_is_refused() -> None:
    with pytest.raises(HaloUnavailable, match=r"clients.*100 of 120"):
        read(Listing(120, pages=False))


def test_rows_that_shift_between_pages_are_taken_once() -> None:
    pages = [[{"id": 1}, {"id": 2}], [{"id": 2}, {"id": "3.0"}], []]

    async def fetch(params: Mapping[str, str]) -> Any:
        return {"clients": pages[int(params["page_no"]) - 1]}

    rows = asyncio.run(read_all(fetch, "clients", 2))

    assert [row["id"] for row in rows] == [1, 2, "3.0"]


class Changing:
    """A listing of 250 records from which one is deleted while it is read; `made` appends another instead of it."""

    def __init__(self, *, made: bool = False, by_name: bool = False) -> None:
        self.ids = list(range(1, 251))
        self.made, self.by_name, self.changes = made, by_name, 1
        self.fetched = 0

    async def __call__(self, params: Mapping[str, str]) -> Any:
        start = (int(params["page_no"]) - 1) * 100
        rows = [{"id": number} for number in self.ids[start : start + 100]]
        answer = {"clients": rows, "record_count": len(self.ids)}
        self.fetched += 1
        if self.changes:
            self.changes -= 1
            moved = self.ids.pop(7)
            self.ids += [251] * self.made
            self.ids = [*self.ids, moved] if self.by_name else self.ids
        return answer


@pytest.mark.parametrize("by_name", [False, True])
def test_a_row_that_a_change_moved_over_the_edge_of_a_page_is_not_missed(*, by_name: bool) -> None:
    listing = Changing(by_name=by_name)
    rows = asyncio.run(read_all(listing, "clients", 100))

    assert {row["id"] for row in rows} == set(listing.ids)


def test_a_list_that_never_stands_still_is_refused() -> None:
    listing = Changing()
    listing.changes = 100

    with pytest.raises(HaloUnavailable, match="other ones each time"):
        asyncio.run(read_all(listing, "clients", 100))


@pytest.mark.parametrize("n", [0, 1, 99, 100, 101, 717])
@pytest.mark.parametrize("count", ["page", 7, 10_000])
def test_a_wrong_count_is_found_out(n: int, count: Any) -> None:
    async def fetch(params: Mapping[str, str]) -> Any:
        start = (int(params["page_no"]) - 1) * 100
        rows = [{"id": number} for number in range(n)][start : start + 100]
        return {"clients": rows, "record_count": len(rows) if count == "page" else count}

    assert [row["id"] for row in asyncio.run(read_all(fetch, "clients", 500))] == list(range(n))


@pytest.mark.parametrize(
    "answer",
    [
        [{"id": 1}],
        {"clients": [{"id": 1}], "record_count": 1},
        {"record_count": 1, "columns": [{"name": "x"}], "rows": [{"id": 1}]},
        {"id": 1},
    ],
)
def test_rows_are_found_in_every_envelope(answer: Any) -> None:
    assert [row["id"] for row in rows_of(answer, "clients")] == [1]


@pytest.mark.parametrize("answer", [None, "text", 5, {}, [], {"clients": []}, {"clients": None}])
def test_no_rows_are_no_rows(answer: Any) -> None:
    assert rows_of(answer, "clients") == []
