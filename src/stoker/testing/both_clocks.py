"""A clock whose timers also ring in real time: what hangs in a test ends at its timeout all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from stoker.core.clock import Clock, Timer


class BothClocks:
    """Shows a fake clock's time; an arranged call comes when either the fake or the real time is over."""

    def __init__(self, fake: Clock) -> None:
        self._fake = fake
        self.now = fake.now
        self.monotonic = fake.monotonic

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Call back on the running event loop, once."""
        return _Either(self._fake, delay, callback)


class _Either:
    def __init__(self, fake: Clock, delay: float, callback: Callable[[], object]) -> None:
        self._callback = callback
        self._timers: tuple[Timer, Timer] = (
            fake.call_later(delay, self._fire),
            asyncio.get_running_loop().call_later(delay, self._fire),
        )

    def cancel(self) -> None:
        for timer in self._timers:
            timer.cancel()

    def _fire(self) -> None:
        self.cancel()
        self._callback()
