"""What one worker is to serve, as its starter says it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import msgspec


class WorkOptions(TypedDict, total=False):
    """What ``app.work(…)`` takes; what is not given is left to the settings."""

    queues: Sequence[str]
    """``"mail"``, or ``"mail:10"`` with ten slots of its own."""
    exclude_queues: Sequence[str]
    names: Sequence[str]
    exclude_names: Sequence[str]
    tags: Sequence[str]
    """Take the jobs that share one of these tags; none takes those that have none."""
    all_tags: bool
    """Take all jobs, whatever their tags."""
    strict_order: bool
    """Serve the queues in this order: the next one only when those before it have no job left."""
    concurrency: int
    """Jobs running at once in the shared pool."""
    periodic: bool
    """Whether it sees to periodic jobs too; it does unless told otherwise."""
    grace: float
    """Seconds that running jobs have when the worker stops."""


class Choice(msgspec.Struct, frozen=True):
    """What was chosen for one worker; None leaves it to the settings."""

    queues: tuple[str, ...] | None = None
    """``"mail"`` or ``"mail:10"``, the latter with ten slots of its own."""
    exclude_queues: tuple[str, ...] = ()
    names: tuple[str, ...] | None = None
    exclude_names: tuple[str, ...] = ()
    tags: tuple[str, ...] | None = None
    all_tags: bool = False
    strict_order: bool = False
    concurrency: int | None = None
    grace: float | None = None
    periodic: bool = True

    @classmethod
    def of(cls, options: WorkOptions) -> Choice:
        """Make it of keyword options."""
        return msgspec.convert(dict(options), cls)
