"""Where claims begin to look, and when they look all through."""

from __future__ import annotations

from collections.abc import Collection
from math import inf

import pytest

from stoker.stores.postgres import marks as module
from stoker.stores.postgres.marks import HIGHEST, LOWEST, MOST_PRIORITIES, START, Lane, Marks, Stand

LANE = Lane("mail", "", "send")
OTHER = Lane("mail", "", "count")


class Clock:
    """A monotonic clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    return clock


def stand(lane: Lane, priority: int) -> Stand:
    return (lane.queue, lane.route, lane.name, priority)


def looks(marks: Marks, *sweeping: str, lane: Lane = LANE) -> list[tuple[int, int, int]]:
    """Give the parts of a lane that a claim would look into: high, low, start."""
    return [(part.high, part.low, part.start) for part in marks.ranges([lane], {lane.queue: 10}, sweeping)]


def took(
    marks: Marks, priority: int, pos: int, *, full: Collection[str] = (), sweep: bool = False, lane: Lane = LANE
) -> None:
    """Tell of a claim whose last job of a priority stood at a place."""
    marks.reached({stand(lane, priority): pos}, full, [lane.queue] if sweep else [])


ALL = [(HIGHEST, LOWEST, START)]


def test_a_first_look_is_all_through() -> None:
    assert looks(Marks()) == ALL


def test_the_next_look_begins_where_the_last_one_ended_and_new_priorities_are_looked_for_all_through() -> None:
    marks = Marks()
    took(marks, 0, 70)
    assert looks(marks) == [(HIGHEST, 1, START), (0, 0, 70), (-1, LOWEST, START)]


def test_known_priorities_are_looked_into_from_the_highest_down_with_the_gaps_between_them() -> None:
    marks = Marks()
    took(marks, 0, 70)
    took(marks, 5, 50)
    took(marks, 1, 60)
    assert looks(marks) == [
        (HIGHEST, 6, START), (5, 5, 50), (4, 2, START), (1, 1, 60), (0, 0, 70), (-1, LOWEST, START),
    ]  # fmt: skip


def test_the_highest_priority_there_is_leaves_no_gap_above_it() -> None:
    marks = Marks()
    took(marks, HIGHEST, 70)
    assert looks(marks) == [(HIGHEST, HIGHEST, 70), (HIGHEST - 1, LOWEST, START)]


def test_each_lane_has_places_of_its_own() -> None:
    marks = Marks()
    took(marks, 0, 70)
    assert looks(marks, lane=OTHER) == ALL


def test_a_sweep_looks_all_through() -> None:
    marks = Marks()
    took(marks, 0, 70)
    assert looks(marks, "mail") == ALL


def test_a_bounded_look_never_moves_a_mark_back() -> None:
    marks = Marks()
    took(marks, 0, 70)
    took(marks, 0, 30, full=["mail"])
    assert (0, 0, 70) in looks(marks)


def test_a_sweep_that_filled_up_early_moves_the_mark_back_because_there_is_more_behind_it() -> None:
    marks = Marks()
    took(marks, 0, 70)
    took(marks, 0, 30, full=["mail"], sweep=True)
    assert (0, 0, 30) in looks(marks)


def test_a_sweep_that_came_to_the_end_leaves_the_mark_where_it_is() -> None:
    marks = Marks()
    took(marks, 0, 70)
    took(marks, 0, 30, sweep=True)
    assert (0, 0, 70) in looks(marks)


def test_a_sweep_that_filled_up_moves_back_only_the_priority_in_which_it_ended() -> None:
    marks = Marks()
    took(marks, 5, 80)
    took(marks, 0, 70)
    marks.reached({stand(LANE, 5): 20, stand(LANE, 0): 30}, ["mail"], ["mail"])
    assert (5, 5, 80) in looks(marks)
    assert (0, 0, 30) in looks(marks)


def test_only_so_many_priorities_of_a_lane_are_remembered() -> None:
    marks = Marks()
    for priority in range(MOST_PRIORITIES + 5):
        took(marks, priority, 70)
    assert sum(start != START for _, _, start in looks(marks)) == MOST_PRIORITIES


def test_the_first_claim_of_a_queue_is_a_sweep(clock: Clock) -> None:
    assert Marks().sweeping(["mail"]) == {"mail"}


def test_sweeps_take_a_twentieth_of_the_time(clock: Clock) -> None:
    marks = Marks()
    marks.swept(["mail"], 0.1)
    clock.now += 1.9
    assert not marks.sweeping(["mail"])
    clock.now += 0.2
    assert marks.sweeping(["mail"])


def test_a_queue_that_is_seldom_asked_is_swept_when_it_is(clock: Clock) -> None:
    marks = Marks()
    marks.swept(["busy"], 0.1)
    assert marks.sweeping(["busy", "rare"]) == {"rare"}


def test_queues_that_are_swept_by_turns_share_the_time_for_sweeps(clock: Clock) -> None:
    marks = Marks()
    for queue in ("one", "two", "three", "four"):
        marks.swept([queue], 0.1)
    clock.now += 7.9
    assert not marks.sweeping(["four"])
    clock.now += 0.2
    assert marks.sweeping(["four"])


def test_after_a_reconnect_every_queue_is_swept(clock: Clock) -> None:
    marks = Marks()
    marks.swept(["one", "two"], 100.0)
    marks.forget()
    assert marks.sweeping(["one", "two"]) == {"one", "two"}


def test_a_clock_that_was_set_back_during_a_sweep_makes_the_next_claim_a_sweep_too(clock: Clock) -> None:
    marks = Marks()
    marks.swept(["mail"], -3600.0)
    assert marks.sweeping(["mail"])


def test_one_may_sleep_for_ever_after_a_sweep(clock: Clock) -> None:
    marks = Marks()
    marks.looked(["mail"], None, 0)
    marks.swept(["mail"], 0.1)
    assert marks.patience(["mail"]) == inf


def test_one_may_sleep_after_a_bounded_look_until_the_next_sweep_is_due(clock: Clock) -> None:
    marks = Marks()
    marks.swept(["mail"], 0.1)
    marks.looked(["mail"], None, 0)
    clock.now += 0.5
    assert marks.patience(["mail"]) == pytest.approx(1.5)
    assert marks.patience(["other"]) == inf
    clock.now += 5.0
    assert marks.patience(["mail"]) == 0.0


def test_scheduled_jobs_are_looked_for_from_the_next_one_on() -> None:
    marks = Marks()
    assert marks.due_from == START
    marks.looked(["mail"], 500, 900)
    assert marks.due_from == 500


def test_a_job_may_be_scheduled_before_the_next_one() -> None:
    marks = Marks()
    marks.looked(["mail"], 5000, 900)
    assert marks.due_from == 900


def test_without_a_scheduled_job_those_that_come_are_due_later_than_now() -> None:
    marks = Marks()
    marks.looked(["mail"], None, 900)
    assert marks.due_from == 900
