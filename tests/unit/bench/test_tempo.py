"""Whether a drain keeps its pace is told by its fifths."""

from __future__ import annotations

import pytest

from stoker.bench.tempo import fifths, last_to_first


def ticks(start: float, *seconds_each: float) -> list[float]:
    """Give when every hundredth of jobs ended that took so many seconds a hundred."""
    found = [start]
    for seconds in seconds_each:
        found.append(found[-1] + seconds)
    return found[1:]


def test_a_drain_that_keeps_its_pace_has_five_equal_rates() -> None:
    taken = ticks(10.0, *[0.5] * 50)
    assert fifths(5000, taken[-1], [taken]) == pytest.approx((200.0,) * 5)


def test_a_drain_that_slows_down_shows_it() -> None:
    taken = ticks(0.0, *[1.0] * 10, *[2.0] * 10, *[2.0] * 10, *[2.0] * 10, *[4.0] * 10)
    rates = fifths(5000, taken[-1], [taken])
    assert rates == pytest.approx((100.0, 50.0, 50.0, 50.0, 25.0))
    assert last_to_first(rates) == 0.25


def test_what_several_workers_did_is_put_together() -> None:
    one, other = ticks(0.0, *[2.0] * 25), ticks(-1.0, *[2.0] * 25)
    assert fifths(5000, one[-1], [one, other]) == pytest.approx((100.0,) * 5)


def test_the_start_of_the_worker_is_no_part_of_the_first_fifth() -> None:
    taken = ticks(0.0, 30.0, *[1.0] * 49)
    rates = fifths(5000, taken[-1], [taken])
    assert rates is not None
    assert rates[0] == pytest.approx(100.0)


def test_too_few_jobs_have_no_fifths() -> None:
    assert fifths(400, 2.0, [[1.0, 1.1, 1.2, 2.0]]) is None
    assert fifths(5000, 2.0, [[]]) is None
    assert last_to_first(None) is None
