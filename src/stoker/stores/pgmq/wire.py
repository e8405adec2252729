"""Messages: Roadster's envelope, and beside it what a job of ours has that Roadster knows nothing of.

A message is ``{"metadata": {"id", "worker_name"}, "args"}``. Our notes stand under ``stoker`` in its headers (before
pgmq 1.5: in the message, where Roadster passes over it): what differs from the usual, and how attempts ended.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator, Sequence
from math import copysign
from operator import attrgetter
from typing import Any, Final

import msgspec

from stoker.core.job import AttemptFailure, Claim, JobId, NewJob, State, StoredJob, Token
from stoker.errors import EnqueueError
from stoker.stores.codes import encode, state_of

FOREIGN_ATTEMPTS: Final = 26
"""Attempts of a message that says nothing of them: Roadster's 25 retries, and the first."""
_DEFAULT: Final = NewJob("", "")
_TRAVELLING: Final = (
    "route",
    "max_attempts",
    "crash_limit",
    "labels",
    "meta",
    "keep",
    "keep_failed",
    "version",
    "parent",
    "root",
    "origin",
)
KEEP_FAILED: Final = _DEFAULT.keep_failed
"""How long a discarded job of ours is kept that says nothing of it."""
_shared = attrgetter("name", *_TRAVELLING)
_NOT_IN_JSONB: Final = re.compile(r"\\u0000|\\u[dD][89a-fA-F]|[0-9][eE]\+?[0-9]{4}")
_ID: Final = re.compile(r"([^:]+):([0-9]{1,18})")
_SMALLEST, _LARGEST = 1e-3, 1e15
UNREADABLE: Final = (ValueError, LookupError, RecursionError, msgspec.MsgspecError)


class Notes(msgspec.Struct, omit_defaults=True):
    """What stands beside a message; the defaults are those of a job of ours."""

    args: str | None = None
    """The arguments as they were enqueued, where PostgreSQL's JSON would give back another text."""
    route: str = ""
    max_attempts: int = 20
    crash_limit: int = 3
    labels: tuple[str, ...] = ()
    meta: str = "{}"
    """As it was enqueued, like ``args``."""
    keep: int | None = _DEFAULT.keep
    keep_failed: int | None = _DEFAULT.keep_failed
    version: int = 1
    parent: JobId | None = None
    root: JobId | None = None
    origin: JobId | None = None
    enqueued: int | None = None
    """When it was enqueued, where a clock of a test's says so."""
    seen: int = 0
    """The read_ct of the last attempt whose ending is in these notes."""
    failures: int = 0
    crashes: int = 0
    snoozes: int = 0
    errors: tuple[AttemptFailure, ...] = ()
    worker: str | None = None
    started: int | None = None
    state: State | None = None
    """Of an archived message."""
    result: str | None = None
    finished: int | None = None
    due: int | None = None
    """When it had become available, of an archived one."""


_notes = msgspec.json.Decoder(Notes)
# A blank behind each colon, or the statements would take what follows for a parameter.
FOREIGN_NOTES: Final = f'{{"max_attempts": {FOREIGN_ATTEMPTS}, "keep": null, "keep_failed": null}}'
"""What the notes of a message without any begin with: it stays somebody else's when an attempt of ours is noted."""
FOREIGN: Final = _notes.decode(FOREIGN_NOTES)


# -- ids ---------------------------------------------------------------------------------------------------------------


def job_id(queue: str, message: int | str) -> JobId:
    """Give the id of a message: pgmq counts in each queue."""
    return JobId(f"{queue}:{message}")


def parted(id: JobId) -> tuple[str, int] | None:
    """Give the queue and the number of a message; None for what is no id of this store."""
    found = _ID.fullmatch(id)
    return None if found is None else (found[1], int(found[2]))


# -- writing -----------------------------------------------------------------------------------------------------------


def messages(jobs: Sequence[NewJob], enqueued: int | None) -> tuple[str, str]:
    """Write jobs as a JSON array of messages and one of notes."""
    written: list[str] = []
    noted: list[str] = []
    before: object = None
    name = notes = ""
    for job, id in zip(jobs, _ids(), strict=False):
        shared = _shared(job)
        if shared != before:
            before, name, notes = shared, encode(job.name), _common(job, enqueued)
        args, raw = _carried(job.args)
        written.append(f'{{"metadata":{{"id":"{id}","worker_name":{name}}},"args":{args}}}')
        noted.append(notes if raw is None else f'{{"args":{raw}{"," if len(notes) > 2 else ""}{notes[1:]}')
    return f"[{','.join(written)}]", f"[{','.join(noted)}]"


