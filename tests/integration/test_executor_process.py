"""Jobs in processes of their own: what reaches them, what comes back, and how they are ended."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from stoker import Middleware, State, Stoker
from stoker.core.filters import Filter
from stoker.jobs.handle import JobHandle
from tests.integration.apps import apart
from tests.integration.apps.apart import app


@pytest.fixture
async def worker() -> AsyncIterator[Stoker[Any]]:
    app.configure(arguments={"blocking_enqueue": "allow"})
    async with app.working(concurrency=2):
        yield app


async def ended(handle: JobHandle[Any]) -> Any:
    """Wait for the end and give the record."""
    record = handle.fetch()
    end = time.monotonic() + 30
    while not record.state.final:
        assert time.monotonic() < end, record
        await asyncio.sleep(0.02)
        record = handle.fetch()
    return record


async def noted(handle: JobHandle[Any]) -> None:
    """Wait until the attempt has noted something."""
    end = time.monotonic() + 30
    while handle.fetch().progress is None:
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


async def test_a_job_runs_in_another_process_which_is_kept_for_the_next(worker: Stoker[Any]) -> None:
    first, second = [await apart.pid.enqueue().aresult(timeout=30) for _ in range(2)]

    assert first == second != os.getpid()
    assert await apart.double.enqueue(21).aresult(timeout=30) == 42
    assert await apart.double_later.enqueue(21).aresult(timeout=30) == 42


@pytest.mark.parametrize("value", [123456789012345678901, [], None, "é\0", {"a": [1.5, {}]}])
async def test_results_come_back_byte_for_byte(worker: Stoker[Any], value: Any) -> None:
    assert await apart.echo.enqueue(value).aresult(timeout=30) == value


@pytest.mark.parametrize("how", ["SIGKILL", "SIGSEGV", "exit code 3"])
async def test_a_process_that_dies_is_an_error_of_its_attempt(worker: Stoker[Any], how: str) -> None:
    record = await ended(apart.dies.enqueue(how))

    assert (record.state, record.failures, record.crashes) == (State.DISCARDED, 1, 0)
    assert record.errors[0].type == "ProcessDied"
    assert how in record.errors[0].message
    assert await apart.double.enqueue(1).aresult(timeout=30) == 2


async def test_systemexit_is_an_error_like_in_a_thread(worker: Stoker[Any]) -> None:
    record = await ended(apart.dies.enqueue("enough"))

    assert (record.errors[0].type, record.errors[0].message) == ("SystemExit", "enough")


async def test_a_timeout_ends_a_job_that_spins_and_lets_it_clean_up(worker: Stoker[Any], tmp_path: Path) -> None:
    record = await ended(apart.spins.enqueue(tmp_path / "ledger"))

    assert record.errors[0].type == "JobTimeout"
    assert (tmp_path / "ledger").read_text() == "cleaned up"


async def test_a_timeout_ends_a_job_that_hears_nothing(worker: Stoker[Any]) -> None:
    record = await ended(apart.stuck.enqueue())

    assert record.errors[0].type == "JobTimeout"
    assert record.finished_at - record.started_at < timedelta(seconds=4)


async def test_a_cancelled_job_may_leave_in_good_order(worker: Stoker[Any], tmp_path: Path) -> None:
    handle = apart.waits.enqueue(tmp_path / "ledger")
    await noted(handle)
    handle.cancel()

    record = await ended(handle)
    assert (record.state, record.errors[0].message) == (State.CANCELLED, "in good order")
    assert (tmp_path / "ledger").read_text() == "left"
    assert str(record.progress) == "50% waiting"


async def test_a_cancelled_coroutine_is_cancelled_there(worker: Stoker[Any], tmp_path: Path) -> None:
    handle = apart.sleeps.enqueue(tmp_path / "ledger")
    await noted(handle)
    handle.cancel()

    assert (await ended(handle)).state is State.CANCELLED
    assert (tmp_path / "ledger").read_text() == "cancelled"


async def test_a_cancelled_job_that_does_not_look_is_ended(worker: Stoker[Any]) -> None:
    handle = apart.heedless.enqueue()
    await noted(handle)
    handle.cancel()

    assert (await ended(handle)).state is State.CANCELLED


async def test_checkpoints_survive_the_process(worker: Stoker[Any]) -> None:
    assert await apart.steps.enqueue().aresult(timeout=30) == [{"row": 123456789012345678901}, 2]


async def test_an_error_keeps_its_name_its_trace_and_its_bases(worker: Stoker[Any]) -> None:
    record = await ended(apart.refuses.enqueue())

    error = record.errors[0]
    assert (record.state, record.failures) == (State.DISCARDED, 1)  # discard_on names a base of it
    assert (error.type, error.message) == ("tests.integration.apps.apart.Refused", "no route")
    assert "in refuses" in error.trace
    assert "child.py" not in error.trace


async def test_signals_mean_what_they_mean_elsewhere(worker: Stoker[Any]) -> None:
    assert (await ended(apart.signals.enqueue("discard"))).errors[0].message == "enough"
    handle = apart.signals.enqueue("snooze")
    while handle.fetch().state in (State.AVAILABLE, State.RUNNING):  # noqa: ASYNC110 another process
        await asyncio.sleep(0.02)
    assert (handle.fetch().state, handle.fetch().snoozes) == (State.SCHEDULED, 1)


async def test_log_records_are_the_workers(worker: Stoker[Any], caplog: pytest.LogCaptureFixture) -> None:
    handle = apart.logs.enqueue()
    says = await handle.aresult(timeout=30)

    (record,) = [one for one in caplog.records if one.message == "half way"]
    assert (record.levelname, vars(record)["job_id"], vars(record)["row"]) == ("WARNING", handle.id, 7)
    assert "lives in the worker's process" in says
    assert [line.message for one in handle.logs() for line in one.lines] == ["half way"]


async def test_what_is_not_json_is_dropped_as_elsewhere(worker: Stoker[Any]) -> None:
    record = await ended(apart.no_json.enqueue())

    assert (record.state, record.result) == (State.COMPLETED, None)


async def test_enqueueing_into_the_memory_of_another_process_is_refused(worker: Stoker[Any]) -> None:
    record = await ended(apart.enqueues.enqueue(1))

    assert "memory:// lives in the worker's process" in record.errors[0].message


async def test_middleware_sees_and_may_change_what_was_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    class AddsOne(Middleware):
        async def perform(self, context: Any, call_next: Any) -> object:
            returned = await call_next()
            return returned + 1 if context.name == "double" else returned

    monkeypatch.setattr(app, "middleware", (AddsOne(),))
    app.configure(arguments={"blocking_enqueue": "allow"})
    async with app.working(concurrency=1):
        assert await apart.double.enqueue(1).aresult(timeout=30) == 3
        assert await apart.echo.enqueue(10**30).aresult(timeout=30) == 10**30


async def test_a_process_is_replaced_when_it_is_worn() -> None:
    app.configure(arguments={"blocking_enqueue": "allow", "workers": {"child_max_jobs": 2}})
    async with app.working(concurrency=1):
        pids = [await apart.pid.enqueue().aresult(timeout=30) for _ in range(4)]
    app.configure(arguments={"workers": {"child_max_jobs": 1000, "child_max_rss": "1MB"}})
    async with app.working(concurrency=1):
        heavy = [await apart.pid.enqueue().aresult(timeout=30) for _ in range(2)]
    app.configure(arguments={"workers": {}})

    assert (pids[0] == pids[1], pids[1] == pids[2], pids[2] == pids[3]) == (True, False, True)
    assert heavy[0] != heavy[1]


async def test_what_follows_follows_from_the_ending(worker: Stoker[Any]) -> None:
    first = await apart.then.enqueue(False).aresult(timeout=30)
    await ended(apart.then.enqueue(True))

    following = [job for job in app.operations().find(Filter(names=("double",))) if job.parent is not None]
    assert [job.parent for job in following] == [first]
