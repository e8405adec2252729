"""The mode ``foreground``: one attempt in the caller, nothing stored, the job's error raised."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NoReturn, TypeVar

from stoker.core import expiry
from stoker.core.clock import Clock
from stoker.core.job import Claim, Ending, JobId, NewJob, State, StoredJob, new_token
from stoker.core.lines import AttemptLog
from stoker.core.outcome import (
    CancelledByHandler,
    DiscardedByHandler,
    Expired,
    Failed,
    GivenBack,
    Outcome,
    Snoozed,
    Succeeded,
    Unreadable,
)
from stoker.errors import JobCancelled, JobFailed, JobNotFound, NotSupported, ResultUnavailable
from stoker.jobs.defined import DefinedJob
from stoker.jobs.draft import Draft
from stoker.jobs.following import Following
from stoker.jobs.handle import JobHandle
from stoker.jobs.middleware import Middleware
from stoker.jobs.options import Defaults
from stoker.jobs.preparing import prepared
from stoker.jobs.signals import Retry
from stoker.runtime.calling import CallersThread
from stoker.runtime.executor import Executor
from stoker.runtime.following import checked_draft
from stoker.runtime.slots import Slot
from stoker.runtime.threads import Threads
from stoker.telemetry.board import Events
from stoker.telemetry.events import ResultDropped

R = TypeVar("R")
T = TypeVar("T")


class Foreground:
    """Performs jobs where they are enqueued, through the same codec, middleware and timeouts as a worker."""

    def __init__(
        self,
        state: Callable[[], AbstractAsyncContextManager[object]],
        *,
        clock: Clock,
        events: Events,
        middleware: Sequence[Middleware],
    ) -> None:
        self._state = state
        self._clock = clock
        self._events = events
        self._middleware = middleware

    def perform(self, job: NewJob, draft: Draft[R], defaults: Defaults) -> JobHandle[R]:
        """Perform a job now and give the handle of what has already ended; raises what the handler raised."""
        thread = CallersThread()
        return thread.complete(self._perform(job, draft, defaults, thread))

    async def aperform(self, job: NewJob, draft: Draft[R], defaults: Defaults) -> JobHandle[R]:
        """Do the same on the running event loop."""
        return await self._perform(job, draft, defaults, _InCaller())

    async def _perform(self, job: NewJob, draft: Draft[R], defaults: Defaults, threads: Threads) -> JobHandle[R]:
        now = self._clock.now()
        claim = Claim(
            JobId(f"foreground-{new_token()[:12]}"),
            new_token(),
            job.name,
            job.queue,
            job.args,
            priority=job.priority,
            max_attempts=1,
            enqueued_at=now,
            due=now,
            meta=job.meta,
            version=job.version,
        )
        slot = Slot()
        slot.task = asyncio.current_task()
        following: list[Draft[Any]] = []

        def follow(then: Following) -> None:
            following.append(checked_draft(then))

        async with self._state() as state:
            executor = Executor(
                {job.name: draft.definition},
                state=state,
                defaults=defaults,
                threads=threads,
                clock=self._clock,
                events=self._events,
                middleware=self._middleware,
                follow=lambda _claim, _slot: follow,
            )
            outcome = await executor.attempt(claim, slot)
        if isinstance(outcome, Succeeded) and outcome.dropped:
            self._events.emit(ResultDropped(claim, outcome.dropped))
        if slot.interruption is not None and slot.task is not None:
            slot.task.uncancel()  # a timeout was the job's matter: the caller's task goes on
        handle = _handle(draft.definition, _stored(job, claim, now, _result(outcome, job.name)))
        for then in following:
            (next_job,) = prepared([then], defaults, self._middleware, claim.id, job.root or claim.id)
            await self._perform(next_job, then, defaults, threads)
        return handle


class _InCaller(Threads):
    """Runs sync handlers right here, on the caller's loop: its thread is where its connections and locals are."""

    def __init__(self) -> None:
        super().__init__(0)

    def run(self, call: Callable[[], T]) -> asyncio.Future[T]:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        try:
            future.set_result(call())
        except Exception as error:
            future.set_exception(error)
        return future


class _Performed:
    """What the handle of a job that was performed in the foreground asks: everything is known."""

    def __init__(self, job: StoredJob) -> None:
        self._job = job

    @property
    def defaults(self) -> Defaults:
        return Defaults()

    def enqueue(self, drafts: Sequence[Draft[R]], transaction: object | None = None) -> NoReturn:
        raise NotSupported("a handle enqueues nothing", verb="enqueue")

    async def aenqueue(self, drafts: Sequence[Draft[R]], transaction: object | None = None) -> NoReturn:
        raise NotSupported("a handle enqueues nothing", verb="enqueue")

    def fetch(self, handle: JobHandle[R]) -> StoredJob:
        return self._job

    async def afetch(self, handle: JobHandle[R]) -> StoredJob:
        return self._job

    def logs(self, handle: JobHandle[R]) -> tuple[AttemptLog, ...]:
        return ()

    async def alogs(self, handle: JobHandle[R]) -> tuple[AttemptLog, ...]:
        return ()

    def cancel(self, handle: JobHandle[R]) -> State:
        return self._job.state

    async def acancel(self, handle: JobHandle[R]) -> State:
        return self._job.state

    def replay(self, handle: JobHandle[R]) -> JobHandle[R]:
        raise JobNotFound(f"job {self._job.id} was performed in the foreground and stored nowhere: enqueue it again")

    async def areplay(self, handle: JobHandle[R]) -> JobHandle[R]:
        return self.replay(handle)

    def result(self, handle: JobHandle[R], timeout: float | None) -> Ending:
        if self._job.result is None:
            raise ResultUnavailable(f"job {self._job.id} completed, but what it returned is not JSON")
        return Ending(self._job.state, self._job.result)

    async def aresult(self, handle: JobHandle[R], timeout: float | None) -> Ending:
        return self.result(handle, timeout)


def _result(outcome: Outcome, name: str) -> str | None:
    match outcome:
        case Succeeded(result):
            return result
        case Failed(error) if not isinstance(error, Retry):
            raise error
        case Failed(error):
            raise JobFailed(f"{name}: {error}")
        case CancelledByHandler(reason):
            raise JobCancelled(f"{name}: {reason}")
        case DiscardedByHandler(reason) | Unreadable(reason) | GivenBack(reason):
            raise JobFailed(f"{name}: {reason}")
        case Expired():
            raise JobCancelled(f"{name}: {expiry.MESSAGE}")
        case Snoozed():
            raise JobFailed(f"{name}: snoozed, but in mode foreground nothing is stored that could run again")


def _stored(job: NewJob, claim: Claim, now: int, result: str | None) -> StoredJob:
    return StoredJob(
        id=claim.id,
        name=job.name,
        queue=job.queue,
        state=State.COMPLETED,
        args=job.args,
        priority=job.priority,
        max_attempts=1,
        starts=1,
        failures=0,
        crashes=0,
        snoozes=0,
        run_at=now,
        enqueued_at=now,
        started_at=now,
        finished_at=now,
        keep=job.keep,
        keep_failed=job.keep_failed,
        result=result,
        worker=None,
        labels=job.labels,
        meta=job.meta,
    )


def _handle(definition: DefinedJob[R], job: StoredJob) -> JobHandle[R]:
    return JobHandle(_Performed(job), job.id, job.name, "foreground", False, definition.read_result)
