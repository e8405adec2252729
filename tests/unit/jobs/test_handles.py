"""What a handle can be asked: the result, typed; the record; to cancel."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stoker.core.job import AttemptFailure, Ending, JobId, State, StoredJob
from stoker.errors import JobCancelled, JobFailed, ResultUnavailable
from stoker.jobs.handle import JobHandle
from stoker.jobs.record import JobRecord
from tests.unit.jobs.rig import Jobs

NOON = 1_793_707_200_000_000
STORED = StoredJob(
    id=JobId("7"),
    name="resize",
    queue="images",
    state=State.RETRYABLE,
    args='{"path":"a.png"}',
    priority=5,
    max_attempts=20,
    starts=3,
    failures=2,
    crashes=1,
    snoozes=4,
    run_at=NOON + 1,
    enqueued_at=NOON,
    started_at=NOON,
    finished_at=None,
    keep=None,
    keep_failed=0,
    result=None,
    worker="w1",
    labels=("a",),
    meta='{"k":1}',
    parent=JobId("3"),
    root=JobId("1"),
    errors=(AttemptFailure(1, NOON, "ValueError", "no", "trace", "w0"),),
)


@pytest.fixture
def handle(app: Jobs) -> JobHandle[tuple[Path, int]]:
    @app.job
    def resize(path: Path) -> tuple[Path, int]:
        return path, 1

    return resize.handle("7")


def test_the_result_has_the_handlers_type_and_the_timeout_is_in_seconds(
    app: Jobs, handle: JobHandle[tuple[Path, int]]
) -> None:
    app.shelf.ending = Ending(State.COMPLETED, '["a.png",3]')

    assert handle.result(timeout="1m30s") == (Path("a.png"), 3)
    assert handle.result(timeout=timedelta(milliseconds=5)) == (Path("a.png"), 3)
    assert handle.result(timeout=None) == (Path("a.png"), 3)
    assert app.shelf.timeouts == [90.0, 0.005, None]


async def test_aresult_does_what_result_does(app: Jobs, handle: JobHandle[tuple[Path, int]]) -> None:
    app.shelf.ending = Ending(State.COMPLETED, '["a.png",3]')

    assert await handle.aresult(timeout=1) == (Path("a.png"), 3)


def test_a_timeout_must_be_said(handle: Any) -> None:
    with pytest.raises(TypeError):
        handle.result()
    with pytest.raises(TypeError):
        handle.result(30)


def test_a_job_that_did_not_complete_raises_how_it_ended(app: Jobs, handle: JobHandle[Any]) -> None:
    failure = AttemptFailure(20, NOON, "shop.Broken", "no stock")
    app.shelf.ending = Ending(State.DISCARDED, None, failure)
    with pytest.raises(JobFailed, match=r"job resize 7 was discarded: shop\.Broken: no stock") as failed:
        handle.result(timeout=0)
    assert (failed.value.error_type, failed.value.error_message) == ("shop.Broken", "no stock")

    app.shelf.ending = Ending(State.DISCARDED)
    with pytest.raises(JobFailed, match="was discarded"):
        handle.result(timeout=0)

    app.shelf.ending = Ending(State.CANCELLED, None, AttemptFailure(1, NOON, "JobCancelled", "not needed"))
    with pytest.raises(JobCancelled, match="was cancelled: not needed"):
        handle.result(timeout=0)

    app.shelf.ending = Ending(State.COMPLETED, None)
    with pytest.raises(ResultUnavailable, match="it has no result"):
        handle.result(timeout=0)

    app.shelf.ending = Ending(State.COMPLETED, '"old format"')
    with pytest.raises(ResultUnavailable, match="does not fit its return type"):
        handle.result(timeout=0)


async def test_a_handle_is_not_awaitable_and_says_what_to_write(handle: Any) -> None:
    with pytest.raises(TypeError, match=r"await handle.aresult\(timeout=…\)"):
        await handle


async def test_the_record_tells_all_with_aware_times(app: Jobs, handle: JobHandle[tuple[Path, int]]) -> None:
    app.shelf.stored = STORED

    record = handle.fetch()

    assert record == await handle.afetch()
    assert (record.attempt, record.failures, record.crashes, record.starts, record.snoozes) == (4, 2, 1, 3, 4)
    assert record.enqueued_at == datetime(2026, 11, 3, 12, tzinfo=UTC)
    assert record.finished_at is None
    assert (record.args, record.meta, record.labels) == ({"path": "a.png"}, {"k": 1}, ("a",))
    assert (record.parent, record.root, record.origin) == ("3", "1", None)
    assert record.errors[0].at == datetime(2026, 11, 3, 12, tzinfo=UTC)
    assert record.result is None


@pytest.mark.parametrize(
    ("state", "counters", "attempt"),
    [
        (State.DISCARDED, {"starts": 3, "failures": 3}, 3),  # exhausted
        (State.DISCARDED, {"starts": 2, "failures": 1}, 2),  # its handler raised Discard
        (State.DISCARDED, {"starts": 3, "crashes": 3}, 3),
        (State.COMPLETED, {"starts": 5, "failures": 2, "snoozes": 2}, 3),
        (State.CANCELLED, {"starts": 0}, 1),
        (State.RETRYABLE, {"starts": 3, "failures": 3}, 4),
    ],
)
def test_the_attempt_of_what_has_ended_is_the_last_it_had(state: State, counters: dict[str, int], attempt: int) -> None:
    nothing = {"starts": 0, "failures": 0, "crashes": 0, "snoozes": 0}
    job = msgspec.structs.replace(STORED, state=state, errors=(), **nothing | counters)
    assert JobRecord.of(job, json.loads).attempt == attempt


def test_the_last_error_says_which_attempt_was_the_last(app: Jobs) -> None:
    errors = (AttemptFailure(1, NOON, "OSError", "no route"), AttemptFailure(2, NOON, "OSError", "no route"))
    given_back = msgspec.structs.replace(
        STORED, state=State.DISCARDED, starts=3, failures=2, crashes=0, snoozes=0, errors=errors
    )
    assert JobRecord.of(given_back, json.loads).attempt == 2


def test_the_result_of_a_record_is_typed_and_absent_where_it_does_not_fit(app: Jobs, handle: JobHandle[Any]) -> None:

    app.shelf.stored = msgspec.structs.replace(STORED, state=State.COMPLETED, result='["a",1]')
    assert handle.fetch().result == (Path("a"), 1)

    app.shelf.stored = msgspec.structs.replace(STORED, state=State.COMPLETED, result='"other"')
    assert handle.fetch().result is None


def test_a_record_can_be_printed_as_json_under_the_same_names(app: Jobs, handle: JobHandle[Any]) -> None:
    app.shelf.stored = STORED

    plain = handle.fetch().to_json()

    assert json.loads(json.dumps(plain)) == plain
    assert list(plain) == list(type(handle.fetch()).__dataclass_fields__)
    assert (plain["state"], plain["enqueued_at"], plain["labels"]) == ("retryable", "2026-11-03T12:00:00Z", ["a"])
    assert plain["errors"] == [
        {
            "attempt": 1,
            "at": "2026-11-03T12:00:00Z",
            "type": "ValueError",
            "message": "no",
            "trace": "trace",
            "worker": "w0",
        }
    ]


def test_a_record_of_a_corrupt_job_shows_its_text(app: Jobs, handle: JobHandle[Any]) -> None:

    app.shelf.stored = msgspec.structs.replace(STORED, args='{"path":')

    assert handle.fetch().args == '{"path":'
    assert handle.fetch().to_json()["args"] == '{"path":'


async def test_cancelling_gives_the_state_that_came_of_it(handle: JobHandle[Any]) -> None:
    assert handle.cancel() is State.CANCELLED
    assert await handle.acancel() is State.CANCELLED


def test_handles_of_one_job_are_equal(app: Jobs, handle: JobHandle[Any]) -> None:
    same: JobHandle[Any] = JobHandle(app.shelf, JobId("7"))

    assert handle == same
    assert {handle} == {same}
    assert handle != JobHandle(app.shelf, JobId("7"), store="other")
    assert repr(handle) == "<job resize 7 in default>"
