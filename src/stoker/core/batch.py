"""Batches as stores keep them: a document that only `core.flow` reads, and a ledger of what its members came to."""

from __future__ import annotations

import secrets
import time
from typing import Final, NewType

import msgspec

from stoker.core.job import JobId, NewJob

BatchId = NewType("BatchId", str)
"""Made by whoever opens the batch: 24 hex digits, the time first."""

ADDED: Final = 0
COMPLETED: Final = 5
CANCELLED: Final = 6
DISCARDED: Final = 7
"""Kinds of events: members were added, or one ended so; the negative of an ending takes it back."""

MEMBER_VERSION: Final = 3
"""The format of a job that belongs to a batch: a worker that knows no batches gives it back."""
BATCH_KEY: Final = "stoker.batch"
REFUSED_KEY: Final = "stoker.refused"
"""Keys of a member's ``meta``: its batch, and why it can only be discarded."""


def new_batch() -> BatchId:
    """Make the id of a batch."""
    return BatchId(f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(6)}")


class BatchEvent(msgspec.Struct, frozen=True, array_like=True):
    """A line of a batch's ledger."""

    seq: int
    job: JobId | None
    """None for what a batch inside this one came to, and for members that were added."""
    node: str
    """The step of a workflow, or the id of the batch inside this one; '' for others."""
    kind: int
    count: int = 1


class StoredBatch(msgspec.Struct, frozen=True):
    """A batch, and those events of its ledger that are not in the document yet."""

    id: BatchId
    version: int
    doc: str
    finished: bool
    events: tuple[BatchEvent, ...]


class BatchMove(msgspec.Struct, frozen=True):
    """A step of a batch from one version of its document to the next."""

    id: BatchId
    version: int
    """The version that it was made from."""
    doc: str
    seen: tuple[int, ...]
    """The events that are in the document now, by number."""
    finished: bool
    """Nothing may be added any more. Refused while there are events that were not seen."""
    tell: tuple[tuple[BatchId, str, int], ...] = ()
    """Events for the ledger of the batch around this one: (batch, node, kind)."""


def member(job: NewJob, batch: BatchId, node: str = "", *, keep_at_least: int = 1, refused: str = "") -> NewJob:
    """Give a job as a member of a batch; its own ending never deletes it, or nobody could tell what it came to."""
    meta = msgspec.json.decode(job.meta, type=dict[str, msgspec.Raw])
    meta[BATCH_KEY] = msgspec.Raw(msgspec.json.encode(batch))
    if refused:
        meta[REFUSED_KEY] = msgspec.Raw(msgspec.json.encode(refused))
    return msgspec.structs.replace(
        job,
        batch=batch,
        node=node,
        meta=msgspec.json.encode(meta).decode(),
        version=max(job.version, MEMBER_VERSION),
        keep=None if job.keep is None else max(job.keep, keep_at_least),
        keep_failed=None if job.keep_failed is None else max(job.keep_failed, 1),
    )


def batch_of(meta: str) -> BatchId | None:
    """Give the batch that a stored job belongs to, or is a callback of, by its ``meta``."""
    found = _said(meta, BATCH_KEY)
    return None if found is None else BatchId(found)


def refusal_of(meta: str) -> str | None:
    """Give why a member can only be discarded."""
    return _said(meta, REFUSED_KEY)


def freed(meta: str) -> str:
    """Give a member's ``meta`` as its enqueuer sent it."""
    if '"stoker.' not in meta:
        return meta
    try:
        said = msgspec.json.decode(meta, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return meta
    return msgspec.json.encode({key: value for key, value in said.items() if not key.startswith("stoker.")}).decode()


def _said(meta: str, key: str) -> str | None:
    if key not in meta:
        return None
    try:
        found = msgspec.json.decode(meta, type=dict[str, object]).get(key)
    except msgspec.DecodeError:
        return None
    return found if isinstance(found, str) else None
