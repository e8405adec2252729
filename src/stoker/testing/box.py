"""An application in a sandbox: its jobs in memory, its clock standing still, nothing performed but on request."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Final, Literal, ParamSpec, TypeVar, Unpack, overload

from stoker.app.stoker import HEAR_OUT, Stoker
from stoker.core.capability import Capability
from stoker.core.duration import SECOND, Duration, micros
from stoker.core.filters import EVERYTHING
from stoker.core.job import Claim, JobId, NewJob, State, StoredJob, new_token
from stoker.core.outcome import Succeeded
from stoker.errors import ConfigurationError, ResultUnavailable
from stoker.jobs.defined import DefinedJob
from stoker.jobs.definition import JobDefinition
from stoker.jobs.draft import Draft
from stoker.jobs.preparing import prepared
from stoker.jobs.record import JobRecord, read_json
from stoker.runtime.calling import CallersThread
from stoker.runtime.slots import Slot
from stoker.runtime.threads import Threads
from stoker.stores.urls import open_store
from stoker.testing.expectations import Expected, Kept, Wanted, listing, nothing_like
from stoker.testing.fake_clock import FakeClock
from stoker.testing.faults import Faults
from stoker.testing.inline import Inline
from stoker.testing.performing import Drained, Performer, Tally, fault_in, raised_by
from stoker.testing.sandbox_store import JoiningStore, SandboxStore
from stoker.testing.travel import Travel

P = ParamSpec("P")
R = TypeVar("R")
Which = DefinedJob[Any] | Draft[Any] | str | None
Mode = Literal["manual", "inline"]

MOST_ATTEMPTS: Final = 10_000
LIFESPAN: Final = object()


class Sandbox:
    """What `sandbox` gives: looks at what was enqueued, performs it, moves the clock, makes things fail."""

    def __init__(self, app: Stoker[Any], mode: Mode, clock: FakeClock | None, state: object) -> None:
        if mode not in ("manual", "inline"):
            raise ConfigurationError(f"sandbox: mode={mode!r}: write 'manual' or 'inline'")
        self.app = app
        self.clock = clock or FakeClock()
        self.faults = Faults()
        """Makes things fail: `unavailable`, `failing`, `crashing`; each for the length of a ``with`` block."""
        self.performer = Inline(self)
        self._mode = mode
        self._state = state
        self._stores: dict[str, SandboxStore] = {}
        self._deleted: list[Kept] = []
        self._travel = Travel(app, self.clock)

    # -- the stage that the application plays on ---------------------------------------------------------------------

    @property
    def mode(self) -> Literal["queue", "foreground"]:
        """What the application is told: whether jobs wait, or are performed where they are enqueued."""
        return "foreground" if self._mode == "inline" else "queue"

    def make_store(self, name: str) -> SandboxStore:
        """Make a store in memory that refuses `transaction=` if the configured one of that name does."""
        settings = self.app.settings
        urls = settings.store_urls() if settings.mode == "queue" else {}
        if name not in urls and name != "default":
            raise ConfigurationError(f"no store named {name!r}; configured are: {', '.join(sorted(urls))}")
        joins = False
        if name in urls:
            joins = open_store(urls[name], root=settings.root).supports(Capability.TRANSACTIONS)
        kind = JoiningStore if joins else SandboxStore
        return self._stores.setdefault(name, kind(self.clock, self.faults))

    @contextlib.contextmanager
    def inline(self) -> Iterator[None]:
        """Perform jobs where they are enqueued, for the length of a block; delays are ignored, errors are raised."""
        with self._in_mode("inline"):
            yield

    @contextlib.contextmanager
    def manual(self) -> Iterator[None]:
        """Let jobs wait until `drain`, for the length of a block."""
        with self._in_mode("manual"):
            yield

    @contextlib.contextmanager
    def _in_mode(self, mode: Mode) -> Iterator[None]:
        before, self._mode = self._mode, mode
        try:
            yield
        finally:
            self._mode = before

    # -- what was enqueued -------------------------------------------------------------------------------------------

    def enqueued(self, job: Which = None, /, **expected: Unpack[Expected]) -> list[JobRecord[Any]]:
        """Give the jobs that are as expected, oldest first, whatever has become of them since."""
        wanted = Wanted(job, expected)
        return [self._record(one) for one in self._all() if wanted.matches(one)]

    def assert_enqueued(
        self, job: Which = None, /, *, count: int | None = None, **expected: Unpack[Expected]
    ) -> JobRecord[Any]:
        """Fail unless such a job was enqueued (``count``: exactly so many), and give the newest.

        ``job`` is a definition, a name, or a draft: then the arguments must be exactly the draft's.
        """
        __tracebackhide__ = True
        wanted, kept = Wanted(job, expected), self._all()
        found = [one for one in kept if wanted.matches(one)]
        if not found or (count is not None and len(found) != count):
            raise AssertionError(nothing_like(wanted, kept, len(found), count))
        return self._record(found[-1])

    def refute_enqueued(self, job: Which = None, /, **expected: Unpack[Expected]) -> None:
        """Fail if such a job was enqueued."""
        __tracebackhide__ = True
        wanted = Wanted(job, expected)
        found = [one for one in self._all() if wanted.matches(one)]
        if found:
            raise AssertionError(f"not to be enqueued: {wanted}: {len(found)} were\n{listing(wanted, found)}")

    def _all(self) -> list[Kept]:
        stored = [
            self._kept(name, job)
            for name, store in self._stores.items()
            for job in store.run(store.find(EVERYTHING, 1_000_000))
        ]
        return sorted([*stored, *self._deleted], key=lambda one: (one.job.enqueued_at, int(one.job.id)))

    def _kept(self, store: str, job: StoredJob) -> Kept:
        known = {name: one for one in self.app.definitions for name in (one.name, *one.aliases)}
        return Kept(job, store, known.get(job.name))

    @staticmethod
    def _record(kept: Kept) -> JobRecord[Any]:
        return JobRecord.of(kept.job, read_json if kept.definition is None else kept.definition.read_result)

    # -- performing --------------------------------------------------------------------------------------------------

    @overload
    def perform(self, job: JobDefinition[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def perform(self, job: Draft[R], /, *, attempt: int = 1) -> R: ...
    def perform(self, job: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Make one attempt of a job that was never enqueued, and give its result; raises what the handler raised.

        Arguments, middleware, context, timeout and result are those of a worker's attempt: what is not JSON fails.
        Given a draft, ``attempt`` says which attempt it is.
        """
        thread = CallersThread()
        return thread.complete(self._perform(job, args, kwargs, thread))

    @overload
    async def aperform(self, job: JobDefinition[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    async def aperform(self, job: Draft[R], /, *, attempt: int = 1) -> R: ...
    async def aperform(self, job: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Do the same on the running event loop; sync handlers run in a thread, as a worker's do."""
        async with _own_threads() as threads:
            return await self._perform(job, args, kwargs, threads)

    def drain(
        self,
        *,
        queue: str | None = None,
        scheduled: bool = False,
        raise_errors: bool = True,
        attempts: int | None = None,
    ) -> Drained:
        """Perform what can be performed, also what that enqueues, one after the other, and say how it ended.

        An error of a handler is raised, once its job is settled; ``raise_errors=False`` lets it be a failed attempt.
        With ``scheduled`` the clock goes on to each job that is for later, retries included. ``attempts`` stops after
        so many. Sync handlers run in this thread.
        """
        thread = CallersThread()
        try:
            return thread.complete(self._drain(thread, queue, scheduled, raise_errors, attempts))
        finally:
            self.app.events.flush(HEAR_OUT)

    async def adrain(
        self,
        *,
        queue: str | None = None,
        scheduled: bool = False,
        raise_errors: bool = True,
        attempts: int | None = None,
    ) -> Drained:
        """Do the same on the running event loop; sync handlers run in a thread, as a worker's do."""
        try:
            async with _own_threads() as threads:
                return await self._drain(threads, queue, scheduled, raise_errors, attempts)
        finally:
            await asyncio.to_thread(self.app.events.flush, HEAR_OUT)

    def advance(self, duration: Duration) -> None:
        """Let time pass: what falls due becomes available, periodic jobs at each instant on the way.

        Nothing is performed, unless the mode is inline. The first advance registers the application's periodic
        entries, as a worker does when it starts.
        """
        until = self.clock.now() + micros(duration)
        if self.app.periodic_entries():
            thread = CallersThread()
            thread.complete(self._travel.go(until, lambda: self._arrived(thread)))
        else:
            self.clock.advance(duration)
        for store in self._stores.values():
            store.run(store.promote(1_000_000))

    async def _arrived(self, threads: Threads) -> None:
        if self._mode == "inline":
            await self._drain(threads, None, False, True, None)

    async def _perform(self, job: Any, args: Any, kwargs: Any, threads: Threads) -> Any:
        if isinstance(job, Draft):
            draft, attempt = job, kwargs.pop("attempt", 1)
        else:
            draft, attempt = job.draft(*args, **kwargs), 1
        definition: DefinedJob[Any] = draft.definition
        self._refuse_strangers(definition)
        (new,) = prepared([draft], self.app.defaults, ())
        async with self._performing(threads) as performer:
            outcome = await performer.attempt(self._claim_of(new, attempt), Slot())
        if (error := raised_by(outcome)) is not None:
            raise error
        if not isinstance(outcome, Succeeded) or outcome.result is None:
            raise ResultUnavailable(f"{definition.name}: what it returned is not JSON")
        return definition.read_result(outcome.result)

    def _claim_of(self, job: NewJob, attempt: int) -> Claim:
        now = self.clock.now()
        return Claim(
            JobId(f"performed-{new_token()[:12]}"),
            new_token(),
            job.name,
            job.queue,
            job.args,
            job.priority,
            job.max_attempts,
            starts=attempt,
            failures=attempt - 1,
            enqueued_at=now,
            due=now,
            meta=job.meta,
            version=job.version,
        )

    async def _drain(
        self, threads: Threads, queue: str | None, scheduled: bool, raise_errors: bool, attempts: int | None
    ) -> Drained:
        tally = Tally()
        async with self._performing(threads) as performer:
            while attempts is None or tally.attempts < attempts:
                ended = await self._perform_next(performer, queue)
                if ended is None:
                    if not (scheduled and self._go_on_to_next()):
                        break
                    continue
                state, outcome = ended
                tally.add(state)
                if raise_errors and (error := fault_in(outcome)) is not None:
                    raise error
                if tally.attempts >= MOST_ATTEMPTS:
                    raise AssertionError(
                        f"drain: {MOST_ATTEMPTS} attempts and no end: does a job enqueue itself? attempts= sets a bound"
                    )
        return tally.drained()

    async def _perform_next(self, performer: Performer, queue: str | None) -> Any:
        for name, store in tuple(self._stores.items()):
            ended = await performer.perform_next(store, queue)
            for job in performer.deleted:
                self._deleted.append(self._kept(name, job))
            performer.deleted.clear()
            if ended is not None:
                return ended
        return None

    def _go_on_to_next(self) -> bool:
        """Move the clock to the first job that is for later; tell whether there is one."""
        known = self.app.performable
        later = [
            one.job.run_at
            for one in self._all()
            if one.job.state in (State.SCHEDULED, State.RETRYABLE) and one.job.name in known
        ]
        if not later:
            return False
        self.advance(max(0, min(later) - self.clock.now()) / SECOND)
        return True

    @contextlib.asynccontextmanager
    async def _performing(self, threads: Threads) -> AsyncIterator[Performer]:
        given = self._state is not LIFESPAN
        around: AbstractAsyncContextManager[Any] = nullcontext(self._state) if given else self.app.lifespan()
        async with around as state:
            yield Performer(self.app, state, threads, self.clock, self.faults)

    def _refuse_strangers(self, definition: DefinedJob[Any]) -> None:
        if not self.app.owns(definition):
            raise ConfigurationError(f"{definition.name} is a job of another application than the sandbox's")


@contextlib.asynccontextmanager
async def _own_threads() -> AsyncIterator[Threads]:
    threads = Threads(1, "stoker-sandbox")
    try:
        yield threads
    finally:
        threads.close()
