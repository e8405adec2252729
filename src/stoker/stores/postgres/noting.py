"""What running attempts leave with their jobs: progress, checkpoints, log lines.

One statement on the jobs' rows alone, as `completing` does it: heartbeats and the endings of neighbours, which lock the
lease, do not wait for a note. Compare and set: whoever takes a running job away gives it another place in line or
another state. A row that is locked is passed over, because a caller's transaction may be what locks it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stoker.core.command import Replies, Sql
from stoker.core.job import JobId
from stoker.core.note import Note
from stoker.stores.codes import encode, json_text, row_ids
from stoker.stores.postgres.wire import numbers

NOTE: Final = """
WITH said AS MATERIALIZED (
    SELECT (value->>0)::bigint AS id, value->>1 AS token, value->>2 AS progress, value->>3 AS checkpoint,
        value->>4 AS lines
    FROM json_array_elements(:notes::json)
), held AS MATERIALIZED (
    SELECT said.*, job.pos FROM said
    JOIN stoker.lease ON lease.token = said.token AND said.id = ANY (lease.ids)
    JOIN stoker.job ON job.id = said.id
    WHERE job.id = ANY (ARRAY(SELECT id FROM said)) AND job.state = 2
), free AS MATERIALIZED (
    SELECT job.id FROM stoker.job JOIN held ON held.id = job.id AND held.pos = job.pos
    WHERE job.id = ANY (ARRAY(SELECT id FROM held)) AND job.state = 2 ORDER BY job.id FOR UPDATE OF job SKIP LOCKED
)
UPDATE stoker.job SET progress = coalesce(held.progress, job.progress),
    checkpoint = coalesce(held.checkpoint, job.checkpoint), lines = coalesce(held.lines, job.lines)
FROM held WHERE job.id = held.id AND job.id = ANY (ARRAY(SELECT id FROM free))
RETURNING job.id::text"""

SAVED: Final = """
SELECT id::text, checkpoint FROM stoker.job
WHERE id = ANY (string_to_array(:ids::text, ',')::bigint[]) AND checkpoint IS NOT NULL"""

LOGGED: Final = SAVED.replace("checkpoint", "lines")


def note_steps(notes: Sequence[Note]) -> tuple[Sql, ...]:
    """Give the step that keeps notes; none where no id can be of this store."""
    rows = [
        (one.id, one.token, _text(one.progress), _text(one.checkpoint), _text(one.lines))
        for one in notes
        if row_ids((one.id,))
    ]
    return (Sql(NOTE, {"notes": encode(rows)}),) if rows else ()


def noted(replies: Replies) -> frozenset[JobId]:
    """Read whose notes were kept."""
    return frozenset(JobId(id) for rows in replies for (id,) in rows)


def saved_step(ids: Sequence[JobId]) -> Sql:
    """Give the statement that reads checkpoints."""
    return Sql(SAVED, {"ids": numbers(ids)})


def saved(replies: Replies) -> dict[JobId, str]:
    """Read the checkpoints, or the log lines."""
    return {JobId(id): text for id, text in replies[0]}


def logged_step(ids: Sequence[JobId]) -> Sql:
    """Give the statement that reads log lines."""
    return Sql(LOGGED, {"ids": numbers(ids)})


def _text(value: str | None) -> str | None:
    return None if value is None else json_text(value)
