"""The job that the current code runs for; known to every enqueue made meanwhile."""

from __future__ import annotations

from contextvars import ContextVar

import msgspec

from stoker.core.job import JobId


class Performing(msgspec.Struct, frozen=True, gc=False):
    """A job being performed, and the first of its line of parents."""

    id: JobId
    root: JobId


in_child = False
"""Whether this process performs jobs for a worker in another one."""

performing: ContextVar[Performing | None] = ContextVar("stoker_performing", default=None)
