"""The fake clock stands still, and fires what is arranged on it in order."""

from __future__ import annotations

import asyncio
import pickle
import threading

from stoker.core.duration import SECOND
from stoker.testing.fake_clock import START, FakeClock


def test_it_stands_still() -> None:
    clock = FakeClock()

    assert (clock.now(), clock.monotonic()) == (START, START / SECOND)


def test_both_clocks_move_together() -> None:
    clock = FakeClock()
    clock.advance("1m30s")

    assert (clock.now(), clock.monotonic()) == (START + 90 * SECOND, START / SECOND + 90)


def test_what_is_due_fires_in_order_each_at_its_own_instant() -> None:
    clock = FakeClock()
    fired: list[int] = []
    for delay in (3, 1, 2):
        clock.call_later(delay, lambda: fired.append(clock.now() - START))
    clock.advance(2.5)
    assert fired == [1 * SECOND, 2 * SECOND]

    clock.advance(1)
    assert fired == [1 * SECOND, 2 * SECOND, 3 * SECOND]


def test_what_a_call_arranges_fires_within_the_same_advance() -> None:
    clock = FakeClock()
    fired: list[int] = []
    clock.call_later(1, lambda: clock.call_later(1, lambda: fired.append(clock.now() - START)))
    clock.advance(5)

    assert fired == [2 * SECOND]


def test_a_cancelled_call_does_not_fire() -> None:
    clock = FakeClock()
    fired: list[int] = []
    timer = clock.call_later(1, lambda: fired.append(1))
    timer.cancel()

    assert clock.pending == 0
    clock.advance(2)
    assert fired == []


async def test_another_threads_advance_fires_on_the_loop_that_arranged_the_call() -> None:
    clock, loop = FakeClock(), asyncio.get_running_loop()
    fired: asyncio.Future[int] = loop.create_future()
    clock.call_later(1, lambda: fired.set_result(threading.get_ident()))
    thread = threading.Thread(target=clock.advance, args=(1,))
    thread.start()
    thread.join()

    assert await asyncio.wait_for(fired, 5) == threading.get_ident()


def test_a_pickled_clock_shows_the_same_time() -> None:
    clock = FakeClock()
    clock.advance("1h")

    assert pickle.loads(pickle.dumps(clock)).now() == clock.now()
