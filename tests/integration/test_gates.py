"""One tenant's long queue at a gate costs the others nothing: 100,000 jobs wait there while others come and go."""

from __future__ import annotations

import pytest

from stoker.core.job import Claim, NewJob, State, new_call, new_token
from stoker.core.limits import Gate, Rule
from stoker.core.settlement import Settlement
from stoker.stores.base import Store
from tests.rigs.costs import KINDS, Cost, counted


def enqueue(store: Store, count: int, tenant: str) -> None:
    for start in range(0, count, 5000):
        jobs = [NewJob("work", "{}", gates=(Gate(f"tenant={tenant}"),))] * min(5000, count - start)
        store.run(store.enqueue(jobs, new_call()))


def claim(store: Store) -> list[Claim]:
    command = store.claim({"default": 100}, ["work"], [""], new_token(), "worker", 60_000_000)
    return store.run(command).claims


def rounds(store: Store, cost: Cost) -> int:
    """Bring five jobs of each of four tenants at a time, and let two of each in, until all are done; give the cost."""
    done, spent = 0, 0

    def one() -> None:
        nonlocal done
        store.run(store.admit(1000))
        claims = claim(store)
        assert len(claims) == 8
        store.run(store.settle([Settlement(one.id, one.token, State.COMPLETED, keep=0) for one in claims]))
        done += len(claims)

    for tenant in "abcd":
        enqueue(store, 20, tenant)
    while done < 80:
        spent += cost(one)
    return spent


@pytest.mark.parametrize("kind", KINDS)
def test_what_waits_for_one_tenant_costs_the_others_nothing(kind: str, request: pytest.FixtureRequest) -> None:
    with counted(kind, request) as (store, cost):
        store.run(store.define([Rule("tenant", running=2)], replace=True))
        rounds(store, cost)
        enqueue(store, 3000, "full")  # as many as make indexes as deep as they will be
        store.run(store.admit(1000))
        assert len(claim(store)) == 2
        cost.tidy()
        alone = rounds(store, cost)
        enqueue(store, 100_000, "full")
        store.run(store.admit(1000))
        rounds(store, cost)
        cost.tidy()

        assert 0 < rounds(store, cost) <= 1.1 * alone
