"""What a handler raises to say how its attempt ends; raised, not returned, so that the result type stays clean."""

from __future__ import annotations

from stoker.core.duration import Duration, micros


class Signal(Exception):
    """Base of the four signals. Not a StokerError: a handler that catches those must not swallow its own signal."""


class Retry(Signal):
    """Fail this attempt and try again: after ``delay`` (a duration), or after the job's backoff when None.

    Counts a failure; the last attempt allowed ends the job discarded.
    """

    def __init__(self, delay: Duration | None = None, reason: str = "") -> None:
        super().__init__(reason or "the handler asked for a retry")
        self.delay = None if delay is None else micros(delay, "Retry(delay)")
        """Microseconds, or None."""
        self.reason = reason


class Snooze(Signal):
    """Run again after ``delay`` (a duration); no failure is counted."""

    def __init__(self, delay: Duration) -> None:
        super().__init__(f"the handler snoozed the job for {delay}")
        self.delay = micros(delay, "Snooze(delay)")
        """Microseconds."""


class Cancel(Signal):
    """End the job for good as cancelled."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason or "cancelled by its handler")
        self.reason = reason or "cancelled by its handler"


class Discard(Signal):
    """End the job for good as discarded, whatever attempts are left."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason or "discarded by its handler")
        self.reason = reason or "discarded by its handler"
