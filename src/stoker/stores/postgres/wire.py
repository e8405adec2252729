"""How values travel: numbers and texts in, JSON for everything with parts; rows of the same out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from stoker.core.job import AttemptFailure, JobId, State, StoredJob
from stoker.core.limits import read
from stoker.stores.codes import key_of, row_ids, state_of

STATE: Final = """(CASE WHEN job.state = 0 THEN 2 WHEN job.state = 2 AND NOT EXISTS (SELECT FROM stoker.ready
    WHERE ready.queue = job.queue AND ready.route = job.route AND ready.name = job.name
        AND ready.priority = job.priority AND ready.pos = job.pos)
    THEN 3 ELSE job.state END)"""
"""The state of a row called ``job``: 2 in the row stands for available and for running, 0 for waiting at gates."""

LINED: Final = """lined AS (
    INSERT INTO stoker.ready (queue, route, name, priority, pos, id, run_at, size)
    SELECT queue, route, name, priority, pos, id, run_at, length(args) FROM {moved} WHERE state = 2
)"""
"""Puts those of the jobs that a statement moved in line that are available now."""

_META: Final = """CASE WHEN job.start_by IS NULL THEN job.meta ELSE '{"stoker/expires":' || job.start_by
    || CASE job.meta WHEN '{}' THEN '}' ELSE ',' || substr(job.meta, 2) END END"""

CLAIM: Final = f"""job.name, job.queue, job.args, job.priority, job.max_attempts, job.starts + 1, job.failures,
    job.crashes, job.snoozes, job.enqueued_at, job.run_at, {_META}, job.keep, job.keep_failed, job.version,
    job.parent, job.root"""
"""The columns of `Claim` behind id and token, from a row called ``job``."""

JOB_COLUMNS: Final = (
    "name",
    "queue",
    "args",
    "priority",
    "max_attempts",
    "failures",
    "crashes",
    "snoozes",
    "run_at",
    "enqueued_at",
    "finished_at",
    "keep",
    "keep_failed",
    "result",
    "route",
    "meta",
    "version",
    "crash_limit",
    "parent",
    "root",
    "origin",
    "progress",
    "checkpoint",
    "gates",
    "start_by",
    "slot",
    "slot_states",
)

ERRORS: Final = """(
    SELECT json_agg(json_build_array(attempt, at, type, message, trace, worker) ORDER BY failure.id)::text
    FROM stoker.failure WHERE failure.job = job.id)"""

_errors = msgspec.json.Decoder(tuple[tuple[int, int, str, str, str, str], ...])
_labels = msgspec.json.Decoder(tuple[str, ...])


def numbers(ids: Iterable[JobId]) -> str:
    """Write ids as `string_to_array` takes them; what cannot be an id of this store is left out."""
    return ",".join(map(str, row_ids(ids)))


def read_ids(text: str | None) -> list[JobId]:
    """Read ids as `string_agg` writes them."""
    return [JobId(id) for id in text.split(",")] if text else []


def plain(value: str) -> str:
    """Give a text that PostgreSQL can hold: lone surrogates and NUL become escapes."""
    return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def stored(row: Any) -> StoredJob:
    """Make a job of the columns that `look.FIND` gives."""
    id, state, gated, labels, cancelling, starts, started_at, worker, errors, *columns = row
    fields: dict[str, Any] = dict(zip(JOB_COLUMNS, columns, strict=True))
    fields["gates"] = read(fields["gates"])
    fields["expires"] = fields.pop("start_by")
    fields["unique"] = key_of(fields.pop("slot"), fields.pop("slot_states"))
    return StoredJob(
        id=JobId(id),
        state=state_of(state),
        labels=_labels.decode(labels),
        cancelling=cancelling and state_of(state) is State.RUNNING,
        starts=starts,
        gated=gated,
        started_at=started_at,
        worker=worker,
        errors=tuple(AttemptFailure(*error) for error in _errors.decode(errors or "[]")),
        **fields,
    )
