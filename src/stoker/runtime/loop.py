"""What the worker's loops share: sleeping by the worker's clock, and a service that ticks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from stoker.core.clock import Clock
from stoker.errors import StoreError
from stoker.telemetry.board import Events
from stoker.telemetry.events import StoreFailed


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


async def cancelled(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def first_of(*waits: Coroutine[Any, Any, object]) -> None:
    """Wait until one of several has ended, and cancel the others; raises what that one raised."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancelled(*tasks)
    for task in ended:
        task.result()


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
