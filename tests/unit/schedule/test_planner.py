"""What is due of an entry: missed runs, bounds, intervals without drift, clocks that step."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from stoker.core.duration import SECOND, micros
from stoker.core.job import Due, NewJob
from stoker.core.periodic import Entry
from stoker.core.unique import UniqueKey
from stoker.errors import ConfigurationError
from stoker.schedule.planner import MOST_RUNS, Plan, plan, upcoming
from stoker.schedule.rhythm import rhythm_of
from stoker.schedule.spec import Missed, Spec, read_spec, template

T = 1_767_225_600 * SECOND  # 1 January 2026, 00:00 UTC
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND


def spec(when: str | None = None, missed: Missed = "once", **said: Any) -> Spec:
    return Spec(rhythm_of(when, said.pop("every", None), **said), when or "", template(NewJob("work", "{}")), missed)


def entry(last: int = T, **fields: Any) -> Entry:
    return msgspec.structs.replace(Entry("shop", "work", "", "", 1, True, T, last, ""), **fields)


def test_nothing_is_due_before_its_time() -> None:
    assert plan(entry(), spec("0 * * * *"), T + HOUR - 1) == Plan(None, (), T + HOUR)


def test_a_tick_is_due_at_its_instant() -> None:
    assert plan(entry(), spec("0 * * * *"), T + HOUR) == Plan(T + HOUR, (T + HOUR,), T + 2 * HOUR)


def test_a_decided_tick_is_not_due_again_however_the_clock_steps_back() -> None:
    assert plan(entry(T + HOUR), spec("0 * * * *"), T + HOUR) == Plan(None, (), T + 2 * HOUR)
    assert plan(entry(T + HOUR), spec("0 * * * *"), T) == Plan(None, (), T + 2 * HOUR)


def test_of_missed_runs_one_is_made_up_for_unless_told_otherwise() -> None:
    late = T + 5 * HOUR + 1
    assert plan(entry(), spec("0 * * * *"), late) == Plan(T + 5 * HOUR, (T + 5 * HOUR,), T + 6 * HOUR)


def test_all_missed_runs_are_made_up_for() -> None:
    due = plan(entry(), spec("0 * * * *", "all"), T + 3 * HOUR)
    assert due == Plan(T + 3 * HOUR, (T + HOUR, T + 2 * HOUR, T + 3 * HOUR), T + 4 * HOUR)


def test_after_a_long_time_all_missed_runs_come_a_thousand_at_a_time() -> None:
    first = plan(entry(), spec("* * * * *", "all"), T + 2 * DAY)
    assert (len(first.ticks), first.following, first.next) == (MOST_RUNS, T + 1000 * MINUTE, T + 1001 * MINUTE)

    second = plan(entry(T + 1000 * MINUTE), spec("* * * * *", "all"), T + 2 * DAY)
    assert second.ticks[0] == T + 1001 * MINUTE


def test_skipped_are_runs_that_are_later_than_a_period() -> None:
    daily = spec("0 3 * * *", "skip")
    missed = T + 3 * HOUR

    assert plan(entry(), daily, missed + 23 * HOUR).ticks == (missed,)
    assert plan(entry(), daily, missed + 3 * DAY + HOUR).ticks == (missed + 3 * DAY,)


def test_skipped_are_runs_that_are_later_than_a_minute_where_periods_are_shorter() -> None:
    due = plan(entry(), spec(every="10s", missed="skip"), T + HOUR)
    assert due.following == T + HOUR
    assert due.ticks == tuple(T + HOUR - MINUTE + n * 10 * SECOND for n in range(7))


def test_what_is_skipped_altogether_moves_on_without_a_run() -> None:
    bounded = spec("0 3 * * *", "skip", end=datetime(2026, 1, 1, 12, tzinfo=UTC))
    assert plan(entry(), bounded, T + 5 * DAY) == Plan(T + 3 * HOUR, (), None)


def test_a_clock_that_steps_forward_is_a_time_that_was_missed() -> None:
    year = 365 * DAY
    assert plan(entry(), spec("* * * * * *"), T + year).ticks == (T + year,)
    assert plan(entry(), spec(every="1s"), T + year).ticks == (T + year,)


def test_intervals_count_from_the_first_registration_and_do_not_drift() -> None:
    assert plan(entry(T + 7 * SECOND, anchor=T + 3), spec(every="10s"), T + 25 * SECOND) == Plan(
        T + 20 * SECOND + 3, (T + 20 * SECOND + 3,), T + 30 * SECOND + 3
    )


def test_intervals_with_a_start_count_from_it_and_fire_at_it() -> None:
    hourly = spec(every="1h", start=datetime(2026, 1, 2, 9, 30, tzinfo=UTC))
    start = T + DAY + 9 * HOUR + 30 * MINUTE

    assert plan(entry(), hourly, start - 1) == Plan(None, (), start)
    assert plan(entry(), hourly, start) == Plan(start, (start,), start + HOUR)


def test_nothing_is_due_before_the_start_or_after_the_end() -> None:
    bounded = spec(
        "0 * * * *", "all", start=datetime(2026, 1, 2, 1, tzinfo=UTC), end=datetime(2026, 1, 2, 3, tzinfo=UTC)
    )

    assert plan(entry(), bounded, T + 5 * DAY) == Plan(
        T + DAY + 3 * HOUR, (T + DAY + HOUR, T + DAY + 2 * HOUR, T + DAY + 3 * HOUR), None
    )
    assert plan(entry(T + DAY + 3 * HOUR), bounded, T + 5 * DAY) == Plan(None, (), None)


def test_a_paused_entry_is_not_due() -> None:
    assert plan(entry(paused_at=T), spec("* * * * *"), T + DAY) == Plan(None, (), None)


def test_the_next_runs_can_be_told() -> None:
    assert upcoming(entry(), spec("0 * * * *"), T + DAY, 2) == [T + DAY + HOUR, T + DAY + 2 * HOUR]
    assert upcoming(entry(T + DAY + HOUR), spec("0 * * * *"), T, 1) == [T + DAY + 2 * HOUR]


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"every": "10ms"}, "shortest is 1s"),
        ({"every": "soon"}, "is not a duration"),
        ({"when": "* * * * *", "tz": "Europe/Berlim"}, "did you mean Europe/Berlin"),
        ({"when": "@sometimes"}, "there are @yearly"),
        ({"when": "* * *"}, "five fields, or six with the seconds first"),
        ({"when": "*/5 * * * * * *?"}, "."),
        ({}, "say when"),
        ({"when": "* * * * *", "every": "1m"}, "say when"),
        ({"when": "* * * * *", "start": datetime.fromisoformat("2026-01-01")}, "start: .* has no time zone"),
        (
            {"every": 5, "start": datetime(2026, 1, 2, tzinfo=UTC), "end": datetime(2026, 1, 1, tzinfo=UTC)},
            "is before start",
        ),
    ],
)
def test_what_is_wrong_is_named(said: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        rhythm_of(said.pop("when", None), said.pop("every", None), **said)


def test_an_interval_can_be_written_as_an_alias() -> None:
    assert rhythm_of("@every 90m", None).every == micros("90m")


def test_a_specification_comes_back_as_it_was_sent() -> None:
    job = NewJob(
        "work", '{"n":10000000000000000000001}', "mail", unique=UniqueKey("k", on_conflict="raise"), meta='{"a":1}'
    )
    said = Spec(rhythm_of("0 3 * * *", None, "Europe/Berlin"), "0 3 * * *", template(job), "all", 5, True)
    back = read_spec(said.entry("nightly").spec)

    assert back.entry("nightly") == said.entry("nightly")
    assert back.rhythm == said.rhythm
    made = back.job_at(T, 7)
    assert (made.name, made.args, made.queue, made.due.delay) == ("work", job.args, "mail", 7)
    assert made.meta == f'{{"a":1,"stoker/tick":{T}}}'
    assert made.unique == UniqueKey("k", on_conflict="keep")


def test_a_run_expires_at_the_next_tick_and_its_jitter_unless_told_otherwise() -> None:
    usual = Spec(rhythm_of(None, "1h"), "", template(NewJob("work", "{}")), jitter=5)
    told = Spec(rhythm_of(None, "1h"), "", template(NewJob("work", "{}", expires=Due(MINUTE))))
    every = Spec(rhythm_of(None, "1h"), "", template(NewJob("work", "{}")), "all")

    assert usual.job_at(T, 3, T + HOUR).expires == Due(at=T + HOUR + 5)
    assert usual.job_at(T).expires is None
    assert told.job_at(T, 0, T + HOUR).expires == Due(MINUTE)
    assert every.job_at(T, 0, T + HOUR).expires is None


def test_a_specification_names_only_what_is_not_usual() -> None:
    assert (
        spec("0 3 * * *").entry("work").spec
        == '{"rhythm":{"cron":"0 3 * * *"},"said":"0 3 * * *","job":{"name":"work","args":"{}"}}'
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"rhythm":{},"said":"","job":{"name":1}}',
        '{"rhythm":{"every":-5},"said":"","job":{"name":"a","args":"{}"}}',
        '{"rhythm":{"cron":"61 * * * *"},"said":"","job":{"name":"a","args":"{}"}}',
        '{"rhythm":{"cron":"* * * * *","tz":"Mars"},"said":"","job":{"name":"a","args":"{}"}}',
        '{"rhythm":{"every":1000000},"said":"","job":{"name":"a","args":"{}"},"version":99}',
    ],
)
def test_a_specification_that_is_not_ours_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="specification"):
        read_spec(text)
