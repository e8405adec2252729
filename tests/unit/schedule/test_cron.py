"""Cron in time zones: each local time fires as Debian's cron fires it."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stoker.core.duration import SECOND, as_datetime, instant_micros
from stoker.errors import ConfigurationError
from stoker.schedule.cron import Cron, looks_like_cron, normal


def firings(text: str, tz: str, after: str, count: int) -> list[str]:
    """Give firings as they look on the wall, with the zone's offset."""
    begin = instant_micros(datetime.fromisoformat(after).replace(tzinfo=ZoneInfo(tz)))
    local = [as_datetime(at).astimezone(ZoneInfo(tz)) for at in islice(Cron(normal(text), tz).after(begin), count)]
    return [f"{at:%m-%d %H:%M:%S %z}" for at in local]


@pytest.mark.parametrize("text", ["30 2 * * *", "0 30 2 * * *"])
def test_a_time_that_the_clock_skips_fires_right_after_the_gap(text: str) -> None:
    assert firings(text, "Europe/Berlin", "2026-03-28 12:00", 2) == ["03-29 03:00:00 +0200", "03-30 02:30:00 +0200"]


@pytest.mark.parametrize("text", ["30 2 * * *", "0 30 2 * * *"])
def test_a_time_that_the_clock_repeats_fires_once(text: str) -> None:
    assert firings(text, "Europe/Berlin", "2026-10-24 12:00", 2) == ["10-25 02:30:00 +0200", "10-26 02:30:00 +0100"]


def test_between_the_two_hours_of_one_name_a_time_of_the_first_does_not_fire_again() -> None:
    begin = instant_micros(datetime(2026, 10, 25, 2, 10, tzinfo=ZoneInfo("Europe/Berlin"), fold=1))
    (at,) = islice(Cron("30 2 * * *", "Europe/Berlin").after(begin), 1)

    assert as_datetime(at).astimezone(ZoneInfo("Europe/Berlin")).day == 26


def test_several_times_in_a_gap_fire_as_one() -> None:
    assert firings("0,15,30 2 * * *", "Europe/Berlin", "2026-03-28 12:00", 2) == [
        "03-29 03:00:00 +0200",
        "03-30 02:00:00 +0200",
    ]


def test_what_comes_every_so_often_goes_on_through_both_hours_of_one_name() -> None:
    assert firings("*/30 * * * *", "Europe/Berlin", "2026-10-25 01:45", 5) == [
        "10-25 02:00:00 +0200",
        "10-25 02:30:00 +0200",
        "10-25 02:00:00 +0100",
        "10-25 02:30:00 +0100",
        "10-25 03:00:00 +0100",
    ]


def test_what_comes_every_so_often_knows_no_hour_that_does_not_exist() -> None:
    assert firings("*/30 * * * *", "Europe/Berlin", "2026-03-29 01:15", 3) == [
        "03-29 01:30:00 +0100",
        "03-29 03:00:00 +0200",
        "03-29 03:30:00 +0200",
    ]


def test_a_day_that_a_zone_skips_fires_at_its_end() -> None:
    assert firings("0 9 * * *", "Pacific/Apia", "2011-12-29 12:00", 2) == [
        "12-31 00:00:00 +1400",
        "12-31 09:00:00 +1400",
    ]


def test_six_fields_have_the_seconds_first() -> None:
    assert firings("*/20 0 9 * * *", "UTC", "2026-01-01 00:00", 4) == [
        "01-01 09:00:00 +0000",
        "01-01 09:00:20 +0000",
        "01-01 09:00:40 +0000",
        "01-02 09:00:00 +0000",
    ]


@pytest.mark.parametrize(
    ("alias", "first"),
    [
        ("@yearly", "01-01 00:00:00"),
        ("@annually", "01-01 00:00:00"),
        ("@monthly", "07-01 00:00:00"),
        ("@weekly", "06-21 00:00:00"),
        ("@daily", "06-16 00:00:00"),
        ("@MIDNIGHT", "06-16 00:00:00"),
        ("@hourly", "06-15 13:00:00"),
    ],
)
def test_aliases_stand_for_their_times(alias: str, first: str) -> None:
    assert firings(alias, "UTC", "2026-06-15 12:34:56", 1) == [f"{first} +0000"]


def test_quartz_spelling_is_understood_where_it_means_the_same() -> None:
    assert normal("0/15 * * ? * MON *") == "0/15 * * * * MON"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("61 * * * *", "bad minute"),
        ("* * * *", "wrong number of fields"),
        ("0 0 31 2 *", "never fire|bad day-of-month"),
        ("0 0 30 2 *", "never fire|bad day-of-month"),
        ("0 0 0 1 1 * 2027", "year cannot be chosen"),
    ],
)
def test_what_is_wrong_is_named(text: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        normal(text)


def test_words_are_told_from_cron() -> None:
    assert looks_like_cron("0 30 10 * * mon-fri")
    assert not looks_like_cron("run every minute on mondays please")
    assert not looks_like_cron("10:30 on mon tue wed")


@settings(max_examples=60, deadline=None)
@given(
    text=st.sampled_from(
        ["*/7 * * * *", "0 */3 * * *", "15 2,14 * * *", "0 0 * * MON", "*/10 * * * * *", "0 0 29 2 *"]
    ),
    tz=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]),
    minutes=st.integers(0, 60 * 24 * 366),
    gap=st.integers(0, 60 * 24 * 3),
)
def test_the_latest_firing_is_the_last_of_those_in_order(text: str, tz: str, minutes: int, gap: int) -> None:
    cron = Cron(normal(text), tz)
    since = instant_micros(datetime.fromisoformat("2026-01-01 00:00+00:00") + timedelta(minutes=minutes)) + 1
    until = since + gap * 60 * SECOND
    due: list[int] = []
    for at in islice(cron.after(since), 30_000):
        if at > until:
            break
        due.append(at)

    assert due == sorted(set(due))
    assert cron.latest(since, until) == (due[-1] if due else None)
