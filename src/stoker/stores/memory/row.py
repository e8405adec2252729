"""What the memory store writes down: a row per job, a lease per claim call."""

from __future__ import annotations

from typing import Final

import msgspec

from stoker.core.batch import BatchEvent
from stoker.core.job import FINAL, AttemptFailure, CallId, JobId, NewJob, State, StoredJob, Token

AVAILABLE: Final = State.AVAILABLE
RUNNING: Final = State.RUNNING
COMPLETED: Final = State.COMPLETED
"""Bound once: in Python 3.11 looking up a member of an enumeration costs more than all else that a move does."""


class Row(msgspec.Struct, gc=False, eq=False):
    """One job: ``job`` is what was enqueued, the rest is what became of it. Only `Contents` changes ``state``."""

    id: JobId
    number: int
    job: NewJob
    state: State
    pos: int
    """Its place in its lane, a new one for each entry into available; 0 when it stands in none."""
    run_at: int
    enqueued_at: int
    max_attempts: int
    token: Token | None = None
    """The token of its latest claim; kept when it is settled, so that a repeat is known, dropped when taken back."""
    starts: int = 0
    failures: int = 0
    crashes: int = 0
    snoozes: int = 0
    started_at: int | None = None
    finished_at: int | None = None
    keep: int | None = None
    """The keeping that its ending chose."""
    result: str | None = None
    worker: str | None = None
    cancelling: bool = False
    started: bool = False
    """A suspect that was marked as begun in its present claim."""
    gated: bool = False
    """Available, but waiting at its gates: it stands in no lane."""
    errors: tuple[AttemptFailure, ...] = ()
    expires: int | None = None
    """The instant by which it is to start."""
    progress: str | None = None
    checkpoint: str | None = None
    lines: str | None = None


class Lease:
    """What one claim call holds, and for how long."""

    __slots__ = ("rows", "stopping", "until", "worker")

    def __init__(self, until: int, worker: str) -> None:
        self.until = until
        self.worker = worker
        self.stopping = False
        self.rows: dict[JobId, Row] = {}


class Batch(msgspec.Struct, eq=False):
    """A batch, and the events of its ledger that its document does not have yet."""

    doc: str
    call: CallId
    at: int
    version: int = 1
    finished: bool = False
    events: list[BatchEvent] = []


def stored(row: Row) -> StoredJob:
    """Show a row as every store shows its jobs."""
    job = row.job
    completed, failed = job.keep, job.keep_failed
    if row.state in FINAL:
        completed, failed = (row.keep, failed) if row.state is State.COMPLETED else (completed, row.keep)
    return StoredJob(
        id=row.id,
        name=job.name,
        queue=job.queue,
        state=row.state,
        args=job.args,
        priority=job.priority,
        max_attempts=row.max_attempts,
        starts=row.starts,
        failures=row.failures,
        crashes=row.crashes,
        snoozes=row.snoozes,
        run_at=row.run_at,
        enqueued_at=row.enqueued_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        keep=completed,
        keep_failed=failed,
        result=row.result,
        worker=row.worker,
        cancelling=row.cancelling,
        route=job.route,
        labels=job.labels,
        meta=job.meta,
        version=job.version,
        crash_limit=job.crash_limit,
        parent=job.parent,
        root=job.root,
        origin=job.origin,
        errors=row.errors,
        progress=row.progress,
        checkpoint=row.checkpoint,
        gates=job.gates,
        gated=row.gated,
        expires=row.expires,
        unique=job.unique,
    )
