# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""What one may ask of the store: find, result, count, any, workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from stoker.core.command import Replies, Sql
from stoker.core.filters import Filter
from stoker.core.job import AttemptFailure, Ending, JobId, QueueCount, StoredJob, WorkerInfo
from stoker.stores.codes import counted, encode, row_ids, state_of
from stoker.stores.sqlite.match import where
from stoker.stores.sqlite.wire import JOB_ROW, read_array, read_jobs

FIND: Final = """
SELECT CAST((SELECT json_group_array(json(row)) FROM (
    SELECT {row} AS row FROM stoker_job AS job WHERE {may} ORDER BY job.id DESC LIMIT :limit
)) AS BLOB) AS jobs"""

RESULT: Final = """
SELECT CAST(json_array(CAST(job.state AS INTEGER), CAST(job.result AS TEXT), json((
    SELECT json_array(failure.attempt, failure.at, CAST(failure.type AS TEXT), CAST(failure.message AS TEXT),
        CAST(failure.trace AS TEXT), CAST(failure.worker AS TEXT))
    FROM stoker_failure AS failure WHERE failure.job = job.id ORDER BY failure.id DESC LIMIT 1
))) AS BLOB) AS ending
FROM stoker_job AS job NOT INDEXED WHERE job.id = :id"""

COUNT: Final = """
SELECT CAST((SELECT json_group_array(json_array(
    CAST(queue AS TEXT), CAST(name AS TEXT), CAST(route AS TEXT), state, count, CAST(oldest AS INTEGER)
)) FROM (
    SELECT queue, name, route, state, count(*) AS count, min(run_at) AS oldest FROM stoker_job
    WHERE (:all OR queue IN (SELECT value FROM json_each(:queues))) AND state BETWEEN 0 AND 7
    GROUP BY queue, name, route, state
)) AS BLOB) AS counts"""

ROUTES: Final = "SELECT CAST(json_group_array(route) AS BLOB) AS routes FROM stoker_route"

_OPEN_QUEUES: Final = """SELECT value FROM json_each(:queues)
    WHERE value NOT IN (SELECT value FROM stoker_pause WHERE kind = 'queue')"""
_OPEN_NAMES: Final = """SELECT value FROM json_each(:names)
    WHERE value NOT IN (SELECT value FROM stoker_pause WHERE kind = 'name')"""

# A paused job cannot be performed; one that runs is paused by nothing.
ANY: Final = f"""
SELECT EXISTS (
    SELECT 1 FROM ({_OPEN_QUEUES}) AS queue CROSS JOIN ({_OPEN_NAMES}) AS name CROSS JOIN json_each(:routes) AS route
    CROSS JOIN stoker_job AS job INDEXED BY stoker_job_ready
        ON job.queue = queue.value AND job.route = route.value AND job.name = name.value
    WHERE job.state = 2
) OR EXISTS (
    SELECT 1 FROM ({_OPEN_QUEUES}) AS queue CROSS JOIN ({_OPEN_NAMES}) AS name CROSS JOIN json_each(:routes) AS route
    CROSS JOIN stoker_waiting AS waiting
        ON waiting.line > queue.value || char(10) || route.value || char(10) || name.value || char(10)
        AND waiting.line < queue.value || char(10) || route.value || char(10) || name.value || char(11)
) OR EXISTS (
    SELECT 1 FROM stoker_lease AS lease CROSS JOIN json_each(lease.ids) AS one
    CROSS JOIN stoker_job AS job NOT INDEXED ON job.id = one.value
    WHERE job.state = 3 AND job.token = lease.token
        AND job.queue IN (SELECT value FROM json_each(:queues)) AND job.name IN (SELECT value FROM json_each(:names))
        AND job.route IN (SELECT value FROM json_each(:routes))
) OR EXISTS (
    SELECT 1 FROM stoker_job AS job INDEXED BY stoker_job_due
    WHERE job.state IN (1, 4) AND job.run_at <= :now
        AND job.queue IN ({_OPEN_QUEUES}) AND job.name IN ({_OPEN_NAMES})
        AND job.route IN (SELECT value FROM json_each(:routes))
) AS any"""

BEAT: Final = """
INSERT INTO stoker_worker (id, until, info) VALUES (:id, :now + :ttl, json_set(:info, '$.beat_at', :now))
ON CONFLICT (id) DO UPDATE SET until = excluded.until, info = excluded.info"""
LEAVE: Final = "DELETE FROM stoker_worker WHERE id = :id"
WORKERS: Final = "SELECT CAST(info AS BLOB) AS info FROM stoker_worker WHERE until > :now ORDER BY id"

_worker = msgspec.json.Decoder(WorkerInfo)


def find_step(only: Filter, limit: int, before: JobId | None) -> Sql:
    """Give the statement that reads a page of jobs."""
    condition, params = where(only)
    if before is not None:
        bound = row_ids((before,))
        params["before_id"] = bound[0] if bound else 0
        condition += " AND job.id < :before_id"
    return Sql(FIND.format(row=JOB_ROW, may=condition), {**params, "limit": limit})


def found(replies: Replies) -> list[StoredJob]:
    """Read a page of jobs."""
    return read_jobs(replies[0][0][0])


def result_step(id: JobId) -> Sql:
    """Give the statement that reads how a job ended."""
    ids = row_ids((id,))
    return Sql(RESULT, {"id": ids[0] if ids else None})


def ending(replies: Replies) -> Ending | None:
    """Read how a job ended."""
    if not replies[0]:
        return None
    state, result, failure = read_array(replies[0][0][0])
    return Ending(state_of(state), result, None if failure is None else AttemptFailure(*failure))


def count_step(queues: Sequence[str]) -> Sql:
    """Give the statement that counts jobs."""
    return Sql(COUNT, {"all": int(not queues), "queues": encode(list(queues))})


def counts(replies: Replies) -> list[QueueCount]:
    """Read the counts."""
    return counted(read_array(replies[0][0][0]))


def routes(replies: Replies) -> list[str]:
    """Read the routes."""
    return read_array(replies[0][0][0])


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
    return Sql(BEAT, {"id": worker.id, "ttl": ttl, "info": encode(worker)})


def workers(replies: Replies) -> list[WorkerInfo]:
    """Read the workers; one that another version wrote in a way we do not understand is left out."""
    known: list[WorkerInfo] = []
    for (info,) in replies[0]:
        try:
            known.append(_worker.decode(info))
        except msgspec.MsgspecError:
            continue
    return known
