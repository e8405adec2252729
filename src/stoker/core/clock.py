"""Time as the runtime sees it; tests replace it by a clock that stands still until told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call that has been arranged for later."""

    def cancel(self) -> None:
        """Forget it; harmless when it has already happened."""


class Clock(Protocol):
    """The one source of time of a store or a worker."""

    def now(self) -> int:
        """Give the wall clock, in microseconds since the epoch."""

    def monotonic(self) -> float:
        """Give a clock that never goes back, in seconds."""

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Call back on the running event loop after ``delay`` seconds."""
