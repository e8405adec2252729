"""Jobs of others' making, read for those who look them up: what Sidekiq keeps of a job, as `StoredJob` has it."""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

import msgspec

from stoker.core.filters import Filter
from stoker.core.job import AttemptFailure, JobId, State, StoredJob
from stoker.stores.matching import matches
from stoker.stores.sidekiq.versions import instant, trace_of
from stoker.stores.sidekiq.wire import NATIVE, UNREADABLE, args_of, meta_of, read_payload

_OURS_HEX: Final = 13
"""Digits of our own ids that say the microsecond of the call."""


class Entry(NamedTuple):
    """A job as it lies somewhere."""

    payload: bytes
    state: State
    queue: str
    """Of a list or claim; of an entry of a set ``""``, because it says so itself."""
    score: int | None
    """Of an entry of a set, in microseconds."""
    id: str = ""
    """Where it is known by another than its ``jid``."""
    worker: str | None = None
    claimed_at: int | None = None


class Brief(msgspec.Struct, rename={"name": "class"}):
    """As much of a job as most filters ask for."""

    name: str
    jid: str = ""
    queue: str = "default"
    wrapped: str | None = None
    created_at: int | float | None = None


class Seen(NamedTuple):
    """An entry with what is to be known of it before it is read."""

    moment: int
    """When it was enqueued: what jobs are listed by, the id deciding between equals."""
    id: str
    entry: Entry


class _Told(msgspec.Struct):
    error_class: str | None = None
    error_message: str | None = None
    error_backtrace: str | tuple[str, ...] | None = None
    failed_at: int | float | None = None
    retried_at: int | float | None = None
    tags: tuple[str, ...] | None = None


_brief = msgspec.json.Decoder(Brief)
_told = msgspec.json.Decoder(_Told)


def seen(only: Filter, entry: Entry, now: int) -> Seen | None:
    """Look at an entry; None where it cannot be one that a filter asks for."""
    try:
        brief = _brief.decode(entry.payload)
    except UNREADABLE:
        brief = _brief_of_odd(entry.payload)
    id = entry.id or brief.jid or hashlib.sha1(entry.payload, usedforsecurity=False).hexdigest()
    if only.ids and id not in only.ids:
        return None
    if only.names and (brief.wrapped or brief.name) not in only.names:
        return None
    if only.queues and (entry.queue or brief.queue) not in only.queues:
        return None
    if only.states and entry.state not in only.states:
        return None
    if only.batches:
        return None
    found = Seen(_moment(id, brief, entry, now), id, entry)
    return found if not _looks_inside(only) or matches(only, stored(found, 0, now)) else None


def _looks_inside(only: Filter) -> bool:
    """Tell whether a filter asks for more than is known of an entry at a glance."""
    plain = Filter(only.ids, only.names, only.queues, only.states, batches=only.batches)
    return only != plain


def moment_in(id: str) -> int | None:
    """Give the time that an id says, if it looks like one of ours."""
    try:
        return int(id[:_OURS_HEX], 16) if len(id) == 24 else None
    except ValueError:
        return None


def stored(found: Seen, crashes: int, now: int) -> StoredJob:
    """Read a job; what is none has no name, and what lies there as its arguments."""
    entry = found.entry
    try:
        job = read_payload(entry.payload)
        args, meta = args_of(job).decode(), meta_of(job, entry.payload)
    except UNREADABLE:
        return _unreadable(found)
    ours, told = job.stoker, _what_is_told(entry.payload)
    enqueued = instant(job.created_at, now)
    run_at = entry.score if entry.state in (State.SCHEDULED, State.RETRYABLE) else None
    due = ours.due or instant(job.enqueued_at, enqueued)
    return StoredJob(
        JobId(found.id),
        job.wrapped or job.name,
        entry.queue or job.queue,
        entry.state,
        args,
        ours.priority,
        job.max_attempts,
        job.failures + crashes + (entry.state is State.RUNNING),
        job.failures,
        crashes,
        ours.snoozes,
        due if run_at is None else run_at,
        enqueued,
        entry.claimed_at,
        entry.score if entry.state is State.DISCARDED else None,
        ours.keep,
        ours.keep_failed if job.buried else 0,
        None,
        entry.worker,
        route=ours.route,
        labels=told.tags or (),
        meta=meta,
        version=ours.version,
        crash_limit=ours.crash_limit,
        parent=ours.parent,
        root=ours.root,
        origin=ours.origin,
        errors=_errors(told, job.failures, now),
    )


def _brief_of_odd(payload: bytes) -> Brief:
    try:
        job = read_payload(payload)
    except UNREADABLE:
        return Brief("")
    return Brief(job.name, job.jid, job.queue, job.wrapped, job.created_at)


def _moment(id: str, brief: Brief, entry: Entry, now: int) -> int:
    told = moment_in(id) if NATIVE.match(entry.payload) else None
    if told is not None:
        return told
    return instant(brief.created_at, now if entry.score is None else entry.score)


def _unreadable(found: Seen) -> StoredJob:
    entry = found.entry
    at = found.moment
    text = msgspec.json.encode(entry.payload.decode(errors="replace")).decode()
    return StoredJob(
        JobId(found.id), "", entry.queue or "default", entry.state, text,
        0, 1, 0, 0, 0, 0, at, at, entry.claimed_at, entry.score if entry.state is State.DISCARDED else None,
        None, None, None, entry.worker,
    )  # fmt: skip


def _what_is_told(payload: bytes) -> _Told:
    try:
        return _told.decode(payload)
    except UNREADABLE:
        return _Told()


def _errors(told: _Told, failures: int, now: int) -> tuple[AttemptFailure, ...]:
    """Give the latest failure, which is the only one that Sidekiq keeps."""
    if told.error_class is None:
        return ()
    at = instant(told.failed_at if told.retried_at is None else told.retried_at, now)
    return (AttemptFailure(failures, at, told.error_class, told.error_message or "", trace_of(told.error_backtrace)),)
