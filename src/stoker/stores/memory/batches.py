"""Batches: opened with their first members, looked at, moved on by compare-and-set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from stoker.core.batch import ADDED, BatchEvent, BatchId, BatchMove, StoredBatch
from stoker.core.duration import SECOND
from stoker.core.job import CallId, Enqueued, NewJob
from stoker.errors import BatchComplete
from stoker.stores.following import modest
from stoker.stores.memory.contents import Contents
from stoker.stores.memory.intake import answered, enqueue, store
from stoker.stores.memory.row import Batch

KEPT_FOR: Final = 14 * 86_400 * SECOND


def open_batch(
    contents: Contents, id: BatchId, doc: str, jobs: Sequence[NewJob], call: CallId, within: BatchId | None
) -> list[Enqueued]:
    """Store a batch with its first members."""
    if (known := answered(contents, call)) is not None:
        return known
    if within is not None:
        refuse_finished(contents, within)
    answers = enqueue(contents, jobs, call)
    contents.batches.setdefault(id, Batch(doc, call, contents.now, events=[]))
    if within is not None:
        contents.batches[within].events.append(BatchEvent(next(contents.numbers), None, id, ADDED))
    return answers


def add(contents: Contents, jobs: Sequence[NewJob], call: CallId) -> list[Enqueued]:
    """Enqueue jobs of which some belong to batches that are there."""
    if (known := answered(contents, call)) is not None:
        return known
    for batch in sorted({job.batch for job in jobs if job.batch is not None}):
        refuse_finished(contents, BatchId(batch))
    answers = enqueue(contents, jobs, call)
    added = Counter(
        job.batch for job, answer in zip(jobs, answers, strict=True) if job.batch is not None and not answer.duplicate
    )
    for batch, count in added.items():
        event = BatchEvent(next(contents.numbers), None, "", ADDED, count)
        contents.batches[BatchId(batch)].events.append(event)
    return answers


def advance(contents: Contents, move: BatchMove, jobs: Sequence[NewJob], call: CallId) -> bool:
    """Move a batch on and, if it did move, store jobs."""
    batch = contents.batches.get(move.id)
    if batch is None or (batch.version != move.version and batch.call != call):
        return False
    if batch.call == call:
        return True
    left = [event for event in batch.events if event.seq not in set(move.seen)]
    if move.finished and left:
        return False
    batch.version, batch.doc, batch.finished = batch.version + 1, move.doc, move.finished
    batch.call, batch.at, batch.events = call, contents.now, left
    for around, node, kind in move.tell:
        if around in contents.batches:
            contents.batches[around].events.append(BatchEvent(next(contents.numbers), None, node, kind))
    store(contents, [modest(job) for job in jobs])
    return True


def batches(contents: Contents, ids: Sequence[BatchId], limit: int) -> list[StoredBatch]:
    """Give batches by id, or those with events that were not seen."""
    if ids:
        chosen = [id for id in dict.fromkeys(ids) if id in contents.batches]
    else:
        chosen = [id for id, batch in contents.batches.items() if batch.events][:limit]
    found = [(id, contents.batches[id]) for id in chosen]
    return [StoredBatch(id, one.version, one.doc, one.finished, tuple(one.events)) for id, one in found]


def prune(contents: Contents) -> None:
    """Forget batches that ended long ago and have no jobs any more."""
    old = {id for id, one in contents.batches.items() if one.finished and not one.events}
    old = {id for id in old if contents.batches[id].at < contents.now - KEPT_FOR}
    if old:
        for id in old - {BatchId(row.job.batch) for row in contents.rows.values() if row.job.batch is not None}:
            del contents.batches[id]


def refuse_finished(contents: Contents, id: BatchId) -> None:
    """Raise BatchComplete where nothing can be added."""
    batch = contents.batches.get(id)
    if batch is None or batch.finished:
        raise BatchComplete(id)
