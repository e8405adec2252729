"""What a worker leaves behind is sorted by what it waits for."""

from __future__ import annotations

import msgspec

from stoker.cli.left import Left
from stoker.core.job import QueueCount, State
from stoker.runtime.plan import PoolPlan, WorkerPlan

PLAN = WorkerPlan((PoolPlan("shared", ("default", "mail"), 10),), ("send",))


def row(count: int, state: State, *, queue: str = "default", name: str = "send", route: str = "") -> QueueCount:
    return QueueCount(queue, name, route, state, count, 0)


def test_finished_and_running_jobs_are_not_left() -> None:
    left = Left.of([(PLAN, [row(3, State.COMPLETED), row(1, State.DISCARDED), row(1, State.RUNNING)])])

    assert str(left) == "nothing"


def test_later_ones_unknown_names_and_other_queues_are_counted_apart() -> None:
    counts = [
        row(2, State.SCHEDULED),
        row(1, State.SCHEDULED, queue="mail"),
        row(1, State.RETRYABLE),
        row(4, State.AVAILABLE, name="old"),
        row(5, State.AVAILABLE, queue="reports"),
    ]

    left = Left.of([(PLAN, counts)])

    assert str(left) == (
        "3 scheduled, 1 retryable, 4 jobs of unknown names (old 4), 5 jobs in other queues (reports 5)"
    )


def test_jobs_of_other_tags_are_counted_by_their_tags() -> None:
    counts = [row(2, State.AVAILABLE, route="eu,gpu"), row(3, State.SCHEDULED, route="ssd"), row(1, State.SCHEDULED)]

    assert str(Left.of([(PLAN, counts)])) == "1 scheduled, 5 jobs with other tags (eu,gpu 2, ssd 3)"
    tagged = msgspec.structs.replace(PLAN, tags=("gpu",))
    assert str(Left.of([(tagged, counts)])) == "2 available but paused or new, 4 jobs with other tags (none 1, ssd 3)"


def test_available_jobs_that_nobody_takes_are_paused_or_new() -> None:
    assert str(Left.of([(PLAN, [row(1, State.AVAILABLE)])])) == "1 available but paused or new"


def test_several_stores_are_counted_together() -> None:
    left = Left.of([(PLAN, [row(1, State.SCHEDULED)]), (PLAN, [row(1, State.SCHEDULED)])])

    assert left.scheduled == 2
