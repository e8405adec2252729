"""How long to wait before the next attempt."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.core.backoff import (
    LONGEST,
    Backoff,
    exponential,
    fixed,
    gocraft,
    linear,
    power_minutes,
    sidekiq,
    wait_after,
)
from stoker.core.duration import micros
from stoker.errors import ConfigurationError

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("backoff", "waits"),
    [
        (sidekiq, [15, 16, 31, 96, 271]),
        (gocraft, [16, 31, 96, 271, 640]),
        (exponential(), [1, 2, 4, 8, 16]),
        (exponential("2s", factor=3, maximum="1m"), [2, 6, 18, 54, 60]),
        (linear(), [15, 30, 45, 60, 75]),
        (linear("10s", maximum=25), [10, 20, 25, 25, 25]),
        (fixed("1m"), [60] * 5),
        (fixed(0), [0] * 5),
        (power_minutes(), [120, 240, 480, 960, 1920]),
        (power_minutes(maximum="5m"), [120, 240, 300, 300, 300]),
        (lambda failures: timedelta(minutes=failures), [60, 120, 180, 240, 300]),
    ],
)
def test_each_backoff_waits_by_the_number_of_failures(backoff: Backoff, waits: list[float]) -> None:
    assert [micros(backoff(failures)) / SECOND for failures in range(1, 6)] == waits


def test_twenty_attempts_on_the_default_curve_take_about_five_days() -> None:
    days = sum(wait_after(failures, sidekiq, 0.0) for failures in range(1, 20)) / SECOND / 86_400

    assert 4 < days < 6


def test_gocrafts_curve_has_gocrafts_jitter() -> None:
    assert [wait_after(2, gocraft, chance) / SECOND for chance in (0.0, 0.5)] == [31, 31 + 43.5]


@given(st.integers(1, 10**6), st.floats(0, 1, exclude_max=True))
def test_jitter_adds_up_to_a_tenth_and_never_takes_away(failures: int, chance: float) -> None:
    for backoff in (exponential(), linear(), power_minutes(), fixed("1s")):
        least = wait_after(failures, backoff, 0.0)
        assert least <= wait_after(failures, backoff, chance) <= least * 1.1 + 1
        assert least <= LONGEST


@given(st.integers(1, 36), st.floats(0, 1, exclude_max=True))
def test_the_jitter_of_sidekiqs_curve_is_sidekiqs(failures: int, chance: float) -> None:
    least = wait_after(failures, sidekiq, 0.0)

    assert least == ((failures - 1) ** 4 + 15) * SECOND
    assert least <= wait_after(failures, sidekiq, chance) <= least + 9 * failures * SECOND


def test_a_wait_is_never_longer_than_a_month_before_jitter() -> None:
    assert wait_after(1, fixed("10w"), 0.0) == LONGEST


@pytest.mark.parametrize("endless", [10**12, 1e300, float("inf"), timedelta(days=50_000)])
def test_a_wait_that_grows_without_end_is_a_month_and_no_error(endless: Any) -> None:
    assert wait_after(1, lambda failures: endless, 0.0) == LONGEST
    assert wait_after(1000, sidekiq, 0.0) == LONGEST


@pytest.mark.parametrize("nonsense", [None, "soon", -1, float("nan")])
def test_a_backoff_that_gives_nonsense_is_named(nonsense: Any) -> None:
    with pytest.raises(ConfigurationError, match="backoff: "):
        wait_after(1, lambda failures: nonsense, 0.0)
