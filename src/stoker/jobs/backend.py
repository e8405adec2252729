"""What definitions ask of the application that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from stoker.jobs.draft import Draft
from stoker.jobs.handle import Follower, JobHandle
from stoker.jobs.options import Defaults

R = TypeVar("R")


class Backend(Follower, Protocol):
    """Implemented by the application on top of its stores. Each verb is there twice, sync and async."""

    @property
    def defaults(self) -> Defaults:
        """What the settings say where a job says nothing. The same object as long as nothing has changed."""

    def home(self, store: str) -> str:
        """Name the store that new jobs go to whose definition names this one: none that is retiring."""

    def enqueue(self, drafts: Sequence[Draft[R]], transaction: object | None = None) -> list[JobHandle[R]]:
        """Store all drafts or none, in the caller's transaction if one is given; handles in input order."""

    async def aenqueue(self, drafts: Sequence[Draft[R]], transaction: object | None = None) -> list[JobHandle[R]]:
        """Do the same without blocking the event loop."""
