"""The bell: rung from anywhere, heard on every loop, never missed between two waits."""

from __future__ import annotations

import asyncio
import threading

import pytest

from stoker.drivers.bell import Bell
from stoker.drivers.system_clock import SystemClock
from stoker.testing.fake_clock import FakeClock


async def listening(bell: Bell, clock: FakeClock, *queues: str, timeout: float = 60.0) -> asyncio.Task[bool]:
    waiting = asyncio.create_task(bell.wait(queues, timeout, clock))
    await asyncio.sleep(0)
    return waiting


async def test_a_ring_wakes_who_waits_for_its_queue() -> None:
    bell = Bell()
    waiting = await listening(bell, FakeClock(), "mail", "images")
    bell.ring(["images"])

    assert await waiting is True


async def test_a_ring_for_another_queue_wakes_nobody() -> None:
    bell, clock = Bell(), FakeClock()
    waiting = await listening(bell, clock, "mail")
    bell.ring(["images"])
    clock.advance("60s")

    assert await waiting is False


async def test_the_timeout_is_measured_by_the_clock_given() -> None:
    bell, clock = Bell(), FakeClock()
    waiting = await listening(bell, clock, "mail", timeout=2.0)
    clock.advance("1.999s")
    await asyncio.sleep(0)
    assert not waiting.done()

    clock.advance("1ms")
    assert await waiting is False


async def test_a_ring_between_two_waits_is_heard_once() -> None:
    bell, clock = Bell(), FakeClock()
    bell.ring(["mail"])

    assert await bell.wait(["mail"], 60.0, clock) is True
    waiting = await listening(bell, clock, "mail")
    assert not waiting.done()
    bell.ring(["mail"])
    assert await waiting is True


async def test_a_wait_that_was_cancelled_leaves_the_ring_for_the_next() -> None:
    bell, clock = Bell(), FakeClock()
    waiting = await listening(bell, clock, "mail")
    bell.ring(["mail"])
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert await bell.wait(["mail"], 60.0, clock) is True


async def test_a_wait_that_is_over_leaves_no_timer_behind() -> None:
    bell, clock = Bell(), FakeClock()
    waiting = await listening(bell, clock, "mail")
    assert clock.pending == 1
    bell.ring(["mail"])
    await waiting

    assert clock.pending == 0


async def test_no_time_to_wait_is_answered_at_once() -> None:
    assert await Bell().wait(["mail"], 0, FakeClock()) is False


async def test_it_may_be_rung_from_any_thread() -> None:
    bell = Bell()
    waiting = await listening(bell, FakeClock(), "mail")
    thread = threading.Thread(target=bell.ring, args=(["mail"],))
    thread.start()
    thread.join()

    assert await asyncio.wait_for(waiting, 5) is True


def test_each_loop_hears_it() -> None:
    bell = Bell()
    armed = threading.Barrier(3)
    heard: list[bool] = []

    async def wait() -> None:
        waiting = asyncio.create_task(bell.wait(["mail"], 30.0, SystemClock()))
        await asyncio.sleep(0)
        armed.wait(5)
        heard.append(await waiting)

    threads = [threading.Thread(target=asyncio.run, args=(wait(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    armed.wait(5)
    bell.ring(["mail"])
    for thread in threads:
        thread.join(5)

    assert heard == [True, True]


def test_a_loop_that_was_closed_is_no_obstacle() -> None:
    bell = Bell()
    waiting = bell.wait(["mail"], 30.0, FakeClock())

    async def arm() -> None:
        waiting.send(None)

    asyncio.run(arm())
    bell.ring(["mail"])
    waiting.close()
