"""The backend of job definitions and handles: what definitions and handles ask for, answered by stores."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from operator import is_not
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from stoker.app.pressure import Pressure
from stoker.app.replaying import replayed
from stoker.app.results import await_ending, wait_for_ending
from stoker.app.ruling import Ruling
from stoker.core.batch import BatchId, member
from stoker.core.filters import Filter
from stoker.core.job import Changed, Ending, Enqueued, NewJob, State, StoredJob, gates_of, new_call
from stoker.core.lines import AttemptLog, read
from stoker.errors import EnqueueError, JobNotFound, NotSupported, ResultError, StoreUnavailable
from stoker.jobs.draft import Draft, handles
from stoker.jobs.handle import JobHandle
from stoker.jobs.middleware import Middleware
from stoker.jobs.options import Defaults
from stoker.jobs.preparing import by_position, prepared
from stoker.runtime.current import performing
from stoker.stores.base import MOST_BYTES, MOST_JOBS, Store
from stoker.telemetry.board import Events
from stoker.telemetry.events import JobsChanged, JobsEnqueued

if TYPE_CHECKING:
    from stoker.settings import Settings
    from stoker.settings.values import Mode

R = TypeVar("R")


class BlockingEnqueue(RuntimeWarning):
    """A sync enqueue was made on a running event loop, which stands still meanwhile."""


class PerformsHere(Protocol):
    """Performs jobs where they are enqueued."""

    def perform(self, job: NewJob, draft: Draft[R], defaults: Defaults) -> JobHandle[R]:
        """Perform a job now and give its handle; raises what the handler raised."""

    async def aperform(self, job: NewJob, draft: Draft[R], defaults: Defaults) -> JobHandle[R]:
        """Do the same on the running event loop."""


class Services(Protocol):
    """What the backend needs of its application."""

    events: Events
    middleware: tuple[Middleware, ...]

    @property
    def settings(self) -> Settings:
        """The settings of the application."""

    @property
    def mode(self) -> Mode:
        """Where jobs run."""

    @property
    def defaults(self) -> Defaults:
        """What the settings say where a job says nothing."""

    def store(self, name: str = "default") -> Store:
        """Give a store by name."""

    def foreground(self) -> PerformsHere:
        """Give what performs jobs in the caller."""

    def ensure_embedded(self) -> None:
        """Start the embedded worker unless it runs."""


class StoreBackend:
    """Turns drafts into stored jobs by the settings and stores of an application, and answers for them later."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._ruling = Ruling()
        self._pressure: Pressure | None = None

    @property
    def application(self) -> Services:
        """Whose backend this is."""
        return self._services

    @property
    def defaults(self) -> Defaults:
        """What the settings say where a job says nothing."""
        return self._services.defaults

    # -- what definitions ask ----------------------------------------------------------------------------------------

    def home(self, store: str) -> str:
        """Name the store that new jobs go to whose definition names this one: none that is retiring."""
        return "default" if store in self._services.settings.retiring else store

    def enqueue(self, drafts: Sequence[Draft[R]], transaction: object | None = None) -> list[JobHandle[R]]:
        """Store all drafts or none, in the caller's transaction if one is given; handles in input order."""
        if not drafts:
            return []
        self._mind_the_loop()
        return self._carry_out(drafts, *self._prepared(drafts, transaction))

    def enqueue_in_calls(self, drafts: Iterable[Draft[R]], transaction: object | None = None) -> list[JobHandle[R]]:
        """Store any number of drafts, as they come, in calls that every store takes."""
        self._mind_the_loop()
        return [
            handle for chunk in chunks(drafts) for handle in self._carry_out(chunk, *self._prepared(chunk, transaction))
        ]

    async def aenqueue(self, drafts: Sequence[Draft[R]], transaction: object | None = None) -> list[JobHandle[R]]:
        """Do the same as `enqueue` without blocking the event loop."""
        if not drafts:
            return []
        jobs, store, transaction = self._prepared(drafts, transaction)
        if store is None:
            here = self._services.foreground()
            return [await here.aperform(job, draft, self.defaults) for job, draft in zip(jobs, drafts, strict=True)]
        if (telling := self._ruling.telling(store, jobs, drafts, self.defaults)) is not None:
            try:
                await store.arun(telling)
            except BaseException:
                self._ruling.forget(store)
                raise
        await self._amind_the_room(store, jobs)
        call = new_call()
        try:
            answers = await store.arun(store.enqueue(jobs, call), on=transaction)
        except StoreUnavailable as error:
            error.call = call
            raise
        return self._enqueued(drafts, jobs, answers)

    # -- batches -----------------------------------------------------------------------------------------------------

    def enqueue_members(
        self, drafts: Sequence[Draft[R]], batch: BatchId, store_name: str, transaction: object | None
    ) -> list[JobHandle[R]]:
        """Store drafts as members of a batch; handles in input order."""
        if not drafts:
            return []
        self._mind_the_loop()
        jobs, store, joined = self._members(drafts, batch, store_name, transaction)
        self._mind_the_room(store, jobs)
        return self._enqueued(drafts, jobs, _stored(store, jobs, joined))

    async def aenqueue_members(
        self, drafts: Sequence[Draft[R]], batch: BatchId, store_name: str, transaction: object | None
    ) -> list[JobHandle[R]]:
        """Do the same without blocking the event loop."""
        if not drafts:
            return []
        jobs, store, joined = self._members(drafts, batch, store_name, transaction)
        await self._amind_the_room(store, jobs)
        answers = await store.arun(store.enqueue(jobs, new_call()), on=joined)
        return self._enqueued(drafts, jobs, answers)

    def store_of_batches(self, name: str) -> Store:
        """Give the store that batches of this name are in; NotSupported in the foreground."""
        if self._services.mode == "foreground":
            raise NotSupported(
                "batches and workflows need a store to wait in, and in mode foreground nothing is stored; "
                "write workers.mode: async to have one in this process",
                verb="open_batch",
            )
        if self._services.mode == "async":
            self._services.ensure_embedded()
        return self._services.store(name)

    def jobs_for(self, drafts: Sequence[Draft[Any]], store_name: str) -> list[NewJob]:
        """Make jobs of drafts that belong together; EnqueueError for one of another store, or in a transaction."""
        wanted = self._services.store(store_name)
        for draft in drafts:
            if not isinstance(draft, Draft):
                raise EnqueueError(f"a batch is made of drafts, not of {draft!r}: write job.draft(…)")
            if self._services.store(draft.store) is not wanted:
                raise EnqueueError(
                    f"{draft.name} waits in the store {draft.store!r}, the batch is in {store_name!r}: a batch does "
                    "not span stores; open one in each"
                )
        around = performing.get()
        parent, root = (None, None) if around is None else (around.id, around.root)
        return prepared(drafts, self.defaults, self._services.middleware, parent, root) if drafts else []

    def _members(
        self, drafts: Sequence[Draft[Any]], batch: BatchId, store_name: str, transaction: object | None
    ) -> tuple[list[NewJob], Store, object | None]:
        store = self.store_of_batches(store_name)
        jobs = [member(job, batch) for job in self.jobs_for(drafts, store_name)]
        return jobs, store, _agreed(drafts, transaction)

    # -- how it is done ----------------------------------------------------------------------------------------------

    def _carry_out(
        self, drafts: Sequence[Draft[R]], jobs: list[NewJob], store: Store | None, transaction: object | None
    ) -> list[JobHandle[R]]:
        if store is None:
            here = self._services.foreground()
            return [here.perform(job, draft, self.defaults) for job, draft in zip(jobs, drafts, strict=True)]
        if any(map(gates_of, jobs)):
            self._tell(store, jobs, drafts)
        if self._pressure is None or self._pressure.bounds:
            self._mind_the_room(store, jobs)
        return self._enqueued(drafts, jobs, _stored(store, jobs, transaction))

    @property
    def _bounds(self) -> Pressure:
        # Not at once: the settings are read when they are first needed.
        if self._pressure is None:
            queues = self._services.settings.queue.queues
            self._pressure = Pressure({name: queue.max_waiting for name, queue in queues.items() if queue.max_waiting})
        return self._pressure

    def _mind_the_room(self, store: Store, jobs: Sequence[NewJob]) -> None:
        """Refuse jobs for queues that are full: QueueFull."""
        if (question := self._bounds.question(store, jobs)) is not None:
            began = monotonic()
            self._bounds.answered(store, jobs, store.run(question), monotonic() - began)
        self._bounds.enter(store, jobs)

    async def _amind_the_room(self, store: Store, jobs: Sequence[NewJob]) -> None:
        if (question := self._bounds.question(store, jobs)) is not None:
            began = monotonic()
            self._bounds.answered(store, jobs, await store.arun(question), monotonic() - began)
        self._bounds.enter(store, jobs)

    def _tell(self, store: Store, jobs: Sequence[NewJob], drafts: Sequence[Draft[Any]]) -> None:
        """Tell a store what limits these jobs, once; on its own connection, whatever transaction they join."""
        if (telling := self._ruling.telling(store, jobs, drafts, self.defaults)) is None:
            return
        try:
            store.run(telling)
        except BaseException:
            self._ruling.forget(store)
            raise

    def _prepared(
        self, drafts: Sequence[Draft[Any]], transaction: object | None
    ) -> tuple[list[NewJob], Store | None, object | None]:
        """Make the jobs, and find the one store and transaction of a call; no store means: in the foreground."""
        defaults = self.defaults
        around = performing.get()
        parent, root = (None, None) if around is None else (around.id, around.root)
        jobs = prepared(drafts, defaults, self._services.middleware, parent, root)
        name = drafts[0].store
        transaction = _agreed(drafts, transaction)
        if len(stores := {job.store for job in {draft.definition for draft in drafts}}) > 1:
            names = ", ".join(sorted(stores))
            raise EnqueueError(f"jobs for several stores ({names}) cannot be enqueued in one call: call once for each")
        mode = self._services.mode
        if mode == "foreground":
            return jobs, None, transaction
        if mode == "async":
            self._services.ensure_embedded()
        store = self._services.store(name)
        return by_position(drafts, jobs) if store.positional else jobs, store, transaction

    def _enqueued(
        self, drafts: Sequence[Draft[R]], jobs: Sequence[NewJob], answers: Sequence[Enqueued]
    ) -> list[JobHandle[R]]:
        self._services.events.emit(JobsEnqueued(tuple(jobs), tuple([answer.id for answer in answers])))
        return handles(drafts, answers)

    # -- what handles ask --------------------------------------------------------------------------------------------

    def fetch(self, handle: JobHandle[R]) -> StoredJob:
        """Give all that the store knows of a job; JobNotFound if it has no such job."""
        store = self._services.store(handle.store)
        return _found(handle, store, store.run(store.find(Filter(ids=(handle.id,)), 1)))

    async def afetch(self, handle: JobHandle[R]) -> StoredJob:
        """Do the same as `fetch` without blocking the event loop."""
        store = self._services.store(handle.store)
        return _found(handle, store, await store.arun(store.find(Filter(ids=(handle.id,)), 1)))

    def logs(self, handle: JobHandle[R]) -> tuple[AttemptLog, ...]:
        """Give what is kept of a job's log lines; JobNotFound if the store has no such job."""
        store = self._services.store(handle.store)
        text = store.run(store.logged([handle.id])).get(handle.id)
        if text is None:
            self.fetch(handle)
        return read(text)

    async def alogs(self, handle: JobHandle[R]) -> tuple[AttemptLog, ...]:
        """Do the same as `logs` without blocking the event loop."""
        store = self._services.store(handle.store)
        text = (await store.arun(store.logged([handle.id]))).get(handle.id)
        if text is None:
            await self.afetch(handle)
        return read(text)

    def cancel(self, handle: JobHandle[R]) -> State:
        """Cancel a job and give its state then; ``running`` means that it was asked to stop."""
        store = self._services.store(handle.store)
        self._changed(store.run(store.cancel(Filter(ids=(handle.id,)), 1)))
        return self.fetch(handle).state

    async def acancel(self, handle: JobHandle[R]) -> State:
        """Do the same as `cancel` without blocking the event loop."""
        store = self._services.store(handle.store)
        self._changed(await store.arun(store.cancel(Filter(ids=(handle.id,)), 1)))
        return (await self.afetch(handle)).state

    def _changed(self, cancelled: Changed) -> None:
        if cancelled.count:
            self._services.events.emit(JobsChanged("cancel", cancelled.ids))

    def replay(self, handle: JobHandle[R]) -> JobHandle[R]:
        """Enqueue a finished job again as a new one; JobNotFound, EnqueueError where it has not ended."""
        store = self._services.store(handle.store)
        (made,) = store.run(store.enqueue([replayed(self.fetch(handle))], new_call()))
        self._services.events.emit(JobsChanged("replay", (made.id,)))
        return msgspec.structs.replace(handle, id=made.id, duplicate=False)

    async def areplay(self, handle: JobHandle[R]) -> JobHandle[R]:
        """Do the same as `replay` without blocking the event loop."""
        store = self._services.store(handle.store)
        (made,) = await store.arun(store.enqueue([replayed(await self.afetch(handle))], new_call()))
        self._services.events.emit(JobsChanged("replay", (made.id,)))
        return msgspec.structs.replace(handle, id=made.id, duplicate=False)

    def result(self, handle: JobHandle[R], timeout: float | None) -> Ending:
        """Wait up to ``timeout`` seconds for a final state and give that ending."""
        _refuse_inside_a_job(handle)
        return wait_for_ending(self._services.store(handle.store), handle.id, timeout)

    async def aresult(self, handle: JobHandle[R], timeout: float | None) -> Ending:
        """Do the same as `result` without blocking the event loop."""
        _refuse_inside_a_job(handle)
        return await await_ending(self._services.store(handle.store), handle.id, timeout)

    def _mind_the_loop(self) -> None:
        # Where asyncio was never imported no loop can run, and importing it here would cost more than the enqueue.
        asyncio = sys.modules.get("asyncio")
        if asyncio is None:
            return
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        policy = self._services.settings.blocking_enqueue
        if policy == "allow" or self._services.mode == "async":
            return
        text = "enqueue() blocks the running event loop; write await job.aenqueue(…), or set blocking_enqueue: allow"
        if policy == "error":
            raise EnqueueError(text)
        warnings.warn(text, BlockingEnqueue, stacklevel=_depth_of_caller())


