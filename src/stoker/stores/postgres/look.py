# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""What one may ask of the store: find, result, count, any, workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from stoker.core.command import Replies, Sql
from stoker.core.filters import Filter
from stoker.core.job import AttemptFailure, Ending, JobId, QueueCount, StoredJob, WorkerInfo
from stoker.stores.codes import counted, encode, row_ids, state_of
from stoker.stores.postgres.match import where
from stoker.stores.postgres.wire import ERRORS, JOB_COLUMNS, STATE, numbers, stored

# Of a running job the lease knows the worker and the start.
FIND: Final = f"""
SELECT job.id::text, job.shown, job.state = 0, job.labels, job.cancelling, job.starts + (job.shown = 3)::integer,
    CASE job.shown WHEN 3 THEN lease.at ELSE job.started_at END,
    CASE job.shown WHEN 3 THEN lease.worker ELSE job.worker END,
    {ERRORS}, {", ".join(f"job.{column}" for column in JOB_COLUMNS)}
FROM (
    SELECT job.*, {STATE} AS shown FROM stoker.job AS job WHERE {{may}} ORDER BY job.id DESC LIMIT :limit
) AS job LEFT JOIN LATERAL (
    SELECT at, worker FROM stoker.lease WHERE job.shown = 3 AND job.id = ANY (lease.ids) LIMIT 1
) AS lease ON true
ORDER BY job.id DESC"""

RESULT: Final = f"""
SELECT {STATE}, job.result, failure.attempt, failure.at, failure.type, failure.message, failure.trace, failure.worker
FROM stoker.job AS job LEFT JOIN LATERAL (
    SELECT * FROM stoker.failure WHERE failure.job = job.id ORDER BY failure.id DESC LIMIT 1
) AS failure ON true
WHERE job.id = ANY (string_to_array(:ids::text, ',')::bigint[])"""

# Each state is counted where it is cheapest.
COUNT: Final = """
WITH counted AS (
    SELECT queue, name, route, 2 AS state, count(*) AS count, min(run_at) AS oldest
    FROM stoker.ready GROUP BY queue, name, route
    UNION ALL
    SELECT job.queue, job.name, job.route, 3, count(*), min(job.run_at) FROM stoker.job
    WHERE job.state = 2 AND job.id = ANY (ARRAY(SELECT unnest(ids) FROM stoker.lease))
    GROUP BY job.queue, job.name, job.route
    UNION ALL
    SELECT queue, name, route, state, count(*), min(run_at) FROM stoker.job WHERE state <> 2
    GROUP BY queue, name, route, state
)
SELECT queue, name, route, state::integer, count, oldest FROM counted
WHERE :all::boolean OR queue = ANY (ARRAY(SELECT json_array_elements_text(:queues::json)))"""

ROUTES: Final = "SELECT DISTINCT route FROM stoker.route ORDER BY route"

_QUEUES: Final = """SELECT value AS queue FROM json_array_elements_text(:queues::json) AS value
    WHERE NOT EXISTS (SELECT FROM stoker.pause WHERE kind = 'queue' AND pause.value = value.value)"""
_NAMES: Final = """SELECT value AS name FROM json_array_elements_text(:names::json) AS value
    WHERE NOT EXISTS (SELECT FROM stoker.pause WHERE kind = 'name' AND pause.value = value.value)"""

