"""How values travel: texts as JSON that Lua never reads, so that a reply is made by putting pieces together."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from stoker.core.job import AttemptFailure, Claim, JobId, NewJob, State, StoredJob, Token
from stoker.core.limits import read as read_gates
from stoker.errors import EnqueueError
from stoker.stores.codes import key_of

STATES: Final = (
    State.SCHEDULED,
    State.AVAILABLE,
    State.RUNNING,
    State.RETRYABLE,
    State.COMPLETED,
    State.CANCELLED,
    State.DISCARDED,
)
CODES: Final = {state: code for code, state in enumerate(STATES, 1)}
"""The numbers under which states are stored; also written out in the scripts."""
GATED: Final = 0

_MIDDLE: Final = 50_000
"""Priorities are stored as what is missing to this, in five digits, so that higher ones sort first."""
_encoder = msgspec.json.Encoder()
_claims = msgspec.json.Decoder(list[Claim])
_claim = msgspec.json.Decoder(Claim)


class JobRow(msgspec.Struct, array_like=True):
    """A stored job as `row.lua` writes it."""

    id: str
    state: int
    cancelling: int
    name: str
    queue: str
    args: str
    priority: int
    max_attempts: int
    starts: int
    failures: int
    crashes: int
    snoozes: int
    run_at: int
    enqueued_at: int
    started_at: int | None
    finished_at: int | None
    keep: int | None
    keep_failed: int | None
    kept: int | None
    result: str | None
    worker: str
    route: str
    meta: str
    version: int
    crash_limit: int
    parent: str | None
    root: str | None
    labels: tuple[str, ...]
    origin: str | None
    gates: str | None
    errors: list[tuple[int, int, str, str, str, str]]
    progress: str | None = None
    checkpoint: str | None = None
    expires: int | None = None
    key: str | None = None
    key_states: int = 0


_job_row = msgspec.json.Decoder(JobRow)
_job_rows = msgspec.json.Decoder(list[JobRow])


def escaped(texts: Sequence[str]) -> list[bytes]:
    """Write texts as JSON strings without their quotes; EnqueueError for text that UTF-8 cannot hold."""
    try:
        whole = _encoder.encode(texts)
    except UnicodeEncodeError as error:
        raise EnqueueError(f"a lone surrogate is no text and cannot be stored: {error}") from error
    # Inside a JSON string a quote follows a backslash, so this is what stands between two strings and nowhere else.
    return whole[2:-2].split(b'","') if texts else []


def printable(text: str) -> bytes:
    """Write one text in the same way; lone surrogates become escapes."""
    return _encoder.encode(text.encode("utf-8", "backslashreplace").decode())[1:-1]


def encode(value: object) -> bytes:
    """Write a value as JSON."""
    return _encoder.encode(value)


def lane(queue: str, route: str, name: str) -> str:
    """Give the name of a lane; EnqueueError for names that could not be told apart in it."""
    text = f"{queue}\0{route}\0{name}\0"
    if text.count("\0") != 3 or "\n" in text:
        raise EnqueueError(f"{queue!r}, {route!r}, {name!r}: names may hold no line break and no NUL")
    return text


def order(priority: int) -> str:
    """Give the digits by which priorities sort, high ones first."""
    return f"{_MIDDLE - max(1 - _MIDDLE, min(_MIDDLE - 1, priority)):05d}"


def static(job: NewJob) -> bytes:
    """Write what never changes of a job, but for its arguments, as `record.lua` reads it."""
    mask = 0 if job.unique is None else sum(1 << CODES[State(state)] for state in set(job.unique.states))
    fields: tuple[object, ...] = (
        *(job.name, job.queue, job.route, job.priority, job.meta, job.keep, job.keep_failed, job.version),
        *(job.parent, job.root, job.labels, job.origin, job.crash_limit, mask),
    )
    try:
        texts = [lane(job.queue, job.route, job.name).encode(), order(job.priority).encode(), *map(encode, fields)]
    except UnicodeEncodeError as error:
        raise EnqueueError(f"a lone surrogate is no text and cannot be stored: {error}") from error
    return b"\n".join([*texts, b""])


def state_of(code: int) -> State:
    """Give the state of a number; an available job that waits at its gates has one of its own."""
    return State.AVAILABLE if code == GATED else STATES[code - 1]


def failure_of(error: Sequence[Any]) -> AttemptFailure:
    """Give a failure that was stored as an array."""
    return AttemptFailure(*error)


def read_claims(reply: bytes, token: Token) -> list[Claim]:
    """Read the claims of a reply; a row that cannot be read becomes a claim that says why."""
    try:
        return _claims.decode(b"[" + reply[:-1] + b"]")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return [_salvaged(row[:-1]) for row in re.split(rb'\n(?=\["[^"\n]*","%s",)' % token.encode(), reply)[1:]]


def _salvaged(row: bytes) -> Claim:
    try:
        return _claim.decode(row)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        # Name and queue stand before the arguments, which are what somebody has damaged.
        parts = re.match(rb'\["([^"]*)","([^"]*)",("(?:[^"\\]|\\.)*"),("(?:[^"\\]|\\.)*"),', row)
        if parts is None:
            first, second = (part.decode() for part in row.split(b'"')[1:4:2])
            return Claim(JobId(first), Token(second), "", "", "null", defect=f"unreadable: {error}")
        id, token = parts[1].decode(), parts[2].decode()
        name, queue = (json.loads(part.decode("utf-8", "backslashreplace"), strict=False) for part in parts.group(3, 4))
        return Claim(JobId(id), Token(token), name, queue, "null", defect=f"the stored row cannot be read: {error}")


def read_jobs(reply: bytes) -> list[StoredJob]:
    """Read stored jobs; what is unreadable in a row is shown as well as it can be."""
    try:
        rows = _job_rows.decode(b"[" + reply[:-1] + b"]")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        rows = [_salvaged_row(row[:-1]) for row in reply.split(b"\n[")[1:]]
    return [_stored(row) for row in rows]


def _salvaged_row(row: bytes) -> JobRow:
    text = "[" + row.decode("utf-8", "backslashreplace")
    try:
        return _job_row.decode(text)
    except msgspec.MsgspecError:
        return _job_row.decode(re.sub(r'^(\["(?:[^"]*)",\d,\d,"[^"]*","[^"]*",").*?(",-?\d+,\d+,)', r"\1\2", text))


def _stored(row: JobRow) -> StoredJob:
    state = state_of(row.state)
    keep, keep_failed = row.keep, row.keep_failed
    if state is State.COMPLETED:
        keep = row.kept
    elif state.final:
        keep_failed = row.kept
    return StoredJob(
        id=JobId(row.id),
        name=row.name,
        queue=row.queue,
        state=state,
        args=row.args,
        priority=row.priority,
        max_attempts=row.max_attempts,
        starts=row.starts,
        failures=row.failures,
        crashes=row.crashes,
        snoozes=row.snoozes,
        run_at=row.run_at,
        enqueued_at=row.enqueued_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        keep=keep,
        keep_failed=keep_failed,
        result=row.result,
        worker=row.worker or None,
        cancelling=bool(row.cancelling),
        route=row.route,
        labels=row.labels,
        meta=row.meta,
        version=row.version,
        crash_limit=row.crash_limit,
        parent=None if row.parent is None else JobId(row.parent),
        root=None if row.root is None else JobId(row.root),
        origin=None if row.origin is None else JobId(row.origin),
        errors=tuple(map(failure_of, row.errors)),
        progress=row.progress,
        checkpoint=row.checkpoint,
        gates=read_gates(row.gates),
        gated=row.state == GATED,
        expires=row.expires,
        unique=key_of(row.key, row.key_states),
    )
