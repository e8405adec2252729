"""While a caller's transaction is open, workers go on; only whoever asks for the same unique key waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from stoker.core.filters import EVERYTHING
from stoker.core.job import Claim, Due, NewJob, State, new_call, new_token
from stoker.core.settlement import Settled, Settlement
from stoker.core.unique import OnConflict, UniqueKey
from stoker.stores.postgres import PostgresStore

if TYPE_CHECKING:
    from tests.integration.transactions.conftest import Shop

POLICIES: list[OnConflict] = ["keep", "replace", "reschedule"]
WAITING = ("scheduled", "available", "retryable")
UNFINISHED = (*WAITING, "running")


@pytest.fixture(autouse=True)
def impatient(store: PostgresStore) -> None:
    """Let nobody wait for a lock, so that whoever would have to says so."""
    store._driver.params["options"] = "-c statement_timeout=1500ms"


def key(on_conflict: OnConflict = "keep", states: tuple[str, ...] = WAITING) -> UniqueKey:
    return UniqueKey("key", states, on_conflict=on_conflict)


def claim(store: PostgresStore) -> list[Claim]:
    store._marks.forget()  # look from the beginning of the line, as a worker does that slept
    return store.run(store.claim({"default": 10}, ["work"], [""], new_token(), "worker", 0)).claims


def settle(store: PostgresStore, claimed: Claim, state: State, **fields: Any) -> Settled:
    return store.run(store.settle([Settlement(claimed.id, claimed.token, state, **fields)]))[claimed.id]


async def test_a_claim_takes_what_lies_behind_an_uncommitted_enqueue(shop: Shop) -> None:
    (first,) = shop.enqueue_outside(NewJob("work", "{}"))
    (hidden,) = await shop.enqueue()
    (last,) = shop.enqueue_outside(NewJob("work", "{}"))
    assert [claimed.id for claimed in claim(shop.store)] == [first, last]
    await shop.caller.commit()
    assert [claimed.id for claimed in claim(shop.store)] == [hidden]


@pytest.mark.parametrize("on_conflict", POLICIES)
async def test_a_claim_passes_over_a_job_that_a_transaction_is_changing(shop: Shop, on_conflict: OnConflict) -> None:
    (holder,) = shop.enqueue_outside(NewJob("work", "{}", unique=key()))
    assert await shop.enqueue(NewJob("work", "[]", unique=key(on_conflict), due=Due(60_000_000))) == [holder]
    (other,) = shop.enqueue_outside(NewJob("work", "{}"))
    claimed = [one.id for one in claim(shop.store)]
    assert claimed == ([holder, other] if on_conflict == "keep" else [other])
    await shop.caller.rollback()
    assert [one.id for one in claim(shop.store)] == ([] if on_conflict == "keep" else [holder])


@pytest.mark.parametrize("states", [WAITING, UNFINISHED], ids=["waiting", "unfinished"])
@pytest.mark.parametrize("on_conflict", POLICIES)
@pytest.mark.parametrize("state", [State.COMPLETED, State.RETRYABLE, State.AVAILABLE, State.DISCARDED])
async def test_an_attempt_ends_while_a_transaction_asks_for_its_key(
    shop: Shop, on_conflict: OnConflict, states: tuple[str, ...], state: State
) -> None:
    shop.enqueue_outside(NewJob("work", "{}", unique=key(states=states)))
    (claimed,) = claim(shop.store)
    await shop.enqueue(NewJob("work", "[]", unique=key(on_conflict, states)))
    assert settle(shop.store, claimed, state, keep=0) is Settled.ACCEPTED
    if state is State.AVAILABLE:
        assert [one.id for one in claim(shop.store)] == [claimed.id]


@pytest.mark.parametrize("on_conflict", POLICIES)
async def test_the_jobs_of_a_silent_worker_come_back_while_a_transaction_asks_for_a_key(
    shop: Shop, on_conflict: OnConflict
) -> None:
    shop.enqueue_outside(NewJob("work", "{}", unique=key()), NewJob("work", "{}"))
    claimed = claim(shop.store)
    await shop.enqueue(NewJob("work", "[]", unique=key(on_conflict)))
    back = shop.store.run(shop.store.reclaim(10, [claimed[0].token])).available
    assert back == tuple(one.id for one in claimed)
    assert [one.id for one in claim(shop.store)] == list(back)


@pytest.mark.parametrize("on_conflict", POLICIES)
async def test_maintenance_and_operators_do_not_wait_either(shop: Shop, on_conflict: OnConflict) -> None:
    shop.enqueue_outside(NewJob("work", "{}", unique=key(), due=Due(1)))
    await shop.enqueue(NewJob("work", "[]", unique=key(on_conflict), due=Due(60_000_000)))
    store = shop.store
    store.run(store.promote(10))
    store.run(store.prune(10))
    store.run(store.count())
    for verb in (store.promote_now, store.retry, store.cancel, store.delete):
        store.run(verb(EVERYTHING, 10))


async def test_the_second_to_ask_for_a_key_waits_for_the_first_and_learns_of_it(shop: Shop) -> None:
    (first,) = await shop.enqueue(NewJob("work", "{}", unique=key()))
    second, answered = beside(lambda: enqueue_in_another(shop))
    assert not answered.wait(0.3)
    await shop.caller.commit()
    assert answered.wait(5)
    assert second == [first]


async def test_the_second_to_ask_for_a_key_gets_it_when_the_first_rolls_back(shop: Shop) -> None:
    (first,) = await shop.enqueue(NewJob("work", "{}", unique=key()))
    second, answered = beside(lambda: enqueue_in_another(shop))
    assert not answered.wait(0.3)
    await shop.caller.rollback()
    assert answered.wait(5)
    assert shop.stored() == second != [first]


def enqueue_in_another(shop: Shop) -> list[str]:
    with psycopg.connect(shop.caller.conninfo) as caller:
        command = shop.store.enqueue([NewJob("work", "{}", unique=key())], new_call())
        return [answer.id for answer in shop.store.run(command, on=caller)]


def beside(task: Callable[[], list[str]]) -> tuple[list[str], threading.Event]:
    """Run a task in a thread; give the list that its answer comes into, and the event that says so."""
    answers: list[str] = []
    answered = threading.Event()

    def run() -> None:
        answers.extend(task())
        answered.set()

    threading.Thread(target=run, daemon=True).start()
    return answers, answered


@pytest.mark.parametrize("caller", [("psycopg", "REPEATABLE READ"), ("psycopg", "SERIALIZABLE")], indirect=True)
@pytest.mark.parametrize("on_conflict", [*POLICIES, "raise"])
async def test_a_snapshot_older_than_the_key_is_told_to_begin_again(shop: Shop, on_conflict: OnConflict) -> None:
    await shop.add()
    shop.enqueue_outside(NewJob("work", "{}", unique=key()))
    with pytest.raises(psycopg.errors.SerializationFailure):
        await shop.enqueue(NewJob("work", "{}", unique=key(on_conflict)))
    await shop.caller.commit()
    assert (len(shop.stored()), shop.customers()) == (1, 1)


async def test_a_new_route_in_an_open_transaction_keeps_nobody_waiting(shop: Shop) -> None:
    await shop.enqueue(NewJob("work", "{}", route="gpu"))
    (theirs,) = shop.enqueue_outside(NewJob("work", "[]", route="gpu"))
    store = shop.store
    command = store.claim({"default": 10}, ["work"], store.run(store.routes()), new_token(), "worker", 0)
    assert [claimed.id for claimed in store.run(command).claims] == [theirs]
    await shop.caller.commit()
    assert store.run(store.routes()) == ["gpu"]
