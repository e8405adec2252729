"""What the worker's loops share: sleeping by the worker's clock, and a service that ticks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from stoker.core.clock import Clock
from stoker.errors import StoreError
from stoker.telemetry.events import Events, StoreFailed


async def sleep(clock: Clock, seconds: float) -> None:
    """Sleep by the given clock, so that tests move time instead of waiting."""
    woken = asyncio.get_running_loop().create_future()

    def wake() -> None:
        if not woken.done():
            woken.set_result(None)

    timer = clock.call_later(seconds, wake)
    try:
        await woken
    finally:
        timer.cancel()


async def tick_for_ever(
    name: str, tick: Callable[[], Awaitable[None]], interval: float, clock: Clock, events: Events
) -> None:
    """Tick, sleep ``interval`` seconds give or take a tenth, and again; an unreachable store only costs the tick."""
    while True:
        try:
            await tick()
        except StoreError as error:
            events.emit(StoreFailed(name, error, interval))
        await sleep(clock, interval * random.uniform(0.9, 1.1))
