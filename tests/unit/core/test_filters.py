"""The filter of every verb on many jobs, and the small values around it."""

from __future__ import annotations

from typing import Any

import pytest

from stoker.core.filters import EVERYTHING, Filter
from stoker.core.job import FINAL, NOW, WAITING, Due, JobId, State, new_call, new_token


def test_a_filter_without_fields_matches_everything_and_says_so() -> None:
    assert Filter().empty
    assert Filter() == EVERYTHING


@pytest.mark.parametrize(
    "fields",
    [
        {"ids": (JobId("1"),)},
        {"names": ("mail",)},
        {"queues": ("default",)},
        {"states": (State.RUNNING,)},
        {"labels": ("a",)},
        {"args": (("user.id", "42"),)},
        {"error": ""},
        {"enqueued_since": 0},
        {"enqueued_before": 0},
        {"failed_since": 0},
        {"failed_before": 0},
        {"finished_since": 0},
        {"finished_before": 0},
    ],
)
def test_a_filter_with_any_field_is_not_empty(fields: dict[str, Any]) -> None:
    assert not Filter(**fields).empty


def test_every_state_is_waiting_running_or_final() -> None:
    assert {State.RUNNING} | WAITING | FINAL == set(State)
    assert not WAITING & FINAL
    assert [state for state in State if state.final] == [State.COMPLETED, State.CANCELLED, State.DISCARDED]


def test_a_due_time_is_a_delay_on_the_stores_clock_or_an_instant() -> None:
    assert (NOW.resolve(100), Due(5).resolve(100), Due(at=50).resolve(100), Due(at=0).resolve(100)) == (100, 105, 50, 0)


def test_tokens_and_call_ids_are_128_random_bits() -> None:
    made = {new_token() for _ in range(100)} | {new_call() for _ in range(100)}

    assert len(made) == 200
    assert all(len(one) == 32 and int(one, 16) >= 0 for one in made)
