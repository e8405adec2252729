"""How long to wait before the next attempt.

A backoff is called with the number of failures so far (1 after the first) and gives a duration. Jitter is added by
`wait_after`, from a chance that the caller draws, so that everything here stays pure.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final, TypeAlias

from stoker.core.duration import SECOND, Duration, micros

Backoff: TypeAlias = Callable[[int], Duration]
LONGEST: Final = 30 * 86_400 * SECOND


def sidekiq(failures: int) -> Duration:
    """Wait ``count⁴ + 15`` seconds, count being 0 at the first retry.

    Source: Sidekiq's ``lib/sidekiq/job_retry.rb``; twenty attempts span about five days.
    """
    return (failures - 1) ** 4 + 15


def gocraft(failures: int) -> Duration:
    """Wait ``failures⁴ + 15`` seconds, as gocraft/work does (``worker.go``)."""
    return failures**4 + 15


def exponential(base: Duration = "1s", *, factor: float = 2.0, maximum: Duration = "1d") -> Backoff:
    """Wait ``base``, then ``factor`` times as long after each further failure, never longer than ``maximum``."""
    first, most = micros(base, "base"), micros(maximum, "maximum")

    def wait(failures: int) -> Duration:
        # The exponent is bounded because factor ** 2000 would overflow a float.
        return min(first * factor ** min(failures - 1, 500), most) / SECOND

    return wait


def linear(step: Duration = "15s", *, maximum: Duration = "1d") -> Backoff:
    """Wait ``step`` times the number of failures, never longer than ``maximum``."""
    one, most = micros(step, "step"), micros(maximum, "maximum")
    return lambda failures: min(one * failures, most) / SECOND


def fixed(delay: Duration) -> Backoff:
    """Wait the same each time."""
    always = micros(delay, "delay") / SECOND
    return lambda failures: always


def power_minutes(*, maximum: Duration = "30d") -> Backoff:
    """Wait 2ⁿ minutes after the nth failure, as crates.io's workers do (``src/runner.rs``)."""
    most = micros(maximum, "maximum")
    return lambda failures: min(2 ** min(failures, 40) * 60 * SECOND, most) / SECOND


def wait_after(failures: int, backoff: Backoff, chance: float) -> int:
    """Give the microseconds to wait after so many failures; jitter adds up to a tenth, by a chance in [0, 1).

    To Sidekiq's curve it adds what Sidekiq does, up to nine seconds for each failure; to gocraft's what gocraft does,
    up to 29 seconds for each attempt made.
    A backoff that gives nonsense raises ConfigurationError; one that grows without end is cut at 30 days.
    """
    asked = backoff(failures)
    if isinstance(asked, timedelta):
        asked = asked.total_seconds()
    if isinstance(asked, int | float) and asked > LONGEST / SECOND:
        return LONGEST + int(LONGEST * 0.1 * chance)  # before `micros`, which refuses more than 100 years
    base = min(micros(asked, "backoff"), LONGEST)
    spread = base * 0.1
    if backoff is sidekiq:
        spread = 9 * SECOND * failures
    elif backoff is gocraft:
        spread = 29 * SECOND * (failures + 1)
    return base + int(spread * chance)
