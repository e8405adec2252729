"""Every job is accounted for: what was lost, doubled or left over is named."""

from __future__ import annotations

from stoker.bench.verify import leftovers, miscounts, miscounts_of_some, waiting
from stoker.core.job import QueueCount, State


def count(state: State, number: int) -> QueueCount:
    return QueueCount("bench", "count", "", state, number, 0)


def test_each_job_once_in_any_order_is_right() -> None:
    assert miscounts(4, [2, 0, 3, 1]) == []


def test_no_jobs_are_right_when_none_were_enqueued() -> None:
    assert miscounts(0, []) == []


def test_a_lost_job_is_named() -> None:
    assert miscounts(4, [0, 1, 3]) == ["1 job never ran: 2"]


def test_a_doubled_job_is_named() -> None:
    assert miscounts(3, [0, 1, 1, 2, 1]) == ["1 job ran more than once: 1 (3 times)"]


def test_a_lost_and_a_doubled_job_do_not_make_up_for_each_other() -> None:
    assert miscounts(3, [0, 1, 1]) == ["1 job never ran: 2", "1 job ran more than once: 1 (2 times)"]


def test_a_job_of_somebody_else_is_named() -> None:
    assert miscounts(2, [0, 1, 7]) == ["1 job ran that was not enqueued: 7"]


def test_of_many_only_the_first_are_shown() -> None:
    assert miscounts(9, []) == ["9 jobs never ran: 0, 1, 2, 3, 4, …"]


def test_an_empty_store_is_right_after_a_drain_that_keeps_nothing() -> None:
    assert leftovers([], kept=0) == []


def test_unfinished_jobs_are_left_over() -> None:
    counts = [count(State.RUNNING, 2), count(State.AVAILABLE, 1)]
    assert leftovers(counts, kept=0) == ["1 job left available", "2 jobs left running"]


def test_a_job_kept_against_the_will_is_left_over() -> None:
    assert leftovers([count(State.COMPLETED, 1)], kept=0) == ["1 job kept as completed, not 0"]


def test_jobs_that_should_be_kept_are_missed() -> None:
    assert leftovers([count(State.COMPLETED, 9)], kept=10) == ["9 jobs kept as completed, not 10"]


def test_kept_jobs_are_right_where_they_are_to_be_kept() -> None:
    assert leftovers([count(State.COMPLETED, 4), count(State.COMPLETED, 6)], kept=10) == []


def test_a_discarded_job_is_a_fault_though_it_has_ended() -> None:
    assert leftovers([count(State.DISCARDED, 1)], kept=0) == ["1 job left discarded"]


def test_waiting_counts_what_has_not_ended() -> None:
    assert waiting([count(State.AVAILABLE, 3), count(State.RUNNING, 1), count(State.COMPLETED, 5)]) == 4


def test_of_a_backlog_any_jobs_may_run_so_many_as_were_to() -> None:
    assert miscounts_of_some(3, 10, [9, 0, 4, 5]) == []


def test_of_a_backlog_too_few_runs_doubled_runs_and_strange_ones_are_named() -> None:
    assert miscounts_of_some(4, 10, [1, 1, 12]) == [
        "1 job ran more than once: 1 (2 times)",
        "1 job ran that was not enqueued: 12",
        "3 jobs ran, not 4",
    ]


def test_the_rest_of_a_backlog_stays_available() -> None:
    assert leftovers([count(State.AVAILABLE, 7)], kept=0, available=7) == []


def test_a_job_that_vanished_from_a_backlog_is_missed() -> None:
    assert leftovers([count(State.AVAILABLE, 6)], kept=0, available=7) == ["6 jobs left available, not 7"]


def test_a_job_that_still_runs_beside_a_backlog_is_left_over() -> None:
    counts = [count(State.AVAILABLE, 7), count(State.RUNNING, 1)]
    assert leftovers(counts, kept=0, available=7) == ["1 job left running"]
