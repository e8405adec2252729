"""What a bench can be asked for, and what each mistake is told."""

from __future__ import annotations

import pytest

from stoker.bench.drains import combinations
from stoker.bench.plan import MEASURES, Plan, measures, numbers
from stoker.errors import ConfigurationError


def test_numbers_are_read_once_each_in_order() -> None:
    assert numbers("10, 1,10", "concurrency") == (10, 1)


@pytest.mark.parametrize("text", ["", "1,two", "-1", "²"])
def test_what_is_no_number_is_named(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"concurrency: .* write numbers"):
        numbers(text, "concurrency")


def test_measures_come_in_the_order_in_which_they_are_taken() -> None:
    assert measures("idle,drain") == ("drain", "idle")


def test_an_unknown_measure_is_told_which_there_are() -> None:
    with pytest.raises(ConfigurationError, match=", ".join(MEASURES)):
        measures("drain,speed")


@pytest.mark.parametrize(
    "wrong", [{"n": 0}, {"concurrency": (1, 0)}, {"processes": (0,)}, {"payload": -1}, {"backlog": -1}]
)
def test_what_cannot_be_measured_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Plan(**wrong)  # type: ignore[arg-type]


def test_concurrency_and_processes_vary_one_at_a_time() -> None:
    plan = Plan(concurrency=(1, 10, 100), processes=(1, 2, 4))
    assert combinations(plan) == [(1, 1), (10, 1), (100, 1), (10, 2), (10, 4)]


def test_one_of_each_is_one_drain() -> None:
    assert combinations(Plan(concurrency=(5,), processes=(4,))) == [(5, 4)]


@pytest.mark.parametrize(("keep", "nothing"), [(0, True), ("0s", True), ("1h", False), ("default", False)])
def test_a_plan_knows_whether_finished_jobs_stay(keep: str | int, nothing: bool) -> None:
    assert Plan(keep=keep).keeps_nothing is nothing
