"""What the mode ``inline`` does with a job: stores it and performs it at once."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol, TypeVar

from stoker.app.stoker import Stoker
from stoker.core.job import NOW, NewJob, new_call
from stoker.jobs.draft import Draft
from stoker.jobs.handle import JobHandle
from stoker.jobs.options import Defaults
from stoker.telemetry.events import JobsEnqueued

R = TypeVar("R")


class Box(Protocol):
    """What it needs of a sandbox."""

    app: Stoker[Any]

    def drain(self) -> object:
        """Perform what can be performed."""

    def adrain(self) -> Awaitable[object]:
        """Do the same on the running event loop."""


class Inline:
    """Stores each job and performs it at once: what ``inline`` means."""

    def __init__(self, box: Box) -> None:
        self._box = box

    def perform(self, job: NewJob, draft: Draft[R], defaults: Defaults) -> JobHandle[R]:
        """Enqueue and perform a job."""
        handle = self._enqueue(job, draft)
        self._box.drain()
        return handle

    async def aperform(self, job: NewJob, draft: Draft[R], defaults: Defaults) -> JobHandle[R]:
        """Do the same on the running event loop."""
        handle = self._enqueue(job, draft)
        await self._box.adrain()
        return handle

    def _enqueue(self, job: NewJob, draft: Draft[R]) -> JobHandle[R]:
        app = self._box.app
        store = app.store(draft.store)
        (answer,) = store.run(store.enqueue([job.changed(due=NOW)], new_call()))
        app.events.emit(JobsEnqueued((job,), (answer.id,)))
        return draft.handle(answer)
