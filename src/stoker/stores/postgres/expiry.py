# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""Jobs that must start in time: how the instant gets in, and how those end that did not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from stoker.core import expiry
from stoker.core.command import Sql
from stoker.core.job import CallId, NewJob
from stoker.stores.codes import encode
from stoker.stores.postgres.control import OFF, TOLD
from stoker.stores.postgres.intake import FRESH_IDS
from stoker.stores.postgres.wire import STATE

# Behind the inserts of a call, while it is open; a job that was not let in has no row under its id.
NOTE: Final = f"""
WITH wish AS MATERIALIZED (
    SELECT ids.id, coalesce((item.value->>1)::bigint, :now + (item.value->>2)::bigint) AS start_by
    FROM json_array_elements(:terms::json) AS item JOIN {FRESH_IDS} AS ids ON ids.place = (item.value->>0)::bigint
)
UPDATE stoker.job SET start_by = wish.start_by FROM wish WHERE job.id = wish.id"""

EXPIRE: Final = f"""
WITH matching AS MATERIALIZED (
    SELECT job.* FROM stoker.job AS job WHERE job.start_by <= :now AND job.start_by IS NOT NULL
        AND job.state IN (0, 1, 2, 4) AND job.failures = 0 AND job.crashes = 0 AND job.snoozes = 0 AND {STATE} <> 3
    ORDER BY job.start_by LIMIT :limit + 1 FOR UPDATE SKIP LOCKED
), chosen AS MATERIALIZED (SELECT * FROM matching ORDER BY start_by, id LIMIT :limit), {OFF}, ending AS MATERIALIZED (
    SELECT * FROM chosen WHERE state <> 2 OR EXISTS (SELECT FROM off WHERE off.id = chosen.id)
), gone AS (
    DELETE FROM stoker.job WHERE id = ANY (ARRAY(SELECT id FROM ending WHERE keep_failed = 0))
), recorded AS (
    INSERT INTO stoker.failure (id, job, attempt, at, type, message, trace, worker)
    SELECT nextval('stoker.line'), id, 1, :now, :type::text, :message::text, '', '' FROM ending
    WHERE keep_failed IS NULL OR keep_failed > 0
), ended AS (
    UPDATE stoker.job SET state = 6, finished_at = :now, expires_at = :now + keep_failed, failed_at = :now
    WHERE id = ANY (ARRAY(SELECT id FROM ending WHERE keep_failed IS NULL OR keep_failed > 0))
)
{TOLD.format(changed="ending")}"""


def note_steps(jobs: Mapping[int, NewJob], call: CallId) -> tuple[Sql, ...]:
    """Give the step that notes when the jobs of a call expire, by their places; none where none does."""
    terms = [(place, job.expires.at, job.expires.delay) for place, job in jobs.items() if job.expires is not None]
    return (Sql(NOTE, {"terms": encode(terms), "call": call}),) if terms else ()


def expire_step(limit: int) -> Sql:
    """Give the statement that cancels what was not started in time."""
    return Sql(EXPIRE, {"limit": limit, "type": expiry.TYPE, "message": expiry.MESSAGE}, replan=True)
