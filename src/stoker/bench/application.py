"""The application that is measured: one job that does nothing but write down that it ran."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec

from stoker import Draft, Stoker
from stoker.bench.plan import DEFAULT_KEEP, USUAL_CONCURRENCY
from stoker.core.capability import Capability
from stoker.core.job import QueueCount

QUEUE: Final = "bench"
Handler: TypeAlias = Literal["async", "thread", "stamp"]
"""A coroutine, a function in a thread, or one that takes the time since it was enqueued."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What enqueuer and worker processes must agree on."""

    url: str
    home: str
    """A folder without settings: a user's own must not be measured."""
    handler: Handler = "async"
    payload: int = 0
    keep: str | int = 0
    concurrency: int = USUAL_CONCURRENCY
    stop_after: int | None = None
    """How many jobs a worker works off before it stops; None lets it empty the store."""
    pin_snapshot: bool = False
    """Whether the enqueuer holds an old snapshot open, for as long as it has the store open."""


class BenchApp:
    """An application with one job, made of a task; handlers leave their numbers in it."""

    def __init__(self, task: Task) -> None:
        self.task = task
        # Arrays: a list's numbers are objects, and the memory of a worker is one of the figures.
        self.performed = array("q")
        """The number of each job that ran in this process."""
        self.delays = array("q")
        """Nanoseconds from before the enqueue to the start of the handler, where the handler takes them."""
        self.stoker: Stoker[Any] = Stoker(
            task.url, settings={"workers": {"mode": "queue"}, "imports": [], "blocking_enqueue": "allow"}
        )
        self.stoker.configure(environment="development", home=Path(task.home))
        self.draft: Callable[[int], Draft[None]] = self._define()
        """Binds the job to a number."""

    def enqueue(self, number: int) -> None:
        """Enqueue one job, in a call of its own."""
        self.stoker.enqueue_many([self.draft(number)])

    async def aenqueue(self, number: int) -> None:
        """Do the same without blocking the event loop."""
        await self.stoker.aenqueue_many([self.draft(number)])

    def open(self) -> None:
        """Open the store, so that no measurement pays for its schema or its first connection."""
        self.stoker.check()
        store = self.stoker.store()
        if store.supports(Capability.PRESENCE):
            store.run(store.workers())  # costs the same however many jobs there are
        else:
            store.run(store.any((), (), ()))

    def counts(self) -> list[QueueCount]:
        """Count what is in the store."""
        store = self.stoker.store()
        return store.run(store.count())

    def _define(self) -> Callable[[int], Draft[None]]:
        match self.task.handler:
            case "async" if self.task.payload:
                return self._carrier()
            case "async":
                return self._counter()
            case "thread":
                return self._threaded()
            case "stamp":
                return self._stamper()

    def _counter(self) -> Callable[[int], Draft[None]]:
        note = self.performed.append

        async def count(number: int) -> None:
            note(number)

        return self.stoker.job(queue=QUEUE, keep=self._keep)(count).draft

    def _carrier(self) -> Callable[[int], Draft[None]]:
        note = self.performed.append
        cargo = "x" * self.task.payload

        async def carry(number: int, payload: str) -> None:  # noqa: ARG001
            note(number)

        job = self.stoker.job(queue=QUEUE, keep=self._keep)(carry)
        return lambda number: job.draft(number, cargo)

    def _threaded(self) -> Callable[[int], Draft[None]]:
        note = self.performed.append

        def count_in_thread(number: int) -> None:
            note(number)

        return self.stoker.job(queue=QUEUE, keep=self._keep)(count_in_thread).draft

    def _stamper(self) -> Callable[[int], Draft[None]]:
        note, took, now = self.performed.append, self.delays.append, time.monotonic_ns

        async def stamp(number: int, sent: int) -> None:
            took(now() - sent)
            note(number)

        job = self.stoker.job(queue=QUEUE, keep=self._keep)(stamp)
        return lambda number: job.draft(number, now())

    @property
    def _keep(self) -> str | int | None:
        return None if self.task.keep == DEFAULT_KEEP else self.task.keep
