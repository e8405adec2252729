"""Bringing batches up to date: what their members came to goes into the document, and what follows is enqueued."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any, Final, TypeAlias, TypeVar

from stoker.core.batch import MEMBER_VERSION, BatchId, BatchMove, StoredBatch, batch_of
from stoker.core.capability import Capability
from stoker.core.command import Command
from stoker.core.flow import Flow, advance, read, wanted, write
from stoker.core.job import Claim, new_call
from stoker.errors import StoreError
from stoker.stores.base import Store
from stoker.telemetry.board import Events
from stoker.telemetry.events import StoreFailed

T = TypeVar("T")
Course: TypeAlias = Generator[Command[Any], Any, T]
SWEEP_INTERVAL: Final = 5.0
"""Seconds; a sweep finds only what a worker that was killed, or another's lost race, has left."""
SWEPT: Final = 100
TRIES: Final = 20
"""How often a move is made anew because somebody else moved the batch first."""


def update(store: Store, id: BatchId, change: Callable[[Flow], None] | None = None) -> Course[bool]:
    """Take a batch's new events into its document, and a change of the caller's; False if there is no such batch.

    A compare-and-set: where another was quicker it begins anew, and gives up after a while; whoever sweeps sees to it.
    """
    for _ in range(TRIES):
        found: list[StoredBatch] = yield store.batches([id], 1)
        if not found:
            return False
        (batch,) = found
        if not batch.events and change is None:
            return True
        flow = read(batch.doc)
        results: dict[str, str | None] = {}
        for node, job in wanted(flow, batch.events).items():
            ending = yield store.result(job)
            results[node] = None if ending is None else ending.result
        if change is not None:
            change(flow)
        step = advance(batch.id, flow, batch.events, results)
        seen = tuple(event.seq for event in batch.events)
        move = BatchMove(batch.id, batch.version, write(flow), seen, flow.complete, step.tell)
        moved: bool = yield store.advance(move, step.jobs, new_call())
        if moved:
            change = None
            for around in dict.fromkeys(told for told, _, _ in step.tell):
                yield from update(store, around)
    return change is None


def drive(store: Store, course: Course[T]) -> T:
    """Follow a course, each of its commands a unit of its own."""
    try:
        command = next(course)
        while True:
            command = course.send(store.run(command))
    except StopIteration as end:
        answer: T = end.value
        return answer


async def adrive(store: Store, course: Course[T]) -> T:
    """Do the same without blocking the event loop."""
    try:
        command = next(course)
        while True:
            command = course.send(await store.arun(command))
    except StopIteration as end:
        answer: T = end.value
        return answer


class Advancer:
    """Sees to the batches of a worker's jobs as these end, and now and then to those that nobody sees to."""

    def __init__(self, store: Store, events: Events) -> None:
        self._store = store
        self._events = events
        self._wanted: dict[BatchId, None] = {}
        self._called = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def possible(self) -> bool:
        """Whether the store has batches."""
        return self._store.supports(Capability.BATCH)

    def ended(self, claim: Claim) -> None:
        """Take note that a member has ended."""
        if claim.version >= MEMBER_VERSION and (batch := batch_of(claim.meta)) is not None:
            self._wanted[batch] = None
            self._called.set()
            self._idle.clear()

    async def run(self) -> None:
        """Serve for ever; what the store cannot do now is left to the next sweep."""
        try:
            while True:
                await self._called.wait()
                self._called.clear()
                while self._wanted:
                    await self._see_to(self._wanted.popitem()[0])
                self._idle.set()
        finally:
            self._idle.set()

    async def flush(self) -> None:
        """Wait until all that was taken note of is seen to."""
        await self._idle.wait()

    async def sweep(self) -> None:
        """See to the batches whose ledgers have something new, whoever wrote it."""
        if not self.possible:
            return
        for batch in await self._store.arun(self._store.batches([], SWEPT)):
            await adrive(self._store, update(self._store, batch.id))

    async def _see_to(self, id: BatchId) -> None:
        try:
            await adrive(self._store, update(self._store, id))
        except StoreError as error:
            self._events.emit(StoreFailed("advance", error, SWEEP_INTERVAL))
