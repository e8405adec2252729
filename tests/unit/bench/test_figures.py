"""The arithmetic of figures, and the shape in which they are given."""

from __future__ import annotations

import pytest

from stoker.bench.drains import span
from stoker.bench.figures import Figure, Skipped, as_json, percentile, rate
from stoker.bench.shift import Mark, ShiftReport
from stoker.bench.waiting import cpu_percent


def report(started: float, ended: float) -> ShiftReport:
    return ShiftReport(
        performed=[], delays=[], started=Mark(started, 0.0), ended=Mark(ended, 0.0), marks=[], rss_mb=1.0
    )


@pytest.mark.parametrize(("part", "expected"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100), (0.0, 1)])
def test_a_percentile_is_the_value_that_so_many_do_not_exceed(part: float, expected: int) -> None:
    assert percentile(list(range(100, 0, -1)), part) == expected


def test_the_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7.0], 0.99) == 7.0


def test_without_values_there_is_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_a_rate_is_jobs_per_second() -> None:
    assert rate(10, 4) == 2.5


def test_no_time_gives_no_rate() -> None:
    assert rate(10, 0) == 0.0


def test_a_drain_lasts_from_the_first_start_to_the_last_ending() -> None:
    assert span([report(10.0, 12.0), report(9.5, 11.0)]) == 2.5


def test_idle_cpu_is_a_share_of_one_core() -> None:
    assert cpu_percent([Mark(100.0, 2.0), Mark(105.0, 2.01)]) == 0.2


def test_results_have_the_same_fields_and_notes_stand_among_the_conditions() -> None:
    figures = [Figure(measure="drain", n=1), Figure(measure="drain", n=1, note="sync jobs", faults=("lost",))]
    skipped = [Skipped(measure="latency", note="across processes", reason="one process")]
    shown = as_json({"n": 1}, figures, skipped)
    assert shown["conditions"]["notes"] == [{"result": 1, "note": "sync jobs"}]
    assert shown["conditions"]["skipped"] == [
        {"measure": "latency", "note": "across processes", "reason": "one process"}
    ]
    assert [list(result) for result in shown["results"]] == [
        [
            "measure",
            "concurrency",
            "processes",
            "n",
            "rate",
            "of_bare",
            "fifths",
            "last_to_first",
            "p50_ms",
            "p95_ms",
            "p99_ms",
            "cpu_percent",
            "server_cpu_percent",
            "rss_mb",
            "verified",
        ]
    ] * 2
