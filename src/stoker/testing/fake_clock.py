"""A clock for tests: it stands still until it is told how much time has passed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final

from stoker.core.duration import SECOND, Duration, micros

START: Final = 1_767_268_800 * SECOND
"""Where a fake clock starts: 1 January 2026, 12:00 UTC."""


class FakeTimer:
    """A call arranged on a fake clock."""

    __slots__ = ("_callback", "_loop", "cancelled")

    def __init__(self, callback: Callable[[], object], loop: asyncio.AbstractEventLoop | None) -> None:
        self._callback = callback
        self._loop = loop
        self.cancelled = False

    def cancel(self) -> None:
        """Forget it; harmless when it has already happened."""
        self.cancelled = True

    def fire(self) -> None:
        """Call back at once on its own loop's thread, else by handing it to that loop."""
        if self._loop is None or self._loop is _running_loop():
            self._callback()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._callback)


class FakeClock:
    """A `Clock` that only `advance` moves. Threads may share it; pickled, it is a copy that shows the same time."""

    def __init__(self, now: int = START) -> None:
        self._now = now
        self._offset = 0
        self._lock = threading.RLock()
        self._timers: list[tuple[int, int, FakeTimer]] = []
        self._count = 0

    def jump(self, duration: Duration) -> None:
        """Set the wall clock forward as an administrator does: no time passes, no timer fires."""
        self._offset += micros(duration)

    def __reduce__(self) -> tuple[type[FakeClock], tuple[int]]:
        return FakeClock, (self.now(),)

    def now(self) -> int:
        """Give the fake instant, in microseconds since the epoch."""
        return self._now + self._offset

    def monotonic(self) -> float:
        """Give the time that has passed, in seconds; a `jump` does not show here."""
        return self._now / SECOND

    def call_later(self, delay: float, callback: Callable[[], object]) -> FakeTimer:
        """Call back once the clock has been advanced by ``delay`` seconds, on the loop that runs now, if one does."""
        timer = FakeTimer(callback, _running_loop())
        with self._lock:
            self._count += 1
            heappush(self._timers, (self._now + round(delay * SECOND), self._count, timer))
        return timer

    @property
    def pending(self) -> int:
        """How many calls are arranged: lets a test wait until somebody sleeps on this clock."""
        with self._lock:
            return sum(not timer.cancelled for _, _, timer in self._timers)

    def advance(self, duration: Duration) -> None:
        """Let time pass and fire what falls due in between, in order, each at its own instant."""
        with self._lock:
            until = self._now + micros(duration)
            while self._timers and self._timers[0][0] <= until:
                at, _, timer = heappop(self._timers)
                self._now = max(self._now, at)
                if not timer.cancelled:
                    timer.fire()
            self._now = until


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
