"""How workers of this process learn that something may have become available, whoever made it so."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Sequence
from typing import Final

from stoker.core.clock import Clock
from stoker.drivers.bell import Bell
from stoker.drivers.sqlite import SqliteDriver

POLL_SECONDS: Final = 0.042
"""How often a waiting worker looks whether another process has committed. A look takes 7 µs, but waking up for it up
to 200 µs (on a virtual machine); so an idle worker costs less than a hundredth of a core."""


class _Ticker:
    """Calls a function on the running loop, now and every `POLL_SECONDS`, in real time."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick
        self._loop = asyncio.get_running_loop()
        self._next: asyncio.Handle = self._loop.call_soon(self._run)

    def stop(self) -> None:
        self._next.cancel()

    def _run(self) -> None:
        self._next = self._loop.call_later(POLL_SECONDS, self._run)
        self._tick()


class Waiting:
    """A bell for what this process commits, and a look at the file for what others do."""

    def __init__(self, driver: SqliteDriver, clock: Clock) -> None:
        self._driver = driver
        self._clock = clock
        self._start_over()

    def ring(self, queues: Collection[str] | None) -> None:
        """Wake those who wait for one of the queues; None means everybody."""
        self._check_process()
        self._bell.ring(self._queues if queues is None else queues)

    async def wait(self, queues: Sequence[str], timeout: float) -> bool:
        """Wait until the bell rings for one of the queues or another process commits, at most ``timeout`` seconds."""
        self._check_process()
        self._queues |= frozenset(queues)
        if await self._driver.listen():
            return True
        ticker = _Ticker(self._look)
        try:
            return await self._bell.wait(queues, timeout, self._clock)
        finally:
            ticker.stop()

    def _look(self) -> None:
        if self._driver.changed():
            # Only one waiter sees a change, and it does not know for whom it was.
            self._bell.ring(self._queues)

    def _check_process(self) -> None:
        if self._process != os.getpid():
            self._start_over()

    def _start_over(self) -> None:
        self._process = os.getpid()
        self._bell = Bell()
        self._queues: frozenset[str] = frozenset()
        """Every queue that somebody in this process has waited for."""
