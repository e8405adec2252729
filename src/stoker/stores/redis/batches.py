"""Batches: opened with their first members, added to, looked at, moved on by compare-and-set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stoker.core.batch import BatchEvent, BatchId, BatchMove, StoredBatch
from stoker.core.job import CallId, JobId, NewJob
from stoker.stores.following import modest
from stoker.stores.redis.commands import Arg
from stoker.stores.redis.intake import unique_args


def add_args(jobs: Sequence[NewJob], call: CallId) -> list[Arg]:
    """Give what `add.lua` takes: what `unique.lua` does, and then the batches."""
    batches = sorted({job.batch for job in jobs if job.batch is not None})
    return [*unique_args(jobs, call), *batches, len(batches)]


def open_args(id: BatchId, doc: str, jobs: Sequence[NewJob], call: CallId, within: BatchId | None) -> list[Arg]:
    """Give what `open_batch.lua` takes: what `unique.lua` does, and then the batch."""
    return [*unique_args(jobs, call), id, doc, call, within or ""]


def move_args(move: BatchMove, jobs: Sequence[NewJob], call: CallId) -> list[Arg]:
    """Give what `advance.lua` takes: what `unique.lua` does, and then the move."""
    told = [word for event in move.tell for word in event]
    args = [*unique_args([modest(job) for job in jobs], call), *told, move.id, move.version, move.doc, len(move.seen)]
    return [*args, int(move.finished), call, len(jobs), len(move.tell)]


def moved(reply: Any) -> bool:
    """Read whether a batch moved on: then the ids of what follows stand there, where something does."""
    return not (isinstance(reply, int) and reply == 0)


def shown(reply: list[bytes]) -> list[StoredBatch]:
    """Read batches."""
    return [
        _batch(id.decode(), value.decode(), ledger.decode())
        for id, value, ledger in zip(reply[::3], reply[1::3], reply[2::3], strict=True)
    ]


def _batch(id: str, value: str, ledger: str) -> StoredBatch:
    line, doc = value.split("\n", 1)
    version, finished, *_ = line.split(" ")
    events = tuple(_event(seq, line) for seq, line in enumerate(ledger.splitlines(), 1))
    return StoredBatch(BatchId(id), int(version), doc, finished == "1", events)


def _event(seq: int, line: str) -> BatchEvent:
    job, node, kind, count = line.split(" ")
    return BatchEvent(seq, None if job == "-" else JobId(job), "" if node == "-" else node, int(kind), int(count))
