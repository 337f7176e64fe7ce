"""The request budget in a real Valkey, with the server's clock in the test's hand."""

from redis.asyncio import Redis

from tests.integration.world import NOON, Services, World
from worker.budget import Budget, Hold, NoRoom
from worker.engine import Engine
from worker.jobs import encode_doorbell
from worker.journal.scripts import Scripts

START = int(NOON.timestamp() * 1000)
HELD_CLOCK = "return tonumber(redis.call('GET', 'test:now'))"


def budget_of(redis: Redis, requests: int, window_s: float = 10) -> Budget:
    return Budget(Scripts(redis, encode_doorbell(), clock=HELD_CLOCK), requests=requests, window_s=window_s)


def limited(world: World, requests: int, name: str = "worker-1", budget: Budget | None = None) -> Engine[Services]:
    """A worker of this world that keeps to a budget for ten seconds."""
    return Engine(
        world.journal,
        world.workflows,
        world._services,
        worker=name,
        hydrate=world._hydrate,
        budget=budget or budget_of(world.redis, requests),
    )


async def reserved(budget: Budget, number: int, *, waiter: str = "w", bulk: bool = False, since: int = START) -> Hold:
    answer = await budget.reserve(number, bulk=bulk, waiter=waiter, since=since)
    assert isinstance(answer, Hold), answer
    return answer


async def spend(budget: Budget, number: int, *, waiter: str = "w", bulk: bool = False) -> None:
    hold = await reserved(budget, number, waiter=waiter, bulk=bulk)
    hold.sent = number
    await budget.settle([hold])


async def no_room(budget: Budget, number: int, *, waiter: str = "w", bulk: bool = False, since: int = START) -> NoRoom:
    answer = await budget.reserve(number, bulk=bulk, waiter=waiter, since=since)
    assert isinstance(answer, NoRoom), answer
    return answer


async def waiting(budget: Budget) -> bool:
    return (await budget.state()).waiting > 0