def _refuse_inside_a_job(handle: JobHandle[Any]) -> None:
    if performing.get() is not None:
        raise ResultError(
            f"waiting for job {handle.id} inside a job: both may need the same slot and wait for ever; "
            "enqueue what comes next from the other job's end, or raise Snooze and look again"
        )


def _stored(store: Store, jobs: Sequence[NewJob], transaction: object | None) -> list[Enqueued]:
    call = new_call()
    try:
        return store.run(store.enqueue(jobs, call), on=transaction)
    except StoreUnavailable as error:
        error.call = call
        raise


def _agreed(drafts: Sequence[Draft[Any]], transaction: object | None) -> object | None:
    """Find the one transaction of a call: the call's own, or that of all its drafts."""
    named = [draft.terms.transaction for draft in drafts]
    if transaction is None and len(named) == 1:
        return named[0]
    if transaction is not None and all(one is None or one is transaction for one in named):
        return transaction
    if any(map(is_not, named, repeat(named[0]))) or (transaction is not None and named[0] is not transaction):
        raise EnqueueError("drafts with different transactions cannot be enqueued in one call")
    return named[0]


def chunks(drafts: Iterable[Draft[R]]) -> Iterator[list[Draft[R]]]:
    """Split drafts into calls that every store takes, as they come."""
    chunk: list[Draft[R]] = []
    size = 0
    for draft in drafts:
        # What is sealed is base64, a third longer.
        weight = len(draft.args) * 3 // 2 + 500 if draft.definition.codecs else len(draft.args)
        size += weight
        if chunk and (size > MOST_BYTES or len(chunk) >= MOST_JOBS):
            yield chunk
            chunk, size = [], weight
        chunk.append(draft)
    if chunk:
        yield chunk


def _found(handle: JobHandle[Any], store: Store, found: Sequence[StoredJob]) -> StoredJob:
    if not found:
        raise JobNotFound(f"no job {handle.id} in {store.url}: it ended and was deleted (keep=0, pruned), or never was")
    return found[0]


def _depth_of_caller() -> int:
    """Count the frames of stoker's own between the warning and the user's line."""
    depth, frame = 0, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] == "stoker":
        depth, frame = depth + 1, frame.f_back
    return depth
