"""Users' listeners: each has a thread, and can neither hurt a job nor keep anybody waiting."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from stoker import Stoker
from stoker.core.filters import EVERYTHING
from stoker.core.job import NewJob, new_call
from stoker.errors import DefinitionError
from stoker.telemetry import (
    AttemptEnded,
    AttemptStarted,
    Event,
    JobMisfit,
    JobsChanged,
    JobsEnqueued,
    JobsPruned,
    QueuesPaused,
    ResultDropped,
    StoreBack,
    StoreFailed,
    WorkerStarted,
    WorkerStopped,
)
from stoker.telemetry.board import Events
from stoker.telemetry.mailbox import Mailbox
from stoker.testing import sandbox
from tests.rigs.worker import Rig

EVENT = StoreBack("claim")


@pytest.fixture
def rig() -> Rig:
    """Give an application on the memory store under a clock that stands still."""
    return Rig()


@pytest.fixture
def app() -> Iterator[Stoker[Any]]:
    one: Stoker[Any] = Stoker("memory://")
    yield one
    one.close()


def test_a_listener_hears_the_kinds_it_named_in_order(app: Stoker[Any]) -> None:
    heard: list[Event] = []

    @app.on(StoreBack, StoreFailed)
    def listen(event: StoreBack | StoreFailed) -> None:
        heard.append(event)

    failed = StoreFailed("claim", OSError(), 1.0)
    for event in (failed, WorkerStopped("w", 1, 0), EVENT):
        app.events.emit(event)
    assert app.events.flush(5)
    assert heard == [failed, EVENT]


def test_without_kinds_it_hears_all(app: Stoker[Any]) -> None:
    heard: list[Event] = []
    app.on()(heard.append)
    app.events.emit(EVENT)
    app.events.emit(WorkerStopped("w", 1, 0))
    app.events.flush(5)

    assert [type(event) for event in heard] == [StoreBack, WorkerStopped]


def test_it_runs_in_a_thread_of_its_own_and_stays_the_function_it_was(app: Stoker[Any]) -> None:
    threads: list[threading.Thread] = []

    @app.on(StoreBack)
    def listen(event: StoreBack) -> str:
        threads.append(threading.current_thread())
        return event.verb

    app.events.emit(EVENT)
    app.events.flush(5)
    assert threads[0] is not threading.current_thread()
    assert listen(EVENT) == "claim"


def test_an_async_listener_has_one_loop_for_all_events(app: Stoker[Any]) -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    @app.on(StoreBack)
    async def listen(event: StoreBack) -> None:
        await asyncio.sleep(0)
        loops.append(asyncio.get_running_loop())

    app.events.emit(EVENT)
    app.events.emit(EVENT)
    app.events.flush(5)
    assert len(loops) == 2
    assert loops[0] is loops[1]


def test_an_ended_listener_hears_nothing_more(app: Stoker[Any]) -> None:
    heard: list[Event] = []

    @app.on(StoreBack)
    def listen(event: StoreBack) -> None:
        heard.append(event)

    app.on.end(listen)
    app.on.end(listen)
    app.events.emit(EVENT)
    assert StoreBack not in app.events.heard or heard == []
    assert heard == []


def test_a_listener_that_raises_is_reported_once_and_goes_on_listening(
    app: Stoker[Any], caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Event] = []

    @app.on(StoreBack)
    def listen(event: StoreBack) -> None:
        heard.append(event)
        raise SystemExit("even this")

    with caplog.at_level(logging.ERROR, "stoker.events"):
        for _ in range(3):
            app.events.emit(EVENT)
        app.events.flush(5)
    assert len(heard) == 3
    assert sum("raised; it is reported once" in record.message for record in caplog.records) == 1


def test_a_listener_that_blocks_loses_events_beyond_its_bound_and_is_reported_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    blocks, go_on, heard = threading.Event(), threading.Event(), list[int]()

    def listen(number: int) -> None:
        blocks.set()
        go_on.wait(10)
        heard.append(number)

    box = Mailbox(listen, size=3)
    with caplog.at_level(logging.ERROR, "stoker.events"):
        box.put(0)
        assert blocks.wait(10)
        for number in range(1, 20):
            box.put(number)
    assert not box.flush(0.01)
    go_on.set()
    assert box.flush(5)
    assert heard == [0, 1, 2, 3]
    assert box.lost == 16
    assert sum("does not keep up" in record.message for record in caplog.records) == 1


def test_a_listener_that_blocks_hurts_neither_jobs_nor_other_listeners() -> None:
    app: Stoker[Any] = Stoker("memory://")
    blocked, heard = threading.Event(), list[Event]()
    app.on()(lambda event: blocked.wait(20))
    app.on(AttemptEnded)(heard.append)

    @app.job
    async def noop() -> None: ...

    async def work() -> None:
        async with app.working():
            handles = await app.aenqueue_many([noop.draft() for _ in range(50)])
            await asyncio.gather(*(handle.aresult(timeout=10) for handle in handles))

    asyncio.run(work())
    assert not app.events.flush(0.2)
    assert len(heard) == 50
    blocked.set()


def test_a_forked_child_has_a_thread_of_its_own(app: Stoker[Any]) -> None:
    pids: list[int] = []
    box = Mailbox(lambda event: pids.append(os.getpid()))
    box.put(1)
    box.flush(5)
    child = os.fork()
    if not child:
        box.put(2)
        os._exit(0 if box.flush(5) and pids[-1] == os.getpid() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_what_nobody_hears_is_not_said() -> None:
    events = Events()
    assert AttemptStarted not in events.heard
    end = events.listen(print, AttemptStarted)
    assert AttemptStarted in events.heard
    end()
    assert AttemptStarted not in events.heard
    assert AttemptStarted not in Stoker("memory://").events.heard


# -- wrong use ---------------------------------------------------------------------------------------------------------


def test_on_without_parentheses_is_explained(app: Stoker[Any]) -> None:
    with pytest.raises(DefinitionError, match=r"say what listen listens for: @app.on\(AttemptEnded\)"):

        @app.on  # type: ignore[call-overload]
        def listen(event: Event) -> None: ...


def test_what_is_no_kind_of_event_is_refused_with_the_nearest(app: Stoker[Any]) -> None:
    class AttemptEnd: ...

    with pytest.raises(DefinitionError, match="AttemptEnd is no kind of event; did you mean AttemptEnded"):
        app.on(AttemptEnd)  # type: ignore[type-var]


def test_what_is_no_function_is_refused(app: Stoker[Any]) -> None:
    with pytest.raises(DefinitionError, match="42 is not a function"):
        app.on(StoreBack)(42)  # type: ignore[arg-type]


# -- what is said ------------------------------------------------------------------------------------------------------


async def test_a_worker_says_what_it_does(rig: Rig) -> None:
    @rig.app.job
    async def odd() -> object:
        return object()

    odd.enqueue()
    async with rig.working():
        await rig.settle_down()
    kinds = [type(event) for event in rig.events]
    assert kinds[:2] == [JobsEnqueued, WorkerStarted]
    assert kinds[-1] is WorkerStopped
    between = [kind for kind in kinds if kind in (AttemptStarted, AttemptEnded, ResultDropped)]
    assert between == [AttemptStarted, AttemptEnded, ResultDropped]


async def test_a_dropped_result_is_not_said_of_an_attempt_that_was_refused(rig: Rig) -> None:
    opened = asyncio.Event()

    @rig.app.job
    async def odd() -> object:
        await opened.wait()
        return object()

    odd.enqueue()
    async with rig.working() as worker:
        await rig.settle_down()
        assert rig.store.run(rig.store.requeue(EVERYTHING, 1, force=True)).count == 1
        rig.store.run(rig.store.pause("queue", ["default"], True))
        opened.set()
        await rig.settle_down()
        assert worker.performed == 1
    assert not rig.seen(AttemptEnded)
    assert not rig.seen(ResultDropped)


async def test_a_misfit_is_said_with_its_reason(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    @rig.app.job
    async def takes(n: int) -> None: ...

    rig.store.run(rig.store.enqueue([NewJob("takes", '{"m":1}'), NewJob("takes", '{"m":2}')], new_call()))
    async with rig.working():
        await rig.settle_down()
    assert rig.seen(JobMisfit)[0].reason.startswith("takes: ")
    assert sum("misfit, given back uncounted" in record.message for record in caplog.records) == 1


async def test_pruned_jobs_are_said(rig: Rig) -> None:
    @rig.app.job(keep="1m")
    async def noop() -> None: ...

    handle = noop.enqueue()
    async with rig.working():
        await rig.settle_down()
        await rig.pass_time(120)
    assert [event.ids for event in rig.seen(JobsPruned)] == [(handle.id,)]


def test_what_operators_do_is_said() -> None:
    app: Stoker[Any] = Stoker("memory://")
    heard: list[Any] = []
    app.events.listen(heard.append, JobsChanged, QueuesPaused)

    @app.job
    def noop() -> None: ...

    with sandbox(app):
        handle = noop.using(delay="1h").enqueue()
        operations = app.operations()
        operations.promote(EVERYTHING)
        handle.cancel()
        operations.retry(EVERYTHING)
        operations.cancel(EVERYTHING)
        (again,) = operations.replay(EVERYTHING)
        operations.delete(EVERYTHING)
        operations.pause("queue", ["default"])
        operations.resume("queue", ["default"])
        operations.resume("queue", ["default"])
        assert handle.id != again
    assert [(event.verb, event.ids) for event in heard[:-2]] == [
        ("promote", (handle.id,)),
        ("cancel", (handle.id,)),
        ("retry", (handle.id,)),
        ("cancel", (handle.id,)),
        ("replay", (again,)),
        ("delete", (handle.id, again)),
    ]
    assert [event.paused for event in heard[-2:]] == [True, False]


def test_a_result_that_is_not_json_is_said_in_the_foreground_too() -> None:
    app: Stoker[Any] = Stoker(settings={"workers": {"mode": "foreground"}})
    heard: list[Any] = []
    app.events.listen(heard.append, ResultDropped)

    @app.job
    def odd() -> object:
        return object()

    odd.enqueue()
    assert len(heard) == 1
