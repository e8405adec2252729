"""What the worker's loops share: sleeping by the worker's clock, and a service that ticks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, TypeAlias

from stoker.core.clock import Clock
from stoker.errors import StoreError
from stoker.telemetry.board import Events
from stoker.telemetry.events import StoreFailed

Tick: TypeAlias = tuple[str, Callable[[], Awaitable[None]], float]
"""Its name, what is done, and seconds from one to the next."""


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
    name: str,
    tick: Callable[[], Awaitable[None]],
    interval: float,
    clock: Clock,
    events: Events,
    turn: AbstractAsyncContextManager[object] | None = None,
) -> None:
    """Tick, sleep ``interval`` seconds give or take a tenth, and again; an unreachable store only costs the tick.

    The first tick is made in ``turn``: where all wait for one, a service that starts asks for one thing at a time.
    """
    turn = turn or nullcontext()
    while True:
        async with turn:
            try:
                await tick()
            except StoreError as error:
                events.emit(StoreFailed(name, error, interval))
        turn = nullcontext()
        await sleep(clock, interval * random.uniform(0.9, 1.1))
