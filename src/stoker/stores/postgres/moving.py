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
from stoker.stores.postgres.control import OFF
from stoker.stores.postgres.intake import FRESH_IDS
from stoker.stores.postgres.look import FIND
from stoker.stores.postgres.match import where
from stoker.stores.postgres.unique import unique_steps
from stoker.stores.postgres.wire import STATE, plain, stored

# What is held stands in a lease as what runs does, and in no line. State 0 on the way keeps the triggers of gates and
# keys from putting a job in line again.
HOLD: Final = f"""
WITH chosen AS MATERIALIZED (
    SELECT job.* FROM stoker.job AS job
    WHERE {{may}} AND job.batch IS NULL AND {STATE} IN (1, 2, 4)
        AND NOT EXISTS (SELECT FROM stoker.lease WHERE token = :token::text)
    ORDER BY job.id LIMIT :limit FOR UPDATE SKIP LOCKED
), {OFF}, taken AS MATERIALIZED (
    SELECT id, state FROM chosen WHERE state <> 2 OR EXISTS (SELECT FROM off WHERE off.id = chosen.id)
), leased AS (
    INSERT INTO stoker.lease (token, at, until, worker, ids)
    SELECT :token::text, :now, :now + :lease::bigint, :worker::text, array_agg(id ORDER BY id)
    FROM taken HAVING count(*) > 0
), left_gates AS (
    DELETE FROM stoker.waiting WHERE job = ANY (ARRAY(SELECT id FROM taken WHERE state = 0))
)
UPDATE stoker.job SET state = 0 WHERE id = ANY (ARRAY(SELECT id FROM taken WHERE state IN (1, 4)))"""

RUN: Final = """
UPDATE stoker.job SET state = 2 WHERE state = 0 AND :limit::integer > 0 AND id = ANY (ARRAY(
    SELECT unnest(ids) FROM stoker.lease WHERE token = :token::text))"""

SHOW: Final = FIND.format(
    may="job.state = 2 AND job.id = ANY (ARRAY(SELECT unnest(ids) FROM stoker.lease WHERE token = :token::text))"
).replace("LIMIT :limit", "")

HOLDS: Final = f"""
SELECT token, worker, at, cardinality(ids) FROM stoker.lease WHERE starts_with(worker, '{MOVING}') ORDER BY at, token"""

LAST_DUE: Final = """
SELECT (SELECT run_at FROM stoker.job WHERE state IN (1, 4) ORDER BY run_at DESC LIMIT 1) AS due"""

# A job whose key was taken has no row under its id.
_ARRIVED: Final = f"""came AS MATERIALIZED (
    SELECT ids.id, item.value AS what FROM json_each(:carried::json) AS item
    JOIN {FRESH_IDS} AS ids ON ids.place = item.key::bigint
)"""

CARRY: Final = f"""
WITH {_ARRIVED}
UPDATE stoker.job SET starts = (what->>0)::integer, failures = (what->>1)::integer, crashes = (what->>2)::integer,
    snoozes = (what->>3)::integer, enqueued_at = (what->>4)::bigint, checkpoint = what->>5,
    state = CASE WHEN state = 1 AND (what->>1 <> '0' OR what->>2 <> '0') THEN 4 ELSE state END,
    failed_at = (what->6->-1->>1)::bigint
FROM came WHERE job.id = came.id"""

CARRY_ERRORS: Final = f"""
WITH {_ARRIVED}
INSERT INTO stoker.failure (id, job, attempt, at, type, message, trace, worker)
SELECT nextval('stoker.line'), job, (error->>0)::integer, (error->>1)::bigint, error->>2, error->>3, error->>4,
    error->>5
FROM (
    SELECT job.id AS job, error.value AS error FROM came JOIN stoker.job ON job.id = came.id
    CROSS JOIN LATERAL json_array_elements(came.what->6) WITH ORDINALITY AS error (value, place)
    ORDER BY job.id, error.place
) AS errors"""

# Receipts are pruned by age; these get none.
KEEP_RECEIPT: Final = "UPDATE stoker.call SET at = :now + :kept::bigint WHERE call = :call::text AND open"


def hold_steps(only: Filter, limit: int, token: Token, worker: str) -> tuple[Sql, ...]:
    """Give the steps that hold jobs and show what is held."""
    condition, params = where(only)
    ours: dict[str, Value] = {"token": token, "limit": limit}
    return (
        Sql(HOLD.format(may=condition), {**params, **ours, "worker": plain(worker), "lease": HELD_FOR}, replan=True),
        Sql(RUN, ours),
        Sql(SHOW, {"token": token}),
    )


def held(replies: Replies) -> list[StoredJob]:
    """Read what is held."""
    return [as_it_was(stored(row)) for row in reversed(replies[-1])]


def holds(replies: Replies) -> list[Hold]:
    """Read the holds."""
    return [Hold(*row) for row in replies[0]]


def last_due(replies: Replies) -> int | None:
    """Read the latest due time."""
    due: int | None = replies[0][0][0]
    return due


def receive_steps(jobs: Sequence[StoredJob], new: Sequence[NewJob], call: CallId) -> tuple[Sql, ...]:
    """Give the steps that take jobs in: those of an enqueue, and while the call is open what they bring along."""
    *storing, close, reply = unique_steps(new, sort_out(new), call)
    brought = {place: _without_nul(msgspec.to_builtins(carried(job))) for place, job in enumerate(jobs)}
    params: dict[str, Value] = {"call": call, "carried": encode(brought)}
    carry = (Sql(CARRY, params, replan=True), Sql(CARRY_ERRORS, params, replan=True))
    return (*storing, *carry, Sql(KEEP_RECEIPT, {"call": call, "kept": HELD_FOR}), close, reply)


def _without_nul(value: object) -> object:
    """Write what PostgreSQL's texts cannot hold as escapes: other stores keep errors as they came."""
    match value:
        case str():
            return plain(value)
        case list():
            return [_without_nul(item) for item in value]
        case _:
            return value
