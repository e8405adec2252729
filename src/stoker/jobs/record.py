"""All that is known of a job, as people and programs read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from stoker.core.batch import batch_of, freed
from stoker.core.duration import as_datetime
from stoker.core.job import AttemptFailure, JobId, State, StoredJob
from stoker.core.limits import OF
from stoker.core.routes import tags_of
from stoker.errors import ResultUnavailable
from stoker.jobs.carriers import to_carried
from stoker.jobs.progress import Progress

if TYPE_CHECKING:
    from stoker.jobs.freeform import JSON

R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """How one attempt failed."""

    attempt: int
    at: datetime
    type: str
    """The exception's class; with its module unless it is a builtin or stoker's own."""
    message: str
    trace: str
    worker: str

    @classmethod
    def of(cls, failure: AttemptFailure) -> FailedAttempt:
        """Read it from what the store keeps."""
        at = as_datetime(failure.at)
        return cls(failure.attempt, at, failure.type, failure.message, failure.trace, failure.worker)


@dataclass(frozen=True, slots=True)
class JobRecord(Generic[R_co]):
    """A job as it stood when it was fetched. Times are aware, in UTC, by the store's clock."""

    id: JobId
    name: str
    queue: str
    state: State
    attempt: int
    """Failures + crashes + 1: the attempt it is in, or would be in next; of a job that has ended the last it had."""
    max_attempts: int
    starts: int
    failures: int
    crashes: int
    snoozes: int
    priority: int
    run_at: datetime
    """When it became or becomes available."""
    expires: datetime | None
    """When it is cancelled unless its first attempt has begun."""
    enqueued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    errors: tuple[FailedAttempt, ...]
    """Oldest first."""
    args: JSON
    """The arguments as they are stored: an object by name or an array by position; text if it is not JSON."""
    result: R_co | None
    """What the handler returned; None also where no result is kept, or where it fits the return type no longer."""
    worker: str | None
    tags: tuple[str, ...]
    labels: tuple[str, ...]
    meta: JSON
    parent: JobId | None
    """The job during whose attempt this one was enqueued."""
    root: JobId | None
    """The first of a line of parents."""
    origin: JobId | None
    """The job that this one replays."""
    batch: str | None
    """The batch or workflow that it belongs to, or is a callback of."""
    progress: Progress | None
    """How far its attempts have come, as one of them said last."""
    checkpoint: JSON
    """Where its next attempt may go on; None where none was kept."""
    limits: tuple[str, ...]
    """The limits and rates that it is counted at, and by which values."""
    waits_for_limit: bool
    """Whether it is available but one of them holds it up."""

    @classmethod
    def of(cls, job: StoredJob, read: Callable[[str], R_co]) -> JobRecord[R_co]:
        """Read it from what the store keeps; ``read`` makes the result of its JSON text."""
        return JobRecord(
            id=job.id,
            name=job.name,
            queue=job.queue,
            state=job.state,
            attempt=_attempt(job),
            max_attempts=job.max_attempts,
            starts=job.starts,
            failures=job.failures,
            crashes=job.crashes,
            snoozes=job.snoozes,
            priority=job.priority,
            run_at=as_datetime(job.run_at),
            expires=None if job.expires is None else as_datetime(job.expires),
            enqueued_at=as_datetime(job.enqueued_at),
            started_at=None if job.started_at is None else as_datetime(job.started_at),
            finished_at=None if job.finished_at is None else as_datetime(job.finished_at),
            errors=tuple(map(FailedAttempt.of, job.errors)),
            args=read_json(job.args),
            result=_read(job.result, read),
            worker=job.worker,
            tags=tags_of(job.route),
            labels=job.labels,
            meta=read_json(freed(job.meta)),
            parent=job.parent,
            root=job.root,
            origin=job.origin,
            batch=batch_of(job.meta),
            progress=Progress.of(job.progress),
            checkpoint=None if job.checkpoint is None else read_json(job.checkpoint),
            limits=tuple(gate.key.removesuffix(OF) for gate in job.gates),
            waits_for_limit=job.gated,
        )

    def to_json(self) -> dict[str, JSON]:
        """Give it as what ``--json`` prints: the same names, times as RFC 3339 text."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        plain: dict[str, JSON] = msgspec.json.decode(msgspec.json.encode(named, enc_hook=to_carried))
        return plain


def _attempt(job: StoredJob) -> int:
    reached = job.failures + job.crashes + 1
    if not job.state.final or job.state is State.COMPLETED:
        return reached
    # Not each ending counts as a failure; the last error says which attempt it was, where errors were asked for.
    return job.errors[-1].attempt if job.errors else min(reached, max(1, job.starts - job.snoozes))


def _read(result: str | None, read: Callable[[str], R_co]) -> R_co | None:
    try:
        return None if result is None else read(result)
    except ResultUnavailable:
        return None


def read_json(text: str) -> Any:
    """Read JSON text that may be anything; what is not JSON is given back as the text it is."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text
