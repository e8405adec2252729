"""Durations as people write them, kept as whole microseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.core.duration import as_datetime, in_words, instant_micros, keep_micros, micros, seconds
from stoker.errors import ConfigurationError

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (1, SECOND),
        (0.5, SECOND // 2),
        (1e-6, 1),
        ("30s", 30 * SECOND),
        ("250ms", SECOND // 4),
        ("5m", 300 * SECOND),
        ("1.5h", 5400 * SECOND),
        ("1d", 86_400 * SECOND),
        ("2w", 1_209_600 * SECOND),
        ("1h30m", 5400 * SECOND),
        (" 1h 30m ", 5400 * SECOND),
        ("0s", 0),
        (timedelta(days=1, microseconds=1), 86_400 * SECOND + 1),
        (timedelta(days=365 * 100), 365 * 100 * 86_400 * SECOND),
    ],
)
def test_a_duration_is_a_number_of_seconds_a_timedelta_or_a_text_with_units(value: Any, expected: int) -> None:
    assert micros(value) == expected
    assert seconds(value) == expected / SECOND


@pytest.mark.parametrize(
    "value", ["", "5", "5 minutes", "m5", "5m3", "-5m", "1e3s", "٣s", "5mm", True, False, None, [], b"5m", 1j]
)
def test_what_is_no_duration_is_refused_with_examples(value: Any) -> None:
    with pytest.raises(ConfigurationError) as refused:
        micros(value, "timeout")

    assert str(refused.value).startswith("timeout: ")
    assert '"30s", "5m", "1h30m"' in str(refused.value)


@pytest.mark.parametrize(
    "value", [-1, -0.001, timedelta(seconds=-1), "1000000w", 10**30, float("inf"), float("nan"), float("-inf")]
)
def test_a_duration_is_not_negative_and_at_most_a_hundred_years(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"delay: .* is out of range: 0 to 100 years"):
        micros(value, "delay")


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=36_500)))
def test_a_timedelta_is_kept_exactly(value: timedelta) -> None:
    assert timedelta(microseconds=micros(value)) == value


def test_kept_for_ever_is_none_and_not_at_all_is_zero() -> None:
    assert (keep_micros("forever"), keep_micros(0), keep_micros("1d")) == (None, 0, 86_400 * SECOND)
    with pytest.raises(ConfigurationError, match="keep: 'always' is not a duration"):
        keep_micros("always")


def test_an_instant_is_aware_and_exact() -> None:
    at = datetime(2026, 11, 3, 12, 0, 0, 1, tzinfo=UTC)

    assert instant_micros(at) == 1_793_707_200_000_001
    assert instant_micros(at.astimezone(timezone(timedelta(hours=-5)))) == 1_793_707_200_000_001
    assert as_datetime(1_793_707_200_000_001) == at
    assert as_datetime(0).tzinfo is UTC
    with pytest.raises(ConfigurationError, match=r"at: .* has no time zone; write at=datetime"):
        instant_micros(datetime(2026, 11, 3))  # noqa: DTZ001 naive on purpose


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_an_instant_comes_back_as_it_was(at: datetime) -> None:
    assert as_datetime(instant_micros(at)) == at


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0 ms"),
        (250_000, "250 ms"),
        (31 * SECOND, "31 s"),
        (240 * SECOND, "4 min"),
        (9000 * SECOND, "2.5 h"),
        (3 * 86_400 * SECOND, "3 d"),
    ],
)
def test_durations_are_told_the_short_way(value: int, words: str) -> None:
    assert in_words(value) == words
