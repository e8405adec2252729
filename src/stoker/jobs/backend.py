"""What definitions and handles ask of the application that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from stoker.core.job import Ending, State, StoredJob
from stoker.jobs.options import Defaults

if TYPE_CHECKING:
    from stoker.jobs.draft import Draft
    from stoker.jobs.handle import JobHandle

R = TypeVar("R")


class Backend(Protocol):
    """Implemented by the application on top of its stores. Each verb is there twice, sync and async."""

    @property
    def defaults(self) -> Defaults:
        """What the settings say where a job says nothing. The same object as long as nothing has changed."""

    def enqueue(self, drafts: Sequence[Draft[R]], transaction: object | None = None) -> list[JobHandle[R]]:
        """Store all drafts or none, in the caller's transaction if one is given; handles in input order."""

    async def aenqueue(self, drafts: Sequence[Draft[R]], transaction: object | None = None) -> list[JobHandle[R]]:
        """Do the same without blocking the event loop."""

    def fetch(self, handle: JobHandle[R]) -> StoredJob:
        """Give all that the store knows of the job; JobNotFound if it has no such job."""

    async def afetch(self, handle: JobHandle[R]) -> StoredJob:
        """Do the same without blocking the event loop."""

    def cancel(self, handle: JobHandle[R]) -> State:
        """Cancel the job and give its state then: ``running`` means it was asked to stop. JobNotFound as in `fetch`."""

    async def acancel(self, handle: JobHandle[R]) -> State:
        """Do the same without blocking the event loop."""

    def result(self, handle: JobHandle[R], timeout: float | None) -> Ending:
        """Wait up to ``timeout`` seconds (None: for ever) for a final state and give that ending.

        WaitTimeout when it had not ended by then, ResultUnavailable when nothing was or will be kept.
        """

    async def aresult(self, handle: JobHandle[R], timeout: float | None) -> Ending:
        """Do the same without blocking the event loop."""
