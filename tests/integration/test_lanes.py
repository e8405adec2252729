"""A claim costs the same whatever stands in other lanes: 100,000 jobs of other tags and of unknown names in front.

What the servers do is counted, in pages and in commands, not timed.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from stoker.core.job import Claim, NewJob, State, new_call, new_token
from stoker.core.settlement import Settlement
from stoker.stores.base import Store
from stoker.stores.postgres import PostgresStore
from stoker.stores.redis import RedisStore
from tests.rigs.plans import watched_plans

MINE = ["gpu", "eu,gpu"]
Cost = Callable[[Callable[[], object]], int]


def enqueue(store: Store, count: int, name: str = "work", route: str = "gpu") -> None:
    for _ in range(0, count, 5000):
        jobs = [NewJob(name, "{}", route=route)] * min(count, 5000)
        store.run(store.enqueue(jobs, new_call()))


def fill(store: Store) -> None:
    enqueue(store, 50_000, route="ssd")
    enqueue(store, 25_000, "unknown")
    enqueue(store, 25_000, "unknown", "eu")


def claim(store: Store, *, oldest: bool = False) -> list[Claim]:
    command = store.claim({"default": 20}, ["work"], MINE, new_token(), "worker", 60_000_000, oldest=oldest)
    return store.run(command).claims


def finish(store: Store, claims: list[Claim]) -> None:
    store.run(store.settle([Settlement(claim.id, claim.token, State.COMPLETED, keep=0) for claim in claims]))


def check(store: Store, cost: Cost) -> None:
    """Count some claims, in both ways, before and after many other jobs are there."""

    def claims(*, oldest: bool) -> int:
        enqueue(store, 200)
        taken: list[int] = []

        def one() -> None:
            found = claim(store, oldest=oldest)
            taken.append(len(found))
            finish(store, found)

        costs = [cost(one) for _ in range(10)]
        assert taken == [20] * 10
        return sum(costs[2:])

    for warming in (False, True):
        claims(oldest=warming)
    alone, alone_by_age = claims(oldest=False), claims(oldest=True)
    fill(store)
    claims(oldest=False)
    beside, beside_by_age = claims(oldest=False), claims(oldest=True)

    assert beside <= 1.1 * alone
    assert beside_by_age <= 1.1 * alone_by_age
    assert cost(lambda: store.run(store.routes())) <= 200


def test_postgres_touches_no_more_pages(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plans = watched_plans(monkeypatch)
    store = PostgresStore(postgres_url)

    def pages(act: Callable[[], object]) -> int:
        plans.forget()
        act()
        return plans.pages

    check(store, pages)
    store.close()


def test_redis_runs_no_more_commands(redis_url: str) -> None:
    store = RedisStore(redis_url)
    with redis.Redis.from_url(redis_url.partition("?")[0], protocol=2) as client:

        def commands(act: Callable[[], object]) -> int:
            client.config_resetstat()
            act()
            statistics = client.info("commandstats")
            return sum(int(row["calls"]) for row in statistics.values())

        check(store, commands)
    store.drop()
    store.close()