def _ids() -> Iterator[str]:
    """Make ids of UUID version 7, in order."""
    millis = time.time_ns() // 1_000_000
    drawn = secrets.token_hex(5)
    head = f"{millis >> 16:08x}-{millis & 0xFFFF:04x}-7{drawn[:3]}-8{drawn[3:6]}"
    first = secrets.randbits(47)
    while True:
        yield f"{head}-{first:012x}"
        first += 1


def _common(job: NewJob, enqueued: int | None) -> str:
    fields: dict[str, Any] = {
        field: value for field in _TRAVELLING if (value := getattr(job, field)) != getattr(_DEFAULT, field)
    }
    if enqueued is not None:
        fields["enqueued"] = enqueued
    return encode(fields)


def _carried(args: str) -> tuple[str, str | None]:
    """Give arguments for the message, and as text for the notes if the message alone would not bring them back."""
    try:
        value = msgspec.json.decode(args)
        same = msgspec.json.encode(value).decode() == args and _in_order(value) and "\\u0000" not in args
    except (ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        same = False
    if same:
        return args, None
    try:
        raw = encode(args)
    except UnicodeEncodeError as error:
        raise EnqueueError(f"arguments hold a lone surrogate, which is no text: {error}") from error
    if "\0" in args:
        raise EnqueueError("arguments hold a bare NUL character: that is not JSON")
    # What PostgreSQL refuses is in the notes alone: others who read the message see null.
    return ("null" if _NOT_IN_JSONB.search(args) else args), raw


def _in_order(value: object) -> bool:
    """Tell whether PostgreSQL's binary JSON keeps a value as it is written: it sorts keys and rewrites some numbers."""
    match value:
        case dict():
            keys = [(len(key), key) for key in (text.encode() for text in value)]
            return keys == sorted(keys) and all(map(_in_order, value.values()))
        case list():
            return all(map(_in_order, value))
        case float():
            return _SMALLEST <= abs(value) < _LARGEST or (not value and copysign(1, value) > 0)
        case _:
            return True


# -- reading -----------------------------------------------------------------------------------------------------------


def read_claim(queue: str, row: Sequence[Any], token: Token) -> Claim:
    """Read a claimed message: number, read_ct, enqueued, due, name, arguments, notes."""
    id, reads, enqueued, due, name, args, text = row
    known = job_id(queue, id)
    try:
        notes = _notes.decode(text)
    except UNREADABLE as error:
        return Claim(known, token, name, queue, "null", defect=f"not a job of stoker's: {error}")
    if args is None:
        return Claim(known, token, name, queue, "null", defect="the message has no args")
    # Whatever others read it for, they did not finish it.
    elsewhere = max(0, reads - 1 - notes.seen)
    return Claim(
        known,
        token,
        name,
        queue,
        notes.args if notes.args is not None else _given(args, notes),
        0,
        notes.max_attempts,
        reads,
        notes.failures + elsewhere,
        notes.crashes,
        notes.snoozes,
        notes.enqueued or enqueued,
        due,
        notes.meta,
        notes.keep,
        notes.keep_failed,
        notes.version,
        notes.parent,
        notes.root,
    )


def _given(args: str, notes: Notes) -> str:
    """Give arguments as handlers take them: Rust writes those of a worker without any, ``()``, as null."""
    if args == "null" and notes.max_attempts == FOREIGN_ATTEMPTS:
        return "{}"
    return msgspec.json.format(args, indent=-1)


def read_stored(queue: str, row: Sequence[Any]) -> StoredJob | None:
    """Read a message as it is shown: what `finding.SEEN` gives; None for what is no job."""
    id, reads, enqueued, due, name, args, text, state, worker, started = row
    try:
        notes = _notes.decode(text)
    except UNREADABLE:
        notes = FOREIGN
    if name is None:
        return None
    return StoredJob(
        id=job_id(queue, id),
        name=name,
        queue=queue,
        state=notes.state or state_of(state),
        args=notes.args if notes.args is not None else _given(args or "null", notes),
        priority=0,
        max_attempts=notes.max_attempts,
        starts=reads,
        failures=notes.failures,
        crashes=notes.crashes,
        snoozes=notes.snoozes,
        run_at=notes.due or due,
        enqueued_at=notes.enqueued or enqueued,
        started_at=started or notes.started,
        finished_at=notes.finished,
        keep=notes.keep,
        keep_failed=notes.keep_failed,
        result=notes.result,
        worker=worker or notes.worker,
        route=notes.route,
        labels=notes.labels,
        meta=notes.meta,
        version=notes.version,
        crash_limit=notes.crash_limit,
        parent=notes.parent,
        root=notes.root,
        origin=notes.origin,
        errors=notes.errors,
    )
