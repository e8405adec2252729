"""The moves of a job between states as pure functions, for stores that keep each job as one record.

A store that can say them in its server's own language (SQL, Lua) does that; one that reads a job, changes it and writes
it back takes them from here. Its own part is where the records are, and that nobody else moves them meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from stoker.core.expiry import with_expiry
from stoker.core.job import AttemptFailure, Claim, JobId, NewJob, QueueCount, Reclaimed, State, StoredJob, Token
from stoker.core.settlement import Settled, Settlement


def arrived(job: NewJob, id: JobId, now: int) -> StoredJob:
    """Give a new job as it is stored: available, or scheduled where its time is later than ``now``."""
    run_at = job.due.resolve(now)
    return StoredJob(
        id=id,
        name=job.name,
        queue=job.queue,
        state=State.SCHEDULED if run_at > now else State.AVAILABLE,
        args=job.args,
        priority=job.priority,
        max_attempts=job.max_attempts,
        starts=0,
        failures=0,
        crashes=0,
        snoozes=0,
        run_at=run_at,
        enqueued_at=now,
        started_at=None,
        finished_at=None,
        keep=job.keep,
        keep_failed=job.keep_failed,
        result=None,
        worker=None,
        route=job.route,
        labels=job.labels,
        meta=job.meta,
        version=job.version,
        crash_limit=job.crash_limit,
        parent=job.parent,
        root=job.root,
        origin=job.origin,
        expires=None if job.expires is None else job.expires.resolve(now),
    )


def claimed(job: StoredJob, worker: str, now: int) -> StoredJob:
    """Give an available job as it runs: one start more."""
    return replace(job, state=State.RUNNING, worker=worker, starts=job.starts + 1, started_at=now, cancelling=False)


def claim_of(job: StoredJob, token: Token) -> Claim:
    """Give a running job as its worker gets it."""
    return Claim(
        id=job.id,
        token=token,
        name=job.name,
        queue=job.queue,
        args=job.args,
        priority=job.priority,
        max_attempts=job.max_attempts,
        starts=job.starts,
        failures=job.failures,
        crashes=job.crashes,
        snoozes=job.snoozes,
        enqueued_at=job.enqueued_at,
        due=job.run_at,
        meta=with_expiry(job.meta, job.expires),
        keep=job.keep,
        keep_failed=job.keep_failed,
        version=job.version,
        parent=job.parent,
        root=job.root,
    )


def answer(job: StoredJob | None, token: Token | None, settlement: Settlement) -> Settled:
    """Say what is to be said of an ending, by the job as it stands and the token of its latest claim, if it has one.

    The token stays with a job that was settled, so that a repeat is known, and is dropped when the job is taken back.
    """
    if job is None:
        return Settled.GONE
    if token != settlement.token or settlement.state is State.RUNNING:
        return Settled.LOST
    return Settled.ACCEPTED if job.state is State.RUNNING else Settled.REPEATED


def settled(job: StoredJob, ending: Settlement, now: int) -> StoredJob:
    """Give a running job after its ending. What is over at once (see `over`) is to be deleted."""
    job = replace(
        job,
        failures=job.failures + (ending.counts == "failure"),
        snoozes=job.snoozes + (ending.counts == "snooze"),
        started_at=now - ending.duration if ending.duration else job.started_at,
        errors=job.errors if ending.error is None else (*job.errors, replace(ending.error, at=now)),
    )
    if ending.state.final:
        return _ended(replace(job, result=ending.result), ending.state, ending.keep, now)
    if job.cancelling:
        return _ended(job, State.CANCELLED, job.keep_failed, now)
    run_at = ending.due.resolve(now)
    if ending.state is not State.AVAILABLE:
        return replace(job, state=ending.state, run_at=run_at)
    later = run_at > now
    return replace(job, state=State.SCHEDULED if later else State.AVAILABLE, run_at=run_at if later else now)


def taken_back(job: StoredJob, now: int, *, stopping: bool, started: bool) -> StoredJob:
    """Give a job of a worker that fell silent: cancelled if flagged, else available, one crash counted or none.

    None is counted where the lease was ``stopping``, or the job is a suspect that was not marked ``started``. At its
    crash limit it is discarded.
    """
    if job.cancelling:
        return _ended(job, State.CANCELLED, job.keep_failed, now)
    available = replace(job, state=State.AVAILABLE, run_at=now)
    if stopping or (job.crashes > 0 and not started):
        return available
    crashes, attempt = job.crashes + 1, job.failures + job.crashes + 1
    message = f"worker {job.worker} went silent (crash {crashes} of {job.crash_limit})"
    error = AttemptFailure(attempt, now, "LeaseExpired", message, worker=job.worker or "")
    crashed = replace(available, crashes=crashes, errors=(*job.errors, error))
    return crashed if crashes < job.crash_limit else _ended(crashed, State.DISCARDED, job.keep_failed, now)


def reclaimed(jobs: Iterable[StoredJob]) -> Reclaimed:
    """Say what became of jobs that were taken back."""
    ids: dict[State, list[JobId]] = {}
    for job in jobs:
        ids.setdefault(job.state, []).append(job.id)
    return Reclaimed(*(tuple(ids.get(state, ())) for state in (State.AVAILABLE, State.CANCELLED, State.DISCARDED)))


def over(job: StoredJob, now: int) -> bool:
    """Tell whether a job has ended and its time of keeping is over."""
    keep = job.keep if job.state is State.COMPLETED else job.keep_failed
    return job.state.final and keep is not None and (job.finished_at or 0) + keep <= now


def counted(jobs: Iterable[StoredJob]) -> list[QueueCount]:
    """Count jobs by queue, name, route and state."""
    groups: dict[tuple[str, str, str, State], tuple[int, int]] = {}
    for job in jobs:
        group = (job.queue, job.name, job.route, job.state)
        number, oldest = groups.get(group, (0, job.run_at))
        groups[group] = (number + 1, min(oldest, job.run_at))
    return [QueueCount(*group, *numbers) for group, numbers in sorted(groups.items())]


def _ended(job: StoredJob, state: State, keep: int | None, now: int) -> StoredJob:
    job = replace(job, state=state, finished_at=now, cancelling=False)
    return replace(job, keep=keep) if state is State.COMPLETED else replace(job, keep_failed=keep)
