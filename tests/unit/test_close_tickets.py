"""The order in which tickets are closed, and the chunks in which they are sent."""

from workflows.open_tickets import CHUNK, OpenTicket, children_first, in_chunks


def tickets(parents: dict[int, int]) -> list[OpenTicket]:
    return [OpenTicket(number, 1 + number % 2, 1, parent) for number, parent in parents.items()]


def test_children_come_before_their_parents_and_circles_do_no_harm() -> None:
    parents = {1: 0, 2: 1, 3: 2, 4: 99, 5: 6, 6: 5}
    order = [ticket.id for ticket in children_first(tickets(parents))]

    assert order.index(3) < order.index(2) < order.index(1)
    assert set(order) == set(parents)


def test_chunks_hold_one_level_each_and_types_stand_together() -> None:
    parents = dict.fromkeys(range(1, 81), 0) | dict.fromkeys(range(81, 84), 1)
    chunks = list(in_chunks(children_first(tickets(parents))))

    assert [len(chunk) for chunk in chunks] == [3, CHUNK, 80 - CHUNK]
    assert [ticket.type_id for ticket in chunks[1]] == [1] * 40 + [2] * 10
