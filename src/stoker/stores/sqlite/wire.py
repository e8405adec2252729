"""How values travel: JSON text in, JSON bytes out, numbers for states.

Replies are cast to BLOB, so that Python's sqlite3 never decodes them: one row of invalid UTF-8 would lose the batch.
"""

from __future__ import annotations

import json
from typing import Any, Final, TypeVar

import msgspec

from stoker.core.job import AttemptFailure, Claim, JobId, StoredJob, Token
from stoker.core.limits import read as read_gates
from stoker.stores.codes import GATED, key_of, state_of

T = TypeVar("T")


_COUNTERS: Final = (
    "priority",
    "max_attempts",
    "starts",
    "failures",
    "crashes",
    "snoozes",
    "enqueued_at",
    "run_at",
    "keep",
    "keep_failed",
    "version",
)
_claims = msgspec.json.Decoder(list[Claim])


class JobRow(msgspec.Struct, array_like=True):
    """A stored job as `JOB_ROW` writes it."""

    id: str
    state: int
    labels: str
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
    result: str | None
    worker: str | None
    route: str
    meta: str
    version: int
    crash_limit: int
    parent: str | None
    root: str | None
    origin: str | None
    gates: str | None
    errors: list[tuple[int, int, str, str, str, str]]
    progress: str | None
    checkpoint: str | None
    expires: int | None
    key: str | None
    key_states: int | None


_job_rows = msgspec.json.Decoder(list[JobRow])


def _text(*columns: str) -> str:
    return ", ".join(f"CAST(job.{column} AS TEXT)" for column in columns)


def _number(*columns: str) -> str:
    return ", ".join(f"CAST(job.{column} AS INTEGER)" for column in columns)


_META: Final = f"""CASE WHEN job.start_by IS NULL THEN {_text("meta")}
    ELSE '{{"stoker/expires":' || CAST(job.start_by AS INTEGER)
        || CASE job.meta WHEN '{{}}' THEN '}}' ELSE ',' || substr(CAST(job.meta AS TEXT), 2) END END"""

# The casts keep the JSON well-formed whatever somebody wrote into the table: json_array refuses BLOBs, and writes an
# infinite number as `Inf`.
CLAIM: Final = f"""json_array(CAST(job.id AS TEXT), :token, {_text("name", "queue", "args")},
    {_number("priority", "max_attempts", "starts", "failures", "crashes", "snoozes", "enqueued_at", "run_at")},
    {_META}, {_number("keep", "keep_failed", "version")}, {_text("parent", "root")},
    CASE WHEN {" AND ".join(f"job.{column} IS CAST(job.{column} AS INTEGER)" for column in _COUNTERS)} THEN NULL
    ELSE 'a number of the stored row is none' END)"""
"""The columns of `Claim`, from a row called ``job``."""

ERRORS: Final = """json((SELECT json_group_array(json_array(attempt, at, CAST(type AS TEXT), CAST(message AS TEXT),
    CAST(trace AS TEXT), CAST(worker AS TEXT)))
    FROM (SELECT * FROM stoker_failure AS failure WHERE failure.job = job.id ORDER BY failure.id)))"""

JOB_ROW: Final = f"""json_array(CAST(job.id AS TEXT), {_number("state")}, {_text("labels")},
    job.cancelling AND job.state = 3, {_text("name", "queue", "args")},
    {_number("priority", "max_attempts", "starts", "failures", "crashes", "snoozes", "run_at", "enqueued_at")},
    {_number("started_at", "finished_at", "keep", "keep_failed")}, {_text("result", "worker", "route", "meta")},
    {_number("version", "crash_limit")}, {_text("parent", "root", "origin", "gates")}, {ERRORS},
    {_text("progress", "checkpoint")}, {_number("start_by")},
    {_text("slot")}, {_number("slot_states")})"""
"""The fields of `JobRow`, from a row called ``job``."""

# A job that is kept for no time expires at the instant at which it ends, and all steps of a unit share one instant.
DELETE_UNKEPT: Final = """
DELETE FROM stoker_job NOT INDEXED
WHERE id IN (SELECT id FROM stoker_job INDEXED BY stoker_job_expiry WHERE expires_at = :now)"""
"""Deletes what ended in this unit and is not to be kept."""

CLOSE_WINDOWS: Final = "DELETE FROM stoker_slot INDEXED BY stoker_slot_window WHERE held = 0 AND until <= :now"
"""Frees the keys whose time is over, for jobs that come to wait again."""


def read_claims(reply: bytes) -> list[Claim]:
    """Read the claims of a reply; a row that cannot be read becomes a claim that says why."""
    try:
        return _claims.decode(reply)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return [_salvaged_claim(row) for row in _loads(reply)]


def read_jobs(reply: bytes) -> list[StoredJob]:
    """Read stored jobs; what is unreadable in a row is shown as well as it can be."""
    try:
        rows = _job_rows.decode(reply)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        rows = [msgspec.convert(_printable(row), JobRow, strict=False) for row in _loads(reply)]
    return [_stored(row) for row in rows]


def read_array(reply: bytes) -> list[Any]:
    """Read any other JSON array; unreadable bytes in it become escapes."""
    try:
        found: list[Any] = msgspec.json.decode(reply)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        found = [_printable(item) for item in _loads(reply)]
    return found


def _loads(reply: bytes) -> list[Any]:
    found: list[Any] = json.loads(reply.decode("utf-8", "surrogateescape"), strict=False)
    return found


def _salvaged_claim(row: list[Any]) -> Claim:
    shown = _printable(row)
    try:
        claim = msgspec.convert(shown, Claim)
    except msgspec.ValidationError as error:
        return Claim(JobId(shown[0]), Token(shown[1]), str(shown[2]), str(shown[3]), "null", defect=str(error))
    if shown == row:
        return claim
    return msgspec.structs.replace(claim, defect="the stored row holds bytes that are no UTF-8 text")


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return value


def _stored(row: JobRow) -> StoredJob:
    return StoredJob(
        id=JobId(row.id),
        name=row.name,
        queue=row.queue,
        state=state_of(row.state),
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
        keep=row.keep,
        keep_failed=row.keep_failed,
        result=row.result,
        worker=row.worker,
        cancelling=bool(row.cancelling),
        route=row.route,
        labels=_labels(row.labels),
        meta=row.meta,
        version=row.version,
        crash_limit=row.crash_limit,
        parent=None if row.parent is None else JobId(row.parent),
        root=None if row.root is None else JobId(row.root),
        origin=None if row.origin is None else JobId(row.origin),
        errors=tuple(AttemptFailure(*error) for error in row.errors),
        progress=row.progress,
        checkpoint=row.checkpoint,
        gates=read_gates(row.gates),
        gated=row.state == GATED,
        expires=row.expires,
        unique=key_of(row.key, row.key_states),
    )


def _labels(text: str) -> tuple[str, ...]:
    try:
        return msgspec.json.decode(text, type=tuple[str, ...])
    except msgspec.MsgspecError:
        return ()
