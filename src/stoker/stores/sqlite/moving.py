# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""How jobs leave for another store, and come from one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from stoker.core.command import Replies, Sql, Value
from stoker.core.filters import Filter
from stoker.core.job import CallId, NewJob, StoredJob, Token
from stoker.core.moving import HELD_FOR, MOVING, Hold, as_it_was, carried
from stoker.stores.codes import encode
from stoker.stores.grouping import sort_out
from stoker.stores.sqlite.intake import FRESH
from stoker.stores.sqlite.match import where
from stoker.stores.sqlite.unique import unique_steps
from stoker.stores.sqlite.wire import JOB_ROW, read_jobs

# The lease's trigger takes those that are available; the others have to be taken after it.
LEASE: Final = """
INSERT INTO stoker_lease (token, at, until, worker, ids)
SELECT :token, :now, :now + :lease, :worker, ids FROM (
    SELECT json_group_array(id) AS ids FROM (
        SELECT job.id AS id FROM stoker_job AS job
        WHERE {may} AND job.state IN (0, 1, 2, 4) AND job.batch IS NULL ORDER BY job.id LIMIT :limit
    )
) WHERE ids <> '[]' AND NOT EXISTS (SELECT 1 FROM stoker_lease WHERE token = :token)"""

_HELD: Final = "id IN (SELECT value FROM json_each((SELECT ids FROM stoker_lease WHERE token = :token)))"

TAKE_OTHERS: Final = f"""
UPDATE stoker_job NOT INDEXED SET state = 3, token = :token, worker = :worker, starts = starts + 1, started_at = :now,
    cancelling = 0, begun = 0, pos = 0
WHERE {_HELD} AND +state IN (0, 1, 4) AND :limit > 0"""

LEAVE_GATES: Final = f"DELETE FROM stoker_waiting WHERE job IN (SELECT id FROM stoker_job WHERE {_HELD} AND +state = 3)"

SHOW: Final = f"""
SELECT CAST(json_group_array(json(row)) AS BLOB) AS jobs FROM (
    SELECT {JOB_ROW} AS row FROM json_each((SELECT ids FROM stoker_lease WHERE token = :token)) AS held
    CROSS JOIN stoker_job AS job NOT INDEXED ON job.id = held.value
    WHERE job.state = 3 AND job.token = :token ORDER BY job.id
)"""

HOLDS: Final = f"""
SELECT CAST(json_group_array(json_array(token, worker, at, jobs)) AS BLOB) AS holds FROM (
    SELECT lease.token AS token, lease.worker AS worker, lease.at AS at, (
        SELECT count(*) FROM json_each(lease.ids) AS one CROSS JOIN stoker_job AS job NOT INDEXED ON job.id = one.value
        WHERE job.state = 3 AND job.token = lease.token
    ) AS jobs
    FROM stoker_lease AS lease WHERE substr(lease.worker, 1, {len(MOVING)}) = '{MOVING}' ORDER BY lease.at, lease.token
)"""

LAST_DUE: Final = """
SELECT (SELECT CAST(run_at AS INTEGER) FROM stoker_job INDEXED BY stoker_job_due
    WHERE state IN (1, 4) ORDER BY run_at DESC LIMIT 1) AS due"""

_ARRIVED: Final = f"""(
    SELECT fresh.first + CAST(item.key AS INTEGER) AS id, item.value AS value
    FROM {FRESH} AS fresh CROSS JOIN json_each(:carried) AS item LIMIT -1
)"""

# A job whose key was taken has no row under its id.
CARRY: Final = f"""
UPDATE stoker_job NOT INDEXED SET starts = json_extract(came.value, '$[0]'),
    failures = json_extract(came.value, '$[1]'), crashes = json_extract(came.value, '$[2]'),
    snoozes = json_extract(came.value, '$[3]'), enqueued_at = json_extract(came.value, '$[4]'),
    checkpoint = json_extract(came.value, '$[5]'), state = CASE WHEN state = 1
        AND (json_extract(came.value, '$[1]') OR json_extract(came.value, '$[2]')) THEN 4 ELSE state END
FROM {_ARRIVED} AS came WHERE stoker_job.id = came.id"""

CARRY_ERRORS: Final = f"""
INSERT INTO stoker_failure (job, attempt, at, type, message, trace, worker)
SELECT job.id, json_extract(error.value, '$[0]'), json_extract(error.value, '$[1]'),
    json_extract(error.value, '$[2]'), json_extract(error.value, '$[3]'), json_extract(error.value, '$[4]'),
    json_extract(error.value, '$[5]')
FROM {_ARRIVED} AS came CROSS JOIN stoker_job AS job NOT INDEXED ON job.id = came.id
CROSS JOIN json_each(came.value, '$[6]') AS error ORDER BY job.id, CAST(error.key AS INTEGER)"""

# Receipts are pruned by age; these get none.
KEEP_RECEIPT: Final = "UPDATE stoker_call SET at = :now + :kept WHERE call = :call AND at = :now"

_holds = msgspec.json.Decoder(list[tuple[Token, str, int, int]])


def hold_steps(only: Filter, limit: int, token: Token, worker: str) -> tuple[Sql, ...]:
    """Give the steps that hold jobs and show what is held."""
    condition, params = where(only)
    ours: dict[str, Value] = {"token": token, "worker": worker, "limit": limit}
    return (
        Sql(LEASE.format(may=condition), {**params, **ours, "lease": HELD_FOR}),
        Sql(TAKE_OTHERS, ours),
        Sql(LEAVE_GATES, {"token": token}),
        Sql(SHOW, {"token": token}),
    )


def held(replies: Replies) -> list[StoredJob]:
    """Read what is held."""
    return [as_it_was(job) for job in read_jobs(replies[-1][0][0])]


def holds(replies: Replies) -> list[Hold]:
    """Read the holds."""
    return [Hold(*one) for one in _holds.decode(replies[0][0][0])]


def last_due(replies: Replies) -> int | None:
    """Read the latest due time."""
    due: int | None = replies[0][0][0]
    return due


def receive_steps(jobs: Sequence[StoredJob], new: Sequence[NewJob], call: CallId) -> tuple[Sql, ...]:
    """Give the steps that take jobs in: those of an enqueue, and while the call is fresh what they bring along."""
    *storing, advance, reply = unique_steps(new, sort_out(new), call)
    params: dict[str, Value] = {"call": call, "carried": encode(dict(enumerate(map(carried, jobs))))}
    keeping = Sql(KEEP_RECEIPT, {"call": call, "kept": HELD_FOR})
    return (*storing, Sql(CARRY, params), Sql(CARRY_ERRORS, params), keeping, advance, reply)
