"""A job bound to arguments, not yet enqueued."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from stoker.core.job import Enqueued, JobId, NewJob
from stoker.errors import ArgumentsError
from stoker.jobs.defined import DefinedJob
from stoker.jobs.handle import JobHandle
from stoker.jobs.options import Defaults, EnqueueTerms

R_co = TypeVar("R_co", covariant=True)


class Draft(msgspec.Struct, Generic[R_co], frozen=True, eq=False, gc=False):
    """What ``job.draft(…)`` gives: for `enqueue_many`, or to be enqueued later."""

    definition: DefinedJob[R_co]
    args: str
    """The arguments as JSON text, validated."""
    terms: EnqueueTerms

    @property
    def name(self) -> str:
        """The job's name."""
        return self.definition.name

    @property
    def store(self) -> str:
        """Name of the store that it goes to."""
        return self.definition.store

    def new_job(self, defaults: Defaults, parent: JobId | None = None, root: JobId | None = None) -> NewJob:
        """Give the job as a store takes it; ArgumentsError when its arguments are larger than ``max_args``."""
        self._check_size(defaults.max_args)
        merged = self.definition.merged(defaults)
        unique = merged.unique
        return NewJob(
            name=self.definition.name,
            args=self.args,
            queue=merged.queue,
            priority=merged.priority,
            due=merged.due,
            max_attempts=merged.max_attempts,
            crash_limit=merged.crash_limit,
            unique=None if unique is None else self.definition.unique_key(unique, self.args, merged.priority),
            labels=merged.labels,
            meta=merged.meta,
            keep=merged.keep,
            keep_failed=merged.keep_failed,
            parent=parent,
            root=root,
        )

    def handle(self, enqueued: Enqueued) -> JobHandle[R_co]:
        """Give the handle of the job that the store made of it."""
        return self.definition.handle(enqueued.id, duplicate=enqueued.duplicate)

    def _check_size(self, most: int) -> None:
        size = len(self.args) if self.args.isascii() else len(self.args.encode())
        if size > most:
            raise ArgumentsError(
                f"{self.name}: {size} bytes of arguments, at most {most} (jobs.max_args): "
                "put large data where the job can read it, and send its address"
            )

    def __repr__(self) -> str:
        return f"<draft of {self.name} {self.args[:200]}>"
