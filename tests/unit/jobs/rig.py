"""An application without stores: it keeps what is enqueued, and gives handles the endings it is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from stoker.core.job import Ending, Enqueued, JobId, NewJob, State, StoredJob
from stoker.core.lines import AttemptLog
from stoker.jobs.draft import Draft
from stoker.jobs.handle import JobHandle
from stoker.jobs.options import Defaults
from stoker.jobs.registry import JobRegistry

R = TypeVar("R")


class Shelf:
    """The backend of the tests."""

    def __init__(self) -> None:
        self.defaults = Defaults()
        self.jobs: list[NewJob] = []
        self.transactions: list[object | None] = []
        self.ending = Ending(State.COMPLETED, "null")
        self.stored: StoredJob | None = None
        self.timeouts: list[float | None] = []

    def home(self, store: str) -> str:
        return store

    def enqueue(self, drafts: Sequence[Draft[R]], transaction: object | None = None) -> list[JobHandle[R]]:
        handles = [self._put(draft) for draft in drafts]
        self.transactions.append(transaction)
        return handles

    async def aenqueue(self, drafts: Sequence[Draft[R]], transaction: object | None = None) -> list[JobHandle[R]]:
        return self.enqueue(drafts, transaction)

    def fetch(self, handle: JobHandle[Any]) -> StoredJob:
        assert self.stored is not None
        return self.stored

    async def afetch(self, handle: JobHandle[Any]) -> StoredJob:
        return self.fetch(handle)

    def logs(self, handle: JobHandle[Any]) -> tuple[AttemptLog, ...]:
        return ()

    async def alogs(self, handle: JobHandle[Any]) -> tuple[AttemptLog, ...]:
        return ()

    def cancel(self, handle: JobHandle[Any]) -> State:
        return State.CANCELLED

    async def acancel(self, handle: JobHandle[Any]) -> State:
        return self.cancel(handle)

    def replay(self, handle: JobHandle[Any]) -> JobHandle[Any]:
        return handle

    async def areplay(self, handle: JobHandle[Any]) -> JobHandle[Any]:
        return handle

    def result(self, handle: JobHandle[Any], timeout: float | None) -> Ending:
        self.timeouts.append(timeout)
        return self.ending

    async def aresult(self, handle: JobHandle[Any], timeout: float | None) -> Ending:
        return self.result(handle, timeout)

    def _put(self, draft: Draft[R]) -> JobHandle[R]:
        self.jobs.append(draft.new_job(self.defaults))
        return draft.handle(Enqueued(JobId(str(len(self.jobs)))))


class Jobs(JobRegistry[Any]):
    """A registry together with its shelf."""

    def __init__(self) -> None:
        self.shelf = Shelf()
        super().__init__(self.shelf)

    @property
    def last(self) -> NewJob:
        """The job enqueued last."""
        return self.shelf.jobs[-1]
