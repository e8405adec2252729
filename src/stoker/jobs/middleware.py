"""Code of the user's that stands around every enqueue and every attempt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from stoker.core.job import NewJob
from stoker.jobs.context import Context

CallNext: TypeAlias = Callable[[], Awaitable[object]]


class Middleware:
    """Override what you need; the first in the list is the outermost."""

    def enqueue(self, job: NewJob) -> NewJob:
        """Give the job that is to be enqueued: this one, or ``msgspec.structs.replace(job, …)``; raise to veto it."""
        return job

    async def perform(self, context: Context[Any], call_next: CallNext) -> object:
        """Stand around one attempt: await ``call_next()`` once and give its answer, the handler's result.

        What the handler raised comes out of ``call_next()``; a signal (`Retry`, `Snooze`, …) may be raised here too.
        """
        return await call_next()
