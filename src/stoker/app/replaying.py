"""Replaying a finished job: the new job that does the same again."""

from __future__ import annotations

from stoker.core.batch import batch_of, freed
from stoker.core.job import NewJob, StoredJob
from stoker.errors import EnqueueError


def replayed(job: StoredJob) -> NewJob:
    """Give the job to enqueue, linked to the old one by ``origin``; EnqueueError where that has not ended.

    It holds no unique key, has all its attempts, and is due at once.
    """
    if not job.state.final:
        raise EnqueueError(f"{job.name} {job.id} is {job.state.value}: only a finished job can be replayed; try retry")
    return NewJob(
        name=job.name,
        args=job.args,
        queue=job.queue,
        route=job.route,
        priority=job.priority,
        max_attempts=job.max_attempts,
        crash_limit=job.crash_limit,
        labels=job.labels,
        meta=freed(job.meta),
        keep=job.keep,
        keep_failed=job.keep_failed,
        version=1 if batch_of(job.meta) else job.version,
        origin=job.id,
        gates=job.gates,
    )
