"""Jobs on their way from one store to another: held in the one by nobody's worker, taken in by the other."""

from __future__ import annotations

from typing import Final

import msgspec

from stoker.core.duration import SECOND
from stoker.core.job import Due, NewJob, State, StoredJob, Token

MOVING: Final = "move to "
"""What the name of a hold's worker begins with; behind it stands where its jobs go."""
HELD_FOR: Final = 100 * 365 * 86_400 * SECOND
"""The lease of a hold, in µs. It never ends by itself: what another store may have already must not run here again."""


class Hold(msgspec.Struct, frozen=True):
    """Jobs that one `hold` took and that were not let go yet."""

    token: Token
    worker: str
    """``move to`` and where."""
    at: int
    jobs: int

    @property
    def target(self) -> str:
        """Where its jobs go."""
        return self.worker.removeprefix(MOVING)


class Carried(msgspec.Struct, frozen=True, array_like=True):
    """What a job that is taken in has beyond what a new one has."""

    starts: int
    failures: int
    crashes: int
    snoozes: int
    enqueued_at: int
    checkpoint: str | None
    errors: tuple[tuple[int, int, str, str, str, str], ...]


def as_it_was(job: StoredJob) -> StoredJob:
    """Give a held job as it was before it was held: whether it waits for a retry its failures tell."""
    state = State.RETRYABLE if job.failures or job.crashes else State.SCHEDULED
    return msgspec.structs.replace(job, state=state, starts=max(job.starts - 1, 0), started_at=None, worker=None)


def as_new(job: StoredJob) -> NewJob:
    """Give a job as the other store enqueues it: due when it was, with its key if that is free there."""
    unique = None if job.unique is None else msgspec.structs.replace(job.unique, on_conflict="keep")
    tried = job.failures or job.crashes or job.snoozes
    return NewJob(
        name=job.name,
        args=job.args,
        queue=job.queue,
        route=job.route,
        priority=job.priority,
        due=Due(at=job.run_at),
        max_attempts=job.max_attempts,
        crash_limit=job.crash_limit,
        unique=unique,
        labels=job.labels,
        meta=job.meta,
        keep=job.keep,
        keep_failed=job.keep_failed,
        version=job.version,
        parent=job.parent,
        root=job.root,
        origin=job.origin,
        gates=job.gates,
        expires=None if job.expires is None or tried else Due(at=job.expires),
    )


def carried(job: StoredJob) -> Carried:
    """Give what the other store adds to that."""
    return Carried(
        job.starts,
        job.failures,
        job.crashes,
        job.snoozes,
        job.enqueued_at,
        job.checkpoint,
        tuple((one.attempt, one.at, one.type, one.message, one.trace, one.worker) for one in job.errors),
    )
