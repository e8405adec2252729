"""Batches and workflows in the hands of whoever opened one, or looks at one by its id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from stoker.core.batch import BatchId, StoredBatch, new_batch
from stoker.core.filters import Filter
from stoker.core.flow import Edge, Flow, Node, advance, read, write
from stoker.core.job import Changed, NewJob, new_call
from stoker.core.standing import Standing, standing
from stoker.errors import EnqueueError, JobNotFound, WorkflowError
from stoker.jobs.draft import Draft
from stoker.jobs.handle import JobHandle
from stoker.jobs.passing import Step
from stoker.jobs.workflow import Workflow
from stoker.runtime.advancing import Course, adrive, drive, update

if TYPE_CHECKING:
    from stoker.app.backend import StoreBackend
    from stoker.stores.base import Store

R = TypeVar("R")
CANCELLED_AT_A_TIME = 500


class Batch:
    """Jobs that belong together, or the steps of a workflow: add to it, look at it, cancel it as a whole.

    A new one is opened by a ``with`` block (``async with`` in async code), inside which anybody may add; from its end
    on it is complete when all its jobs have ended. A block that raises cancels what it added.
    """

    def __init__(self, backend: StoreBackend, id: BatchId, store: str, flow: Flow | None = None) -> None:
        self.id = id
        self.store = store
        """Name of the store that it is in."""
        self._backend = backend
        self._new = flow

    # -- opening and sealing -----------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        store, flow = self._store(), self._fresh()
        store.run(store.open_batch(self.id, write(flow), [], new_call(), flow.within))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.cancel()
        drive(self._store(), update(self._store(), self.id, _seal))

    async def __aenter__(self) -> Self:
        store, flow = self._store(), self._fresh()
        await store.arun(store.open_batch(self.id, write(flow), [], new_call(), flow.within))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            await self.acancel()
        await adrive(self._store(), update(self._store(), self.id, _seal))

    # -- what one does with it ---------------------------------------------------------------------------------------

    def add(self, *drafts: Draft[R], transaction: object | None = None) -> list[JobHandle[R]]:
        """Enqueue jobs as members, all or none. BatchComplete where all others have ended, and the block too."""
        return self._backend.enqueue_members(drafts, self.id, self.store, transaction)

    async def aadd(self, *drafts: Draft[R], transaction: object | None = None) -> list[JobHandle[R]]:
        """Do the same as `add` without blocking the event loop."""
        return await self._backend.aenqueue_members(drafts, self.id, self.store, transaction)

    def progress(self) -> Standing:
        """Say how it stands; JobNotFound if the store has no such batch."""
        store = self._store()
        return self._found([standing(one) for one in store.run(store.batches([self.id], 1))])

    async def aprogress(self) -> Standing:
        """Do the same as `progress` without blocking the event loop."""
        store = self._store()
        return self._found([standing(one) for one in await store.arun(store.batches([self.id], 1))])

    def cancel(self) -> int:
        """Cancel it as a whole: waiting jobs and steps, batches inside it, and running jobs are asked to stop.

        No step begins any more. Gives how many jobs were cancelled or asked.
        """
        return drive(self._store(), cancel_whole(self._store(), self.id))

    async def acancel(self) -> int:
        """Do the same as `cancel` without blocking the event loop."""
        return await adrive(self._store(), cancel_whole(self._store(), self.id))

    def _store(self) -> Store:
        return self._backend.store_of_batches(self.store)

    def _fresh(self) -> Flow:
        if self._new is None:
            raise EnqueueError(f"batch {self.id} is open already: call add, progress and cancel on it, without `with`")
        flow, self._new = self._new, None
        return flow

    def _found(self, found: list[Standing]) -> Standing:
        if not found:
            raise JobNotFound(f"no batch {self.id} in the store {self.store!r}: it never was, or ended long ago")
        return found[0]

    def __repr__(self) -> str:
        return f"<batch {self.id}>"


def started(
    flow: Workflow, parts: Sequence[NewJob], callbacks: dict[str, NewJob]
) -> tuple[BatchId, Flow, list[NewJob]]:
    """Give a workflow's document and the jobs of the steps that begin at once."""
    id = new_batch()
    keys = list(flow.steps)
    nodes = {key: Node(job, _edges(flow.steps[key])) for key, job in zip(keys, parts, strict=True)}
    doc = with_callbacks(Flow(name=flow.name, sealed=True, total=len(nodes), nodes=nodes), callbacks)
    first = advance(id, doc, [], {})
    return id, first.flow, list(first.jobs)


def with_callbacks(flow: Flow, callbacks: Mapping[str, NewJob]) -> Flow:
    """Give a document with its callbacks."""
    flow.on_success = callbacks.get("on_success")
    flow.on_failure = callbacks.get("on_failure")
    flow.on_complete = callbacks.get("on_complete")
    return flow


def _edges(step: Step[Any]) -> tuple[Edge, ...]:
    return tuple(Edge(need.step.key, need.policy, need.param, need.place) for need in step.needs)


def drafts_of(flow: Workflow) -> list[Draft[Any]]:
    """Give the drafts of all steps; WorkflowError where there are none, or for what is no workflow."""
    if not isinstance(flow, Workflow):
        raise WorkflowError(
            f"only a workflow is started, not {flow!r}: write chain({flow!r}), or enqueue a job by itself"
        )
    if not flow.steps:
        raise WorkflowError(f"{flow!r} has no steps: add some with flow.add(job, …)")
    return [step.draft for step in flow.steps.values()]


def _seal(flow: Flow) -> None:
    flow.sealed = True


def _stop(flow: Flow) -> None:
    flow.stopped = True


def cancel_whole(store: Store, id: BatchId) -> Course[int]:
    """Let no step begin any more, and cancel what there is, batches inside included; gives how many jobs."""
    yield from update(store, id, _stop)
    total = 0
    while True:
        changed: Changed = yield store.cancel(Filter(batches=(id,)), CANCELLED_AT_A_TIME)
        total += changed.count
        if not changed.more or not changed.count:
            break
    yield from update(store, id)
    found: list[StoredBatch] = yield store.batches([id], 1)
    for child in [child for one in found for child in read(one.doc).children]:
        total += yield from cancel_whole(store, child)
    return total
