"""An application in a sandbox: what is enqueued waits, what is performed is performed as a worker would."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from stoker import (
    Cancel,
    Context,
    Discard,
    JobHandle,
    Middleware,
    Retry,
    Snooze,
    State,
    Stoker,
    Unique,
    Workflow,
    fixed,
)
from stoker.core.job import NewJob
from stoker.errors import (
    ArgumentsError,
    ConfigurationError,
    JobTimeout,
    NotSupported,
    ResultUnavailable,
    StoreUnavailable,
)
from stoker.jobs.middleware import CallNext
from stoker.telemetry.events import AttemptEnded, AttemptStarted, JobsEnqueued
from stoker.testing import Sandbox, adrain, aperform, assert_enqueued, drain, enqueued, perform, sandbox

app: Stoker[Any] = Stoker("postgresql://nowhere.invalid/none")
calls: list[Any] = []


@app.job(queue="mail")
def mail(user: int, text: str = "hello") -> str:
    calls.append(("mail", user))
    return f"{text} {user}"


@app.job
async def resize(path: Path) -> Path:
    calls.append(("resize", path))
    return path.with_suffix(".small")


@app.job(max_attempts=3, backoff=fixed("1m"))
def fails(with_what: str) -> None:
    calls.append("fails")
    raise ValueError(with_what)


@app.job
def spreads(n: int) -> None:
    calls.append(n)
    if n:
        spreads.enqueue(n - 1)


@pytest.fixture(autouse=True)
def forget() -> None:
    calls.clear()


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with sandbox(app) as opened:
        yield opened


# -- manual ------------------------------------------------------------------------------------------------------------


def test_no_server_is_asked_and_jobs_wait(box: Sandbox) -> None:
    handle = mail.enqueue(1)

    assert (handle.fetch().state, calls) == (State.AVAILABLE, [])


def test_drain_performs_what_waits_and_what_that_enqueues(box: Sandbox) -> None:
    spreads.enqueue(2)

    assert drain().completed == 3
    assert calls == [2, 1, 0]
    assert drain().attempts == 0


def test_a_drained_job_has_its_result(box: Sandbox) -> None:
    handle = resize.enqueue(Path("a.png"))
    box.drain()

    assert handle.result(timeout=0) == Path("a.small")


def test_drain_can_be_for_one_queue_and_for_a_number_of_attempts(box: Sandbox) -> None:
    mail.enqueue(1)
    spreads.enqueue(5)

    assert box.drain(queue="mail").completed == 1
    assert box.drain(attempts=2).completed == 2
    assert calls == [("mail", 1), 5, 4]


def test_priorities_hold(box: Sandbox) -> None:
    for user, priority in ((1, 0), (2, 9), (3, -3)):
        mail.using(priority=priority).enqueue(user)
    box.drain()

    assert calls == [("mail", 2), ("mail", 1), ("mail", 3)]


def test_a_drain_that_would_never_end_says_so(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stoker.testing.box.MOST_ATTEMPTS", 20)
    spreads.enqueue(1000)

    with pytest.raises(AssertionError, match="does a job enqueue itself"):
        box.drain()


def test_a_handlers_error_is_raised_by_drain_once_the_job_is_settled(box: Sandbox) -> None:
    handle = fails.enqueue("this")

    with pytest.raises(ValueError, match="this"):
        box.drain()
    assert handle.fetch().state is State.RETRYABLE


def test_errors_can_be_failed_attempts_and_the_clock_go_on_to_the_retries(box: Sandbox) -> None:
    handle = fails.enqueue("this")
    drained = box.drain(scheduled=True, raise_errors=False)

    assert (drained.retryable, drained.discarded) == (2, 1)
    assert (len(calls), handle.fetch().state) == (3, State.DISCARDED)
    assert box.clock.now() == 120_000_000 + 1_767_268_800_000_000


def test_time_passes_only_when_told(box: Sandbox) -> None:
    later = mail.using(delay="1h").enqueue(1)
    assert box.drain().attempts == 0

    box.advance("59m59s")
    assert later.fetch().state is State.SCHEDULED
    box.advance("1s")
    assert later.fetch().state is State.AVAILABLE
    assert box.drain().completed == 1


def test_signals_are_no_errors(box: Sandbox) -> None:
    local: Stoker[Any] = Stoker("memory://")

    @local.job
    def says(what: str) -> None:
        raise {"s": Snooze("1m"), "c": Cancel("no"), "d": Discard("no"), "r": Retry("1m")}[what]

    with sandbox(local) as other:
        for what in "scdr":
            says.enqueue(what)
        drained = other.drain()
    assert (drained.scheduled, drained.cancelled, drained.discarded, drained.retryable) == (1, 1, 1, 1)


def test_what_is_deleted_when_done_is_still_known_to_have_been_enqueued() -> None:
    local: Stoker[Any] = Stoker("memory://")

    @local.job(keep=0)
    def forgotten(n: int) -> None: ...

    with sandbox(local) as box:
        forgotten.enqueue(1)
        box.drain()
        assert box.assert_enqueued(forgotten, args={"n": 1}).state is State.COMPLETED


# -- threads and loops -------------------------------------------------------------------------------------------------


def test_a_sync_tests_sync_handlers_run_in_its_thread_where_no_loop_runs() -> None:
    local: Stoker[Any] = Stoker("memory://")

    @local.job
    def where() -> None:
        calls.append(threading.current_thread())
        asyncio.run(asyncio.sleep(0))

    with sandbox(local) as box:
        where.enqueue()
        box.drain()
    assert calls == [threading.current_thread()]


async def test_an_async_tests_handlers_run_on_its_loop(box: Sandbox) -> None:
    local: Stoker[Any] = Stoker("memory://")

    @local.job
    async def where() -> None:
        calls.append(asyncio.get_running_loop())

    with sandbox(local) as other:
        await where.aenqueue()
        await other.adrain()
    assert calls == [asyncio.get_running_loop()]


async def test_an_async_test_enqueues_performs_and_drains(box: Sandbox) -> None:
    handle = await mail.aenqueue(1)
    await spreads.aenqueue(1)
    drained = await box.adrain()

    assert drained.completed == 3
    assert await handle.aresult(timeout=1) == "hello 1"
    assert await aperform(resize, Path("b.png")) == Path("b.small")


# -- inline ------------------------------------------------------------------------------------------------------------


def test_inline_performs_where_a_job_is_enqueued_and_ignores_delays() -> None:
    with sandbox(app, mode="inline") as box:
        handle = mail.using(delay="1h").enqueue(7)

        assert calls == [("mail", 7)]
        assert handle.result(timeout=0) == "hello 7"
        box.assert_enqueued(mail, state=State.COMPLETED)


def test_inline_raises_what_the_handler_raised_and_goes_on_to_what_it_enqueued() -> None:
    with sandbox(app, mode="inline"):
        spreads.enqueue(3)
        assert calls == [3, 2, 1, 0]
        with pytest.raises(ValueError, match="inline"):
            fails.enqueue("inline")


async def test_inline_in_async_code() -> None:
    with sandbox(app, mode="inline"):
        handle = await resize.aenqueue(Path("c.png"))
        assert await handle.aresult(timeout=0) == Path("c.small")


def test_arguments_go_through_json_inline_too() -> None:
    local: Stoker[Any] = Stoker("memory://")

    @local.job
    def takes(pairs: Any) -> None:
        calls.append(pairs)

    with sandbox(local, mode="inline"):
        takes.enqueue([1, 2])
        with pytest.raises(ArgumentsError):
            takes.enqueue({1: "a key that is no text"})
    assert calls == [[1, 2]]


def test_the_mode_can_be_another_for_a_block(box: Sandbox) -> None:
    with box.inline():
        mail.enqueue(1)
        with box.manual():
            mail.enqueue(2)
    assert calls == [("mail", 1)]


# -- performing one ----------------------------------------------------------------------------------------------------


def test_perform_gives_the_result_as_whoever_waits_for_it_would_get_it(box: Sandbox) -> None:
    assert perform(mail, 3, text="hi") == "hi 3"
    assert perform(resize, Path("x.png")) == Path("x.small")
    assert enqueued() == []


def test_perform_raises_what_the_handler_raised_a_signal_included(box: Sandbox) -> None:
    with pytest.raises(ValueError, match="loud"):
        perform(fails, "loud")
    local: Stoker[Any] = Stoker("memory://")

    @local.job
    def snoozes(ctx: Context) -> int:
        if ctx.attempt < 3:
            raise Snooze("5m")
        return ctx.attempt

    with sandbox(local) as other:
        with pytest.raises(Snooze) as raised:
            other.perform(snoozes)
        assert raised.value.delay == 300_000_000
        assert other.perform(snoozes.draft(), attempt=3) == 3


def test_a_result_that_is_not_json_fails() -> None:
    local: Stoker[Any] = Stoker("memory://")

    @local.job
    def gives() -> object:
        return object()

    with sandbox(local) as box, pytest.raises(ResultUnavailable, match="not JSON"):
        box.perform(gives)


def test_perform_has_the_options_of_a_draft(box: Sandbox) -> None:
    local: Stoker[Any] = Stoker("memory://")

    @local.job
    def looks(ctx: Context) -> Any:
        return [ctx.queue, ctx.meta]

    with sandbox(local) as other:
        assert other.perform(looks.using(queue="q", meta={"a": 1})) == ["q", {"a": 1}]


def test_handlers_get_the_lifespans_state_or_the_one_given() -> None:
    @contextlib.asynccontextmanager
    async def lifespan(_app: Stoker[str]) -> AsyncIterator[str]:
        yield "real"

    local = Stoker("memory://", lifespan=lifespan)

    @local.job
    def state(ctx: Context[str]) -> str:
        return ctx.state

    with sandbox(local):
        assert perform(state) == "real"
    with sandbox(local, state="fake"):
        assert perform(state) == "fake"


def test_middleware_and_events_see_what_happens() -> None:
    class Notes(Middleware):
        def enqueue(self, job: NewJob) -> NewJob:
            calls.append("enqueue")
            return job

        async def perform(self, context: Context[Any], call_next: CallNext) -> object:
            calls.append("before")
            return await call_next()

    local: Stoker[Any] = Stoker("memory://", middleware=[Notes()])
    seen: list[type] = []
    local.events.listen(lambda event: seen.append(type(event)))

    @local.job
    def noop() -> None:
        calls.append("noop")

    with sandbox(local) as box:
        noop.enqueue()
        box.drain()
    assert calls == ["enqueue", "before", "noop"]
    assert seen == [JobsEnqueued, AttemptStarted, AttemptEnded]


def test_a_timeout_ends_an_attempt_when_the_clock_is_moved() -> None:
    local: Stoker[Any] = Stoker("memory://")

    @local.job(timeout="30s")
    async def hangs() -> None:
        other.clock.advance("31s")
        await asyncio.sleep(30)

    with sandbox(local) as other, pytest.raises(JobTimeout):
        other.perform(hangs)


def test_a_timeout_ends_an_attempt_in_real_time_too() -> None:
    local: Stoker[Any] = Stoker("memory://")

    @local.job(timeout=0.05)
    async def hangs() -> None:
        await asyncio.sleep(30)

    with sandbox(local), pytest.raises(JobTimeout):
        perform(hangs)


# -- faults ------------------------------------------------------------------------------------------------------------


def test_a_store_can_be_unavailable(box: Sandbox) -> None:
    with box.faults.unavailable("enqueue"):
        with pytest.raises(StoreUnavailable, match="a fault that the test asked for"):
            mail.enqueue(1)
        mail.enqueue(2)
    box.assert_enqueued(mail, count=1, args={"user": 2})


def test_a_fault_that_could_never_happen_is_refused(box: Sandbox) -> None:
    with pytest.raises(ValueError, match="'enque' is no verb of a store"), box.faults.unavailable("enque"):
        pass
    with (
        pytest.raises(TypeError, match="faults: 'mail' is no job"),
        box.faults.crashing("mail"),  # type: ignore[arg-type]
    ):
        pass


async def test_an_answer_can_get_lost(box: Sandbox) -> None:
    with box.faults.unavailable(uncertain=True), pytest.raises(StoreUnavailable) as raised:
        await mail.aenqueue(1)
    assert raised.value.uncertain
    box.assert_enqueued(mail, count=1)


def test_a_worker_can_die_after_its_work(box: Sandbox) -> None:
    handle = mail.enqueue(1)
    with box.faults.crashing(mail):
        drained = box.drain()

    assert calls == [("mail", 1), ("mail", 1)]
    assert (drained.available, drained.completed, handle.fetch().crashes) == (1, 1, 1)


def test_a_job_that_kills_its_worker_each_time_is_discarded(box: Sandbox) -> None:
    handle = mail.enqueue(1)
    with box.faults.crashing(mail, times=100):
        box.drain()

    assert (handle.fetch().state, len(calls)) == (State.DISCARDED, 3)


def test_an_attempt_can_fail_without_its_handler(box: Sandbox) -> None:
    handle = mail.enqueue(1)
    with box.faults.failing(mail, ConnectionError("smtp")):
        drained = box.drain(scheduled=True, raise_errors=False)

    assert (drained.retryable, drained.completed, calls) == (1, 1, [("mail", 1)])
    assert handle.fetch().errors[0].type == "ConnectionError"


# -- the application ---------------------------------------------------------------------------------------------------


def test_a_transaction_is_taken_where_the_applications_own_store_takes_one(box: Sandbox) -> None:
    mail.using(transaction=object()).enqueue(1)

    box.assert_enqueued(mail)


def test_a_transaction_is_refused_where_the_applications_own_store_refuses_it() -> None:
    local: Stoker[Any] = Stoker("redis://nowhere.invalid")

    @local.job
    def noop() -> None: ...

    with sandbox(local), pytest.raises(NotSupported, match="transaction"):
        noop.using(transaction=object()).enqueue()


def test_completing_in_a_transaction_completes(box: Sandbox) -> None:
    local: Stoker[Any] = Stoker("postgresql://nowhere.invalid/none")

    @local.job
    def writes(ctx: Context) -> str:
        with ctx.completing(object(), result="done"):
            return "ignored"

    with sandbox(local) as other:
        handle = writes.enqueue()
        assert other.drain().completed == 1
        assert handle.result(timeout=0) == "done"


def test_unique_keys_hold(box: Sandbox) -> None:
    first: JobHandle[str] = mail.using(unique=Unique(by="user")).enqueue(1)

    assert mail.using(unique=Unique(by="user")).enqueue(1, "other") == first
    box.assert_enqueued(mail, count=1)


def test_two_stores_are_drained_together() -> None:
    local: Stoker[Any] = Stoker("redis://nowhere.invalid", stores={"other": "postgresql://nowhere.invalid/x"})

    @local.job(store="other")
    def there() -> None: ...

    @local.job
    def here() -> None:
        there.enqueue()

    with sandbox(local) as box:
        here.enqueue()
        assert drain().completed == 2
        box.assert_enqueued(there, store="other")


def test_settings_for_another_mode_do_not_matter() -> None:
    local: Stoker[Any] = Stoker(settings={"workers": {"mode": "async"}})

    @local.job
    def noop() -> None:
        calls.append("noop")

    with sandbox(local):
        noop.enqueue()
        assert calls == []


async def test_closing_the_application_and_a_worker_beside_it_change_nothing(box: Sandbox) -> None:
    async with app, app.working():
        await mail.aenqueue(1)
    box.assert_enqueued(mail, state="available")


def test_after_the_block_the_application_is_as_before() -> None:
    local: Stoker[Any] = Stoker("memory://")

    @local.job
    def noop() -> None: ...

    store, clock = local.store(), local.clock
    with sandbox(local):
        noop.enqueue()
        assert local.store() is not store
    assert (local.store(), local.clock, local.mode) == (store, clock, "queue")
    assert local.operations().find(limit=5, only=_everything()) == []


def _everything() -> Any:
    from stoker.core.filters import EVERYTHING

    return EVERYTHING


# -- wrong use ---------------------------------------------------------------------------------------------------------


def test_without_a_sandbox_the_functions_say_how_to_get_one() -> None:
    with pytest.raises(ConfigurationError, match="use the fixture `stoker`"):
        assert_enqueued(mail)


def test_sandboxes_are_not_nested(box: Sandbox) -> None:
    with pytest.raises(ConfigurationError, match="cannot be nested"), sandbox(app):
        pass


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'manual' or 'inline'"), sandbox(app, mode="fast"):  # type: ignore[arg-type]
        pass


async def test_another_applications_job_is_refused(box: Sandbox) -> None:
    local: Stoker[Any] = Stoker("memory://")

    @local.job
    def stranger() -> None: ...

    with pytest.raises(ConfigurationError, match="another application"):
        await box.aperform(stranger)
    with pytest.raises(ConfigurationError, match="in no sandbox"):
        assert_enqueued(stranger)


async def test_with_two_sandboxes_a_function_without_a_job_asks_which(box: Sandbox) -> None:
    with sandbox(Stoker("memory://")), pytest.raises(ConfigurationError, match="several applications"):
        await adrain()


def test_what_follows_from_a_job_is_enqueued_with_its_ending() -> None:
    app = Stoker("memory://")

    @app.job
    def receipt(order: int) -> int:
        return order

    @app.job
    def charge(ctx: Context, order: int) -> None:
        ctx.then(receipt.draft(order))

    with sandbox(app):
        charge.enqueue(42)
        assert drain().completed == 2


def test_a_drain_performs_a_workflow_to_its_end() -> None:
    app = Stoker("memory://")

    @app.job
    def double(n: int) -> int:
        return 2 * n

    flow = Workflow()
    last = flow.add(double, flow.add(double, flow.add(double, 1).result).result)
    with sandbox(app):
        batch = app.start(flow)
        assert drain().completed == 3
        assert batch.progress().steps[last.key] == "completed"


def test_a_drain_brings_batches_up_to_date_whose_members_a_crash_or_an_operator_ended() -> None:
    app = Stoker("memory://")
    told: list[str] = []

    @app.job(crash_limit=1)
    def work() -> None: ...

    @app.job
    def tell() -> None:
        told.append("failed")

    with sandbox(app) as box:
        with app.batch(on_complete=tell.draft()) as batch:
            batch.add(work.draft(), work.draft())
        app.handle(box.enqueued(work)[1].id).cancel()
        with box.faults.crashing(work):
            drain()
        assert batch.progress().complete
        assert told == ["failed"]
