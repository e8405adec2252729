"""How a job completes inside its handler's own transaction.

One statement on the job's row alone: a heartbeat must not wait for the transaction, so the lease is only read, and the
job stays in it until the worker settles. Compare and set: whoever takes a running job back gives it another place in
line or another state, so if that happened since the lease was read, the row no longer is what was found.
"""

from __future__ import annotations

from typing import Final

from stoker.core.command import Replies, Sql
from stoker.core.settlement import Settled, Settlement
from stoker.stores.codes import json_text
from stoker.stores.postgres.wire import STATE

_STILL: Final = "job.id = held.id AND job.pos = held.pos AND job.state = 2"

# A unique job stays until it is pruned, however short it is kept: to delete it would lock its key, and the ending of
# another job that had the key would wait for the transaction.
COMPLETE: Final = f"""
WITH held AS MATERIALIZED (
    SELECT job.id, job.pos, lease.worker, lease.at, coalesce(:keep::bigint = 0, false) AND job.slot IS NULL AS goes
    FROM stoker.lease JOIN stoker.job ON job.id = ANY (lease.ids)
    WHERE lease.token = :token::text AND job.id = :id::bigint AND job.state = 2
), gone AS (
    DELETE FROM stoker.job USING held WHERE held.goes AND {_STILL} RETURNING job.id
), ended AS (
    UPDATE stoker.job SET state = 5, token = :token::text, worker = held.worker, starts = starts + 1,
        cancelling = false, begun = NULL, finished_at = :now, expires_at = :now + :keep::bigint, keep = :keep::bigint,
        result = :result::text,
        started_at = CASE :duration::bigint WHEN 0 THEN held.at ELSE :now - :duration::bigint END
    FROM held WHERE NOT held.goes AND {_STILL} RETURNING job.id
)
SELECT CASE WHEN EXISTS (SELECT FROM gone UNION ALL SELECT FROM ended) THEN 'accepted' ELSE coalesce((
    SELECT CASE WHEN job.token = :token::text AND {STATE} <> 3 THEN 'repeated' ELSE 'lost' END
    FROM stoker.job WHERE job.id = :id::bigint
), 'gone') END"""  # noqa: S608 - put together from constants


def complete_step(ending: Settlement) -> Sql:
    """Give the statement that completes a job."""
    result = None if ending.result is None else json_text(ending.result)
    params = {"id": ending.id, "token": ending.token, "keep": ending.keep, "duration": ending.duration}
    return Sql(COMPLETE, {**params, "result": result})


def completed(place: int, replies: Replies) -> Settled:
    """Read the answer, which is that of the step at a place, counted from the end."""
    return Settled(replies[place][0][0])
