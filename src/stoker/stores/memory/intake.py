"""How jobs get in: all or none, each call once, one holder per unique key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from stoker.core.duration import SECOND
from stoker.core.job import WAITING, CallId, Enqueued, NewJob, State
from stoker.core.unique import UniqueKey
from stoker.errors import DuplicateJob
from stoker.stores.memory.contents import Contents
from stoker.stores.memory.row import Row

RECEIPTS_KEPT_FOR: Final = 3600 * SECOND
MOST_RECEIPTS: Final = 200_000
"""In one process no answer gets lost, so receipts need not outgrow the jobs: beyond this the oldest go early."""


def enqueue(contents: Contents, jobs: Sequence[NewJob], call: CallId) -> list[Enqueued]:
    """Store the jobs, or give the answers of the first call of that id."""
    if (known := answered(contents, call)) is not None:
        return known
    _refuse_duplicates(contents, jobs)
    answers = store(contents, jobs)
    contents.receipts[call] = tuple(answers)
    contents.receipts_by_age.append((contents.now, call))
    if len(contents.receipts) > MOST_RECEIPTS:
        del contents.receipts[contents.receipts_by_age.popleft()[1]]
    return answers


def answered(contents: Contents, call: CallId) -> list[Enqueued] | None:
    """Give the answers of a call that was carried out before."""
    known = contents.receipts.get(call)
    return None if known is None else list(known)


def store(contents: Contents, jobs: Sequence[NewJob]) -> list[Enqueued]:
    """Store the jobs, whatever calls there were before."""
    return [
        Enqueued(contents.insert(job).id) if job.unique is None else _unique(contents, job, job.unique) for job in jobs
    ]


def drop_receipts(contents: Contents) -> None:
    """Forget the calls of more than an hour ago."""
    oldest = contents.receipts_by_age
    while oldest and oldest[0][0] < contents.now - RECEIPTS_KEPT_FOR:
        del contents.receipts[oldest.popleft()[1]]


def _refuse_duplicates(contents: Contents, jobs: Sequence[NewJob]) -> None:
    """Raise for the jobs that insist on a free key, before anything is written."""
    asked: set[str] = set()
    for job in jobs:
        unique = job.unique
        if unique is None:
            continue
        if unique.on_conflict == "raise":
            holder = contents.slots.holder(unique, contents.now)
            if holder is not None or unique.key in asked:
                raise DuplicateJob(job.name, holder or "another job of the same call")
        asked.add(unique.key)


def _unique(contents: Contents, job: NewJob, unique: UniqueKey) -> Enqueued:
    existing = contents.slots.holder(unique, contents.now)
    if existing is None:
        return Enqueued(contents.insert(job).id)
    if unique.on_conflict == "keep":
        return Enqueued(existing, True)
    holder = contents.rows.get(existing)
    if holder is None or holder.state not in WAITING:
        # What the holder runs with cannot be changed any more; the newer wish takes the key over.
        return Enqueued(contents.insert(job).id)
    if unique.on_conflict == "replace":
        holder.job = msgspec.structs.replace(holder.job, args=job.args, version=job.version)
    else:
        _reschedule(contents, holder, job)
    return Enqueued(existing, True)


def _reschedule(contents: Contents, holder: Row, job: NewJob) -> None:
    due = job.due.resolve(contents.now)
    if due > contents.now:
        later = State.RETRYABLE if holder.state is State.RETRYABLE else State.SCHEDULED
        contents.to_later(holder, later, due)
    elif holder.state is not State.AVAILABLE:
        contents.to_available(holder, contents.now)
