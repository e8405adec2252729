"""A claim costs the same whatever stands in other lanes: 100,000 jobs of other tags and of unknown names in front."""

from __future__ import annotations

import pytest

from stoker.core.job import Claim, NewJob, State, new_call, new_token
from stoker.core.settlement import Settlement
from stoker.stores.base import Store
from tests.rigs.costs import KINDS, Cost, counted

MINE = ["gpu", "eu,gpu"]


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


def check(store: Store, cost: Cost, *, all_routes: int = 200) -> None:
    """Count some claims, in both ways, before and after many other jobs are there; and what it costs to name routes."""

    def claims(*, oldest: bool) -> int:
        enqueue(store, 200)
        cost.tidy()
        taken: list[int] = []

        def one() -> None:
            found = claim(store, oldest=oldest)
            taken.append(len(found))
            finish(store, found)

        costs = [cost(one) for _ in range(10)]
        assert taken == [20] * 10
        return sorted(costs[2:])[4]  # the median: a server tidies up between, and pages of that are counted too

    enqueue(store, 3000, route="ssd")  # as many as make indexes as deep as they will be
    for warming in (False, True):
        claims(oldest=warming)
    alone, alone_by_age = claims(oldest=False), claims(oldest=True)
    fill(store)
    claims(oldest=False)
    beside, beside_by_age = claims(oldest=False), claims(oldest=True)

    assert 0 < beside <= 1.1 * alone
    assert beside_by_age <= 1.1 * alone_by_age
    assert cost(lambda: store.run(store.routes())) <= all_routes


@pytest.mark.parametrize("kind", KINDS)
def test_other_lanes_cost_nothing(kind: str, request: pytest.FixtureRequest) -> None:
    with counted(kind, request) as (store, cost):
        check(store, cost)
