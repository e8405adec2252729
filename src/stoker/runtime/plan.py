"""What a worker serves, and its times."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from stoker.core.duration import SECOND
from stoker.core.periodic import NewEntry


class PoolPlan(msgspec.Struct, frozen=True):
    """Slots and the queues that share them."""

    name: str
    queues: tuple[str, ...]
    concurrency: int
    weights: tuple[int, ...] = ()
    """Of each queue the part that it gets while others wait too; equal parts where there are none."""
    strict: bool = False
    """A queue gets slots only when those before it have no job left."""


class WorkerPlan(msgspec.Struct, frozen=True):
    """What a worker serves, and its times (seconds unless said otherwise)."""

    pools: tuple[PoolPlan, ...]
    names: tuple[str, ...]
    tags: tuple[str, ...] = ()
    """Takes the jobs that share one of these; without tags those that have none."""
    all_tags: bool = False
    oldest_every: int = 0
    """Every so many claimed jobs one is the longest available, whatever its priority; 0 for none."""
    keep_most: Mapping[str, int] = {}
    """By queue how many finished jobs are kept at most."""
    lease: int = 30 * SECOND
    """Microseconds."""
    grace: float = 25.0
    stuck_after: float = 300.0
    misfit_after: int | None = 86_400 * SECOND
    """Microseconds; None waits for ever."""
    poll_interval: float | None = None
    """Seconds to wait at most between two looks where nothing wakes the worker; None leaves it to the store."""
    jitter: float = 0.1
    """The fraction by which the poll interval varies."""

    @property
    def queues(self) -> tuple[str, ...]:
        """All queues, each once."""
        return tuple(dict.fromkeys(queue for pool in self.pools for queue in pool.queues))

    @property
    def concurrency(self) -> int:
        """All slots together."""
        return sum(pool.concurrency for pool in self.pools)


class PeriodicPlan(msgspec.Struct, frozen=True):
    """What a worker declares of an application's entries in one store."""

    application: str
    entries: tuple[NewEntry, ...] = ()
    removes_stale: bool = True
    """Removes at its start what no living worker of the application declares any more."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the entries."""
        return tuple(entry.name for entry in self.entries)
