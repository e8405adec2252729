"""How attempts end, and what becomes of their jobs."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import Any

import pytest

from stoker import Cancel, Context, Discard, Middleware, Retry, Snooze, State, fixed
from stoker.core.job import NewJob, new_call
from stoker.errors import JobFailed, ResultError, ResultUnavailable
from stoker.telemetry.events import AttemptEnded, JobOverdue, JobSlow, ResultDropped
from tests.rigs.worker import Rig


async def test_an_async_job_completes_with_its_result(rig: Rig) -> None:
    @rig.app.job
    async def double(n: int) -> int:
        return 2 * n

    handle = double.enqueue(21)
    async with rig.working():
        assert await handle.aresult(timeout=1) == 42


async def test_a_sync_job_runs_in_a_thread(rig: Rig) -> None:
    @rig.app.job
    def where() -> str:
        return threading.current_thread().name

    handle = where.enqueue()
    async with rig.working():
        await rig.until(lambda: rig.state(handle.id) is State.COMPLETED)
    assert handle.result(timeout=0).startswith("stoker-job")


async def test_a_failed_job_is_retried_after_its_backoff_and_never_before(rig: Rig) -> None:
    attempts: list[int] = []

    @rig.app.job(backoff=fixed("10s"))
    async def flaky(ctx: Context[None]) -> None:
        attempts.append(ctx.attempt)
        if ctx.attempt == 1:
            raise ValueError("first time")

    handle = flaky.enqueue()
    async with rig.working():
        await rig.settle_down()
        assert rig.state(handle.id) is State.RETRYABLE
        await rig.pass_time(9.9)
        assert attempts == [1]
        await rig.pass_time(1.2)
        assert attempts == [1, 2]
    job = rig.find(handle.id)
    assert job.state is State.COMPLETED
    assert (job.failures, job.starts) == (1, 2)
    assert [(error.type, error.message) for error in job.errors] == [("ValueError", "first time")]


async def test_a_stored_trace_starts_at_the_handler(rig: Rig) -> None:
    @rig.app.job
    async def broken() -> None:
        raise ValueError("here")

    handle = broken.enqueue()
    async with rig.working():
        await rig.settle_down()
    trace = rig.find(handle.id).errors[0].trace
    assert "in broken" in trace
    assert "executor.py" not in trace


async def test_a_delayed_job_starts_at_its_time(rig: Rig) -> None:
    started: list[int] = []

    @rig.app.job
    async def later() -> None:
        started.append(rig.clock.now())

    async with rig.working():
        enqueued = rig.clock.now()
        later.using(delay="3s").enqueue()
        await rig.settle_down()
        await rig.pass_time(2.9, step=0.1)
        assert started == []
        await rig.pass_time(0.2, step=0.01)
    assert started
    assert 3_000_000 <= started[0] - enqueued <= 3_050_000


async def test_attempts_that_are_used_up_discard_the_job_with_every_error_kept(rig: Rig) -> None:
    @rig.app.job(max_attempts=3, backoff=fixed("1s"))
    async def hopeless(n: int) -> None:
        raise RuntimeError(f"no {n}")

    handle = hopeless.enqueue(7)
    async with rig.working():
        await rig.pass_time(5)
    job = rig.find(handle.id)
    assert job.state is State.DISCARDED
    assert [error.attempt for error in job.errors] == [1, 2, 3]
    with pytest.raises(JobFailed, match="no 7"):
        handle.result(timeout=0)


@pytest.mark.parametrize(
    ("signal", "state", "failures", "snoozes"),
    [
        (Snooze("1m"), State.SCHEDULED, 0, 1),
        (Cancel("not needed"), State.CANCELLED, 0, 0),
        (Discard("no use"), State.DISCARDED, 0, 0),
        (Retry("1m", "busy"), State.RETRYABLE, 1, 0),
    ],
)
async def test_a_handler_says_by_a_signal_how_its_attempt_ends(
    rig: Rig, signal: Exception, state: State, failures: int, snoozes: int
) -> None:
    @rig.app.job
    async def decides() -> None:
        raise signal

    handle = decides.enqueue()
    async with rig.working():
        await rig.settle_down()
        job = rig.find(handle.id)
        assert (job.state, job.failures, job.snoozes) == (state, failures, snoozes)
        if not state.final:
            assert job.run_at == rig.clock.now() + 60_000_000


async def test_discard_on_ends_a_job_at_its_first_such_error(rig: Rig) -> None:
    @rig.app.job(discard_on=(KeyError,))
    async def picky() -> None:
        raise KeyError("gone")

    handle = picky.enqueue()
    async with rig.working():
        await rig.settle_down()
    assert rig.state(handle.id) is State.DISCARDED


async def test_retry_on_discards_every_other_error(rig: Rig) -> None:
    @rig.app.job(retry_on=(OSError,))
    async def picky(kind: str) -> None:
        raise (OSError if kind == "os" else ValueError)(kind)

    one, other = picky.enqueue("os"), picky.enqueue("value")
    async with rig.working():
        await rig.settle_down()
    assert (rig.state(one.id), rig.state(other.id)) == (State.RETRYABLE, State.DISCARDED)


async def test_an_async_job_is_cancelled_at_its_timeout_and_retried(rig: Rig) -> None:
    cancelled: list[bool] = []

    @rig.app.job(timeout="5s")
    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    handle = slow.enqueue()
    async with rig.working():
        await rig.pass_time(4.5)
        assert rig.state(handle.id) is State.RUNNING
        await rig.pass_time(1)
        job = rig.find(handle.id)
    assert cancelled == [True]
    assert job.state is State.RETRYABLE
    assert job.errors[0].type == "JobTimeout"


async def test_a_thread_that_times_out_keeps_its_slot_until_it_returns(rig: Rig) -> None:
    told, let_go = threading.Event(), threading.Event()

    @rig.app.job(timeout="5s")
    def stubborn(ctx: Context[None]) -> str:
        while not ctx.cancelled:
            let_go.wait(0.001)
        told.set()
        let_go.wait(10)
        return "too late"

    handle = stubborn.enqueue()
    async with rig.working():
        await rig.pass_time(6)
        await rig.until(told.is_set)
        assert rig.state(handle.id) is State.RUNNING
        assert rig.seen(JobOverdue)
        let_go.set()
        await rig.until(lambda: rig.state(handle.id) is State.RETRYABLE)
    assert rig.find(handle.id).errors[0].type == "JobTimeout"


async def test_what_a_job_leaves_in_context_variables_does_not_reach_the_next_one(rig: Rig) -> None:
    tenant: ContextVar[str] = ContextVar("tenant", default="nobody")
    seen: list[str] = []

    @rig.app.job
    async def serve(name: str) -> None:
        seen.append(tenant.get())
        tenant.set(name)

    rig.app.enqueue_many([serve.draft(name) for name in "abcdef"])
    async with rig.working(concurrency=1):
        await rig.settle_down()
    assert seen == ["nobody"] * 6


async def test_a_handler_that_raises_systemexit_fails_and_the_worker_goes_on(rig: Rig) -> None:
    @rig.app.job
    async def leaves(code: int) -> int:
        if code:
            raise SystemExit(code)
        return code

    one, other = leaves.enqueue(3), leaves.enqueue(0)
    async with rig.working():
        await rig.settle_down()
    assert (rig.state(one.id), rig.state(other.id)) == (State.RETRYABLE, State.COMPLETED)


async def test_a_result_that_is_not_json_is_dropped_and_reported(rig: Rig) -> None:
    @rig.app.job
    async def odd() -> object:
        return object()

    handle = odd.enqueue()
    async with rig.working():
        await rig.settle_down()
    assert rig.state(handle.id) is State.COMPLETED
    assert rig.seen(ResultDropped)
    with pytest.raises(ResultUnavailable):
        handle.result(timeout=0)


async def test_a_result_that_raises_when_it_is_looked_at_is_dropped_too(rig: Rig) -> None:
    class Proxy:
        @property  # type: ignore[misc]
        def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
            raise RuntimeError("out of its context")

    @rig.app.job
    async def odd() -> object:
        return Proxy()

    handle = odd.enqueue()
    async with rig.working():
        await rig.settle_down()
        assert rig.state(handle.id) is State.COMPLETED
    assert rig.seen(ResultDropped)


async def test_a_fault_of_ours_fails_the_attempt_instead_of_holding_the_job(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    @rig.app.job
    async def fine() -> int:
        return 1

    def broken(value: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(fine, "encode_result", broken)
    handle = fine.enqueue()
    async with rig.working():
        await rig.settle_down()
        assert rig.state(handle.id) is State.RETRYABLE


async def test_arguments_that_do_not_fit_are_given_back_uncounted_and_discarded_after_a_day(rig: Rig) -> None:
    @rig.app.job
    async def takes(n: int) -> None: ...

    (answer,) = rig.store.run(rig.store.enqueue([NewJob("takes", '{"n":"text"}')], new_call()))
    async with rig.working():
        await rig.settle_down()
        job = rig.find(answer.id)
        assert (job.state, job.failures, job.crashes) == (State.SCHEDULED, 0, 0)
        assert job.run_at > rig.clock.now()
        rig.clock.advance("25h")
        await rig.pass_time(2)
    job = rig.find(answer.id)
    assert job.state is State.DISCARDED
    assert "misfit" in job.errors[-1].message


async def test_a_body_of_a_newer_version_is_given_back(rig: Rig) -> None:
    @rig.app.job
    async def takes(n: int) -> None: ...

    (answer,) = rig.store.run(rig.store.enqueue([NewJob("takes", '{"n":1}', version=99)], new_call()))
    async with rig.working():
        await rig.settle_down()
        assert rig.state(answer.id) is State.SCHEDULED


async def test_arguments_that_are_not_json_are_discarded_and_the_queue_goes_on(rig: Rig) -> None:
    @rig.app.job
    async def takes(n: int) -> None: ...

    (answer,) = rig.store.run(rig.store.enqueue([NewJob("takes", '{"n":')], new_call()))
    good = takes.enqueue(1)
    async with rig.working():
        await rig.settle_down()
    assert rig.state(answer.id) is State.DISCARDED
    assert rig.find(answer.id).errors[0].type == "Corrupt"
    assert rig.state(good.id) is State.COMPLETED


async def test_a_backoff_that_raises_falls_back_to_the_default_one(rig: Rig) -> None:
    good = [1.0]  # it is tried once when the job is defined

    def broken(failures: int) -> float:
        return good.pop()

    @rig.app.job(backoff=broken)
    async def fails() -> None:
        raise ValueError

    handle = fails.enqueue()
    async with rig.working():
        await rig.settle_down()
    assert rig.state(handle.id) is State.RETRYABLE


async def test_jobs_enqueued_while_performing_carry_parent_and_root(rig: Rig) -> None:
    ids: dict[str, str] = {}

    @rig.app.job
    async def child(depth: int) -> None:
        if depth:
            ids["leaf"] = (await child.aenqueue(depth - 1)).id

    @rig.app.job
    async def parent() -> None:
        ids["child"] = (await child.aenqueue(1)).id

    root = parent.enqueue()
    async with rig.working():
        await rig.settle_down()
    leaf = rig.find(ids["leaf"])
    assert (leaf.parent, leaf.root) == (ids["child"], root.id)


async def test_waiting_for_a_result_inside_a_job_is_refused(rig: Rig) -> None:
    @rig.app.job(max_attempts=1)
    async def waits() -> None:
        await (await waits.aenqueue()).aresult(timeout=None)

    handle = waits.enqueue()
    async with rig.working(concurrency=1):
        await rig.settle_down()
    assert rig.find(handle.id).errors[0].type == ResultError.__name__


async def test_an_attempt_that_runs_long_is_reported_once(rig: Rig) -> None:
    @rig.app.job(slow_after="1m")
    async def slow() -> None:
        await asyncio.Event().wait()

    slow.enqueue()
    async with rig.working(grace=0.1):
        await rig.pass_time(50)
        assert not rig.seen(JobSlow)
        await rig.pass_time(60)
        assert len(rig.seen(JobSlow)) == 1


async def test_middleware_stands_around_every_attempt_the_first_outermost(rig: Rig) -> None:
    order: list[str] = []

    class Says(Middleware):
        def __init__(self, word: str) -> None:
            self.word = word

        async def perform(self, context: Context[Any], call_next: Any) -> object:
            order.append(f"{self.word} in")
            try:
                return await call_next()
            finally:
                order.append(f"{self.word} out")

    rig.app.middleware = (Says("a"), Says("b"))

    @rig.app.job
    async def job() -> None:
        order.append("job")

    job.enqueue()
    async with rig.working():
        await rig.settle_down()
    assert order == ["a in", "b in", "job", "b out", "a out"]


async def test_a_listener_that_raises_hurts_nobody(rig: Rig) -> None:
    def bad(event: object) -> None:
        raise RuntimeError("listener")

    rig.app.events.listen(bad)

    @rig.app.job
    async def job() -> None: ...

    handle = job.enqueue()
    async with rig.working():
        await rig.settle_down()
    assert rig.state(handle.id) is State.COMPLETED
    assert rig.seen(AttemptEnded)


async def test_an_error_whose_text_no_store_can_carry_is_kept_escaped(rig: Rig) -> None:
    @rig.app.job
    async def odd() -> None:
        raise ValueError("name \udcff\x00")

    handle = odd.enqueue()
    async with rig.working():
        await rig.settle_down()
    (error,) = rig.find(handle.id).errors
    assert error.message.startswith("name \\udcff")


async def test_a_handler_that_asks_for_a_retry_gets_one_whatever_retry_on_says(rig: Rig) -> None:
    @rig.app.job(retry_on=OSError)
    async def busy() -> None:
        raise Retry("1h")

    handle = busy.enqueue()
    async with rig.working():
        await rig.settle_down()
    assert rig.state(handle.id) is State.RETRYABLE


async def test_working_runs_a_worker_beside_the_callers_own_code(rig: Rig) -> None:
    @rig.app.job
    async def double(n: int) -> int:
        return 2 * n

    async with asyncio.timeout(10):
        running = asyncio.ensure_future(_answer(rig, double))
        await rig.drive(running)
    assert running.result() == 42


async def _answer(rig: Rig, double: Any) -> int:
    async with rig.app.working(concurrency=1):
        return int(await (await double.aenqueue(21)).aresult(timeout=5))


async def test_context_variables_reach_threads(rig: Rig) -> None:
    tenant: ContextVar[str] = ContextVar("tenant", default="nobody")

    class SetsTenant(Middleware):
        async def perform(self, context: Context[Any], call_next: Any) -> object:
            tenant.set(str(context.meta["tenant"]))
            return await call_next()

    rig.app.middleware = (SetsTenant(),)

    @rig.app.job
    def whose() -> str:
        return tenant.get()

    handles = [whose.using(meta={"tenant": name}).enqueue() for name in "abc"]
    async with rig.working():
        await rig.until(lambda: all(rig.state(handle.id) is State.COMPLETED for handle in handles))
    assert [handle.result(timeout=0) for handle in handles] == ["a", "b", "c"]
    assert tenant.get() == "nobody"
