"""The clock of production: the operating system's."""

from __future__ import annotations

import time
from collections.abc import Callable

from stoker.core.clock import Timer


class SystemClock:
    """Wall clock, monotonic clock and timers of this machine."""

    def now(self) -> int:
        """Give the wall clock, in microseconds since the epoch."""
        return time.time_ns() // 1_000

    monotonic = staticmethod(time.monotonic)

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Call back on the running event loop after ``delay`` seconds; RuntimeError when none runs."""
        import asyncio

        return asyncio.get_running_loop().call_later(delay, callback)
