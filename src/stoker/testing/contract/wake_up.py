"""Waking up: a worker that sleeps learns in time that there is something to do.

`wait` may lie in both directions, by no more than a poll interval; so the clock is moved in small steps, and what is
tested is that a sleeper wakes long before its timeout.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Final

import pytest

from stoker.core.capability import Capability
from stoker.core.job import Due, State
from stoker.stores.base import Store
from stoker.testing.contract.base import (
    MINUTE,
    Another,
    ContractTests,
    claim,
    claim_one,
    enqueue_one,
    needs,
    only,
    settle,
)
from stoker.testing.fake_clock import FakeClock

TIMEOUT: Final = 3600.0


class WakeUpContract(ContractTests):
    @pytest.mark.asyncio
    async def test_with_nothing_to_do_the_timeout_ends_the_sleep(self, store: Store, clock: FakeClock) -> None:
        sleeper = await asleep(store, timeout=2.0)
        assert await seconds_until_awake(sleeper, clock) <= 3.0

        assert sleeper.result() is False

    @pytest.mark.asyncio
    async def test_no_time_to_sleep_is_no_sleep(self, store: Store) -> None:
        await asyncio.wait_for(store.wait(["default"], 0.0), 5)

    @pytest.mark.asyncio
    async def test_an_enqueue_wakes(self, store: Store, clock: FakeClock) -> None:
        sleeper = await asleep(store)
        enqueue_one(store)

        assert await seconds_until_awake(sleeper, clock) < 60

    @pytest.mark.asyncio
    async def test_an_enqueue_in_another_thread_wakes(self, store: Store, clock: FakeClock) -> None:
        sleeper = await asleep(store)
        in_a_thread(lambda: enqueue_one(store))

        assert await seconds_until_awake(sleeper, clock) < 60

    @pytest.mark.asyncio
    async def test_an_enqueue_through_another_handle_wakes(
        self, store: Store, another: Another, clock: FakeClock
    ) -> None:
        sleeper, other = await asleep(store), another()
        in_a_thread(lambda: enqueue_one(other))

        assert await seconds_until_awake(sleeper, clock) < 60

    @pytest.mark.asyncio
    async def test_an_enqueue_into_one_of_several_queues_wakes(self, store: Store, clock: FakeClock) -> None:
        sleeper = await asleep(store, "mail", "images", "default")
        enqueue_one(store, queue="images")

        assert await seconds_until_awake(sleeper, clock) < 60

    @pytest.mark.asyncio
    async def test_an_enqueue_between_a_claim_and_the_sleep_wakes(self, store: Store, clock: FakeClock) -> None:
        await seconds_until_awake(await asleep(store, timeout=1.0), clock)
        assert claim(store) == []
        enqueue_one(store)
        sleeper = asyncio.create_task(store.wait(["default"], TIMEOUT))

        assert await seconds_until_awake(sleeper, clock) < 60

    @pytest.mark.asyncio
    async def test_all_who_sleep_are_woken(self, store: Store, another: Another, clock: FakeClock) -> None:
        sleepers = [await asleep(store), await asleep(store), await asleep(another())]
        enqueue_one(store)

        for sleeper in sleepers:
            assert await seconds_until_awake(sleeper, clock) < 60

    @pytest.mark.asyncio
    async def test_sleepers_on_different_event_loops_are_woken(self, store: Store, clock: FakeClock) -> None:
        woken = threading.Event()

        def sleep_elsewhere() -> None:
            asyncio.run(store.wait(["default"], TIMEOUT))
            woken.set()

        thread = threading.Thread(target=sleep_elsewhere, daemon=True)
        thread.start()
        sleeper = await asleep(store)
        enqueue_one(store)

        assert await seconds_until_awake(sleeper, clock) < 60
        assert await seconds_until(woken.is_set, clock) < 60
        thread.join(5)

    @needs(Capability.SCHEDULE | Capability.PROMOTION)
    @pytest.mark.asyncio
    async def test_a_promotion_wakes(self, store: Store, clock: FakeClock) -> None:
        enqueue_one(store, due=Due(MINUTE))
        clock.advance("1m")
        sleeper = await asleep(store)
        store.run(store.promote(10))

        assert await seconds_until_awake(sleeper, clock) < 60

    @pytest.mark.asyncio
    async def test_a_job_given_back_wakes(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store)
        sleeper = await asleep(store)
        settle(store, claimed, State.AVAILABLE)

        assert await seconds_until_awake(sleeper, clock) < 60

    @needs(Capability.LEASE)
    @pytest.mark.asyncio
    async def test_a_reclaim_wakes(self, store: Store, clock: FakeClock) -> None:
        claim_one(store)
        clock.advance("31s")
        sleeper = await asleep(store)
        store.run(store.reclaim(10))

        assert await seconds_until_awake(sleeper, clock) < 60

    @needs(Capability.RETRY)
    @pytest.mark.asyncio
    async def test_a_retry_wakes(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store)
        settle(store, claimed, State.DISCARDED)
        sleeper = await asleep(store)
        store.run(store.retry(only(claimed.id), 10))

        assert await seconds_until_awake(sleeper, clock) < 60

    @needs(Capability.RETRY)
    @pytest.mark.asyncio
    async def test_a_requeue_wakes(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store)
        sleeper = await asleep(store)
        store.run(store.requeue(only(claimed.id), 10, force=True))

        assert await seconds_until_awake(sleeper, clock) < 60

    @needs(Capability.PAUSE)
    @pytest.mark.asyncio
    @pytest.mark.parametrize(("kind", "value"), [("queue", "default"), ("name", "work")])
    async def test_resuming_wakes(self, store: Store, clock: FakeClock, kind: str, value: str) -> None:
        enqueue_one(store)
        store.run(store.pause(kind, [value], True))
        sleeper = await asleep(store)
        store.run(store.pause(kind, [value], False))

        assert await seconds_until_awake(sleeper, clock) < 60

    @pytest.mark.asyncio
    async def test_a_sleep_can_be_cancelled(self, store: Store) -> None:
        sleeper = await asleep(store)
        sleeper.cancel()

        with pytest.raises(asyncio.CancelledError):
            await sleeper


async def asleep(store: Store, *queues: str, timeout: float = TIMEOUT) -> asyncio.Task[bool]:
    """Let somebody fall asleep who has claimed and found nothing; who is told of what is past does both again."""
    while True:
        assert claim(store, queues=queues or ["default"]) == []
        sleeper = asyncio.create_task(store.wait(queues or ["default"], timeout))
        await asyncio.wait([sleeper], timeout=0.1)  # some have to begin to listen first
        if not sleeper.done():
            return sleeper


async def seconds_until_awake(sleeper: asyncio.Task[bool], clock: FakeClock) -> float:
    """Move the clock until somebody is awake; give the seconds it took by that clock."""
    passed = await seconds_until(sleeper.done, clock)
    sleeper.result()
    return passed


async def seconds_until(happened: Callable[[], bool], clock: FakeClock) -> float:
    """Move the clock in steps of 20 ms until something has happened."""
    start = clock.monotonic()
    # Real time passes too: for threads to run, for stores that look at a file in real time, and to end the test.
    async with asyncio.timeout(20):
        for _ in range(5):
            await asyncio.sleep(0.001)
        while not happened():
            clock.advance("20ms")
            await asyncio.sleep(0.001)
    return clock.monotonic() - start


def in_a_thread(action: Callable[[], object]) -> None:
    """Do something in a thread of its own, and wait until it is done."""
    thread = threading.Thread(target=action)
    thread.start()
    thread.join()