# A paused job cannot be performed; one that runs is paused by nothing.
ANY: Final = f"""
WITH queues AS MATERIALIZED ({_QUEUES}), names AS MATERIALIZED ({_NAMES}),
routes AS MATERIALIZED (SELECT json_array_elements_text(:routes::json) AS route)
SELECT EXISTS (
    SELECT FROM queues CROSS JOIN names CROSS JOIN routes CROSS JOIN LATERAL (
        SELECT FROM stoker.ready
        WHERE ready.queue = queues.queue AND ready.route = routes.route AND ready.name = names.name LIMIT 1
    ) AS first
) OR EXISTS (
    SELECT FROM queues CROSS JOIN names CROSS JOIN routes CROSS JOIN LATERAL (
        SELECT FROM stoker.job
        WHERE job.state = 0 AND job.queue = queues.queue AND job.route = routes.route AND job.name = names.name LIMIT 1
    ) AS first
) OR EXISTS (
    SELECT FROM stoker.job WHERE job.state = 2 AND job.id = ANY (ARRAY(SELECT unnest(ids) FROM stoker.lease))
        AND job.queue = ANY (ARRAY(SELECT json_array_elements_text(:queues::json)))
        AND job.name = ANY (ARRAY(SELECT json_array_elements_text(:names::json)))
        AND job.route = ANY (ARRAY(SELECT route FROM routes))
) OR EXISTS (
    SELECT FROM stoker.job WHERE job.state IN (1, 4) AND job.run_at <= :now
        AND job.queue = ANY (ARRAY(SELECT queue FROM queues)) AND job.name = ANY (ARRAY(SELECT name FROM names))
        AND job.route = ANY (ARRAY(SELECT route FROM routes))
)"""

BEAT: Final = """
INSERT INTO stoker.worker (id, until, info)
SELECT :id::text, :now + :ttl::bigint, regexp_replace(:info::text, '"beat_at":0', '"beat_at":' || :now)
ON CONFLICT (id) DO UPDATE SET until = excluded.until, info = excluded.info"""
LEAVE: Final = "DELETE FROM stoker.worker WHERE id = :id::text"
WORKERS: Final = "SELECT info FROM stoker.worker WHERE until > :now ORDER BY id"

_worker = msgspec.json.Decoder(WorkerInfo)


def find_step(only: Filter, limit: int, before: JobId | None) -> Sql:
    """Give the statement that reads a page of jobs."""
    condition, params = where(only)
    if before is not None:
        bound = row_ids((before,))
        params["before"] = bound[0] if bound else 0
        condition += " AND job.id < :before::bigint"
    return Sql(FIND.format(may=condition), {**params, "limit": limit})


def found(replies: Replies) -> list[StoredJob]:
    """Read a page of jobs."""
    return [stored(row) for row in replies[0]]


def result_step(id: JobId) -> Sql:
    """Give the statement that reads how a job ended."""
    return Sql(RESULT, {"ids": numbers((id,))})


def ending(replies: Replies) -> Ending | None:
    """Read how a job ended."""
    if not replies[0]:
        return None
    row: Sequence[Any] = replies[0][0]
    state, result, *failure = row
    return Ending(state_of(state), result, None if failure[0] is None else AttemptFailure(*failure))


def count_step(queues: Sequence[str]) -> Sql:
    """Give the statement that counts jobs."""
    return Sql(COUNT, {"all": not queues, "queues": encode(list(queues))})


def counts(replies: Replies) -> list[QueueCount]:
    """Read the counts."""
    return counted(replies[0])


def routes(replies: Replies) -> list[str]:
    """Read the routes."""
    return [route for (route,) in replies[0]]


def any_step(queues: Sequence[str], names: Sequence[str], routes: Sequence[str]) -> Sql:
    """Give the statement that looks for work."""
    return Sql(ANY, {"queues": encode(list(queues)), "names": encode(list(names)), "routes": encode(list(routes))})


def is_any(replies: Replies) -> bool:
    """Read whether there is work."""
    return bool(replies[0][0][0])


def beat_step(worker: WorkerInfo, ttl: int) -> Sql:
    """Give the statement that puts a worker on the list, or takes it off."""
    if ttl == 0:
        return Sql(LEAVE, {"id": worker.id})
    info = encode(msgspec.structs.replace(worker, beat_at=0))
    return Sql(BEAT, {"id": worker.id, "ttl": ttl, "info": info})


def workers(replies: Replies) -> list[WorkerInfo]:
    """Read the workers; one that another version wrote in a way we do not understand is left out."""
    known: list[WorkerInfo] = []
    for (info,) in replies[0]:
        try:
            known.append(_worker.decode(info))
        except msgspec.MsgspecError:
            continue
    return known
