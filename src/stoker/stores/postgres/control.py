# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""What operators and code ask of many jobs at once: cancel, retry, promote, requeue, delete, pause.

Each is one statement: it locks the oldest jobs that match, skips those that a transaction holds, and moves them. A job
of state 2 is available exactly if it can be taken off the line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stoker.core.command import Replies, Sql, Value
from stoker.core.filters import Filter
from stoker.core.job import Changed, Pause
from stoker.stores.codes import encode
from stoker.stores.postgres.gates import paused_gates
from stoker.stores.postgres.match import where
from stoker.stores.postgres.slots import CLOSE_WINDOWS, LOCK_NUMBER, TAKEN
from stoker.stores.postgres.wire import LINED, STATE, read_ids

_MATCHING: Final = """matching AS MATERIALIZED (
    SELECT job.* FROM stoker.job AS job WHERE {may} ORDER BY job.id LIMIT :limit + 1 FOR UPDATE SKIP LOCKED
), chosen AS MATERIALIZED (SELECT * FROM matching ORDER BY id LIMIT :limit)"""

OFF: Final = """off AS (
    DELETE FROM stoker.ready USING chosen WHERE chosen.state = 2 AND ready.queue = chosen.queue
        AND ready.route = chosen.route AND ready.name = chosen.name AND ready.priority = chosen.priority
        AND ready.pos = chosen.pos
    RETURNING ready.id
)"""

TOLD: Final = """
SELECT (SELECT string_agg(id::text, ',' ORDER BY id) FROM {changed}), (SELECT count(*) FROM matching) > :limit"""

CANCEL: Final = f"""
WITH {_MATCHING}, {OFF}, flagged AS (
    UPDATE stoker.job SET cancelling = true WHERE id = ANY (ARRAY(
        SELECT id FROM chosen WHERE state = 2 AND NOT EXISTS (SELECT FROM off WHERE off.id = chosen.id)))
), ending AS MATERIALIZED (
    SELECT * FROM chosen WHERE state <> 2 OR EXISTS (SELECT FROM off WHERE off.id = chosen.id)
), gone AS (
    DELETE FROM stoker.job WHERE id = ANY (ARRAY(SELECT id FROM ending WHERE keep_failed = 0))
), ended AS (
    UPDATE stoker.job SET state = 6, finished_at = :now, expires_at = :now + keep_failed
    WHERE id = ANY (ARRAY(SELECT id FROM ending WHERE keep_failed IS NULL OR keep_failed > 0))
)
{TOLD.format(changed="chosen")}"""
MAY_CANCEL: Final = "job.state IN (0, 1, 2, 4) AND NOT job.cancelling"

_USES_KEY: Final = "(job.slot IS NOT NULL AND (job.slot_states >> 2) & 1 = 1)"
# A step of its own: whoever looks whether a key is free must see what those did who had its lock before.
TRY_KEYS: Final = f"""
SELECT pg_try_advisory_xact_lock({LOCK_NUMBER.format(key="job.slot")}) FROM (
    SELECT job.slot FROM stoker.job AS job WHERE {{may}} AND {_USES_KEY} ORDER BY job.id LIMIT :limit + 1
) AS job"""
# Of two dead jobs of one key the older gets it and the other stays where it is; so does one whose key somebody's open
# transaction asks for.
RETRY: Final = f"""
WITH locked_keys AS MATERIALIZED (
    SELECT classid::bigint << 32 | objid::bigint AS number FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND pid = pg_backend_pid()
), matching AS MATERIALIZED (
    SELECT job.* FROM stoker.job AS job WHERE {{may}} AND (NOT {_USES_KEY} OR (
        NOT EXISTS (SELECT FROM stoker.slot WHERE slot.key = job.slot AND slot.holder <> job.id AND {TAKEN})
        AND {LOCK_NUMBER.format(key="job.slot")} IN (SELECT number FROM locked_keys)
    )) ORDER BY job.id LIMIT :limit + 1 FOR UPDATE SKIP LOCKED
), first AS MATERIALIZED (SELECT * FROM matching ORDER BY id LIMIT :limit), chosen AS MATERIALIZED (
    SELECT id, nextval('stoker.line') AS pos FROM first AS job WHERE NOT {_USES_KEY} OR NOT EXISTS (
        SELECT FROM first AS other WHERE other.slot = job.slot AND other.id < job.id
            AND (other.slot_states >> 2) & 1 = 1)
), moved AS (
    UPDATE stoker.job SET state = 2, max_attempts = greatest(max_attempts, failures + 1), crashes = 0, result = NULL,
        finished_at = NULL, expires_at = NULL, pos = chosen.pos, run_at = :now
    FROM chosen WHERE job.id = chosen.id RETURNING job.*
), {LINED.format(moved="moved")}
{TOLD.format(changed="moved")}"""
MAY_RETRY: Final = "job.state IN (1, 4, 6, 7)"

PROMOTE: Final = f"""
WITH {_MATCHING}, placed AS MATERIALIZED (SELECT id, nextval('stoker.line') AS pos FROM chosen), moved AS (
    UPDATE stoker.job SET state = 2, pos = placed.pos, run_at = :now
    FROM placed WHERE job.id = placed.id RETURNING job.*
), {LINED.format(moved="moved")}
{TOLD.format(changed="moved")}"""
MAY_PROMOTE: Final = "job.state IN (1, 4)"

# The lease first, as everybody does who takes a job out of `running`.
REQUEUE: Final = f"""
WITH matching AS MATERIALIZED (
    SELECT job.id FROM stoker.job AS job
    WHERE {{may}} AND job.state = 2 AND {STATE} = 3 AND (:force::boolean OR EXISTS (
        SELECT FROM stoker.lease WHERE job.id = ANY (lease.ids) AND lease.until < :now))
    ORDER BY job.id LIMIT :limit + 1
), leases AS MATERIALIZED (
    SELECT token, worker, at, ids FROM stoker.lease
    WHERE ids && ARRAY(SELECT id FROM matching) AND (:force::boolean OR until < :now) ORDER BY token FOR UPDATE
), held AS MATERIALIZED (
    SELECT leases.token, leases.worker, leases.at, one.id FROM leases CROSS JOIN LATERAL unnest(leases.ids) AS one (id)
    WHERE one.id = ANY (ARRAY(SELECT id FROM matching ORDER BY id LIMIT :limit))
), locked AS MATERIALIZED (
    SELECT id, cancelling, keep_failed FROM stoker.job
    WHERE state = 2 AND id = ANY (ARRAY(SELECT id FROM held)) ORDER BY id FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM stoker.job WHERE id = ANY (ARRAY(SELECT id FROM locked WHERE cancelling AND keep_failed = 0))
), placed AS MATERIALIZED (
    SELECT locked.*, held.worker, held.at, CASE WHEN NOT cancelling THEN nextval('stoker.line') END AS pos
    FROM locked JOIN held USING (id) WHERE NOT cancelling OR keep_failed IS NULL OR keep_failed > 0
), moved AS (
    UPDATE stoker.job SET state = CASE WHEN placed.cancelling THEN 6 ELSE 2 END, token = NULL, worker = placed.worker,
        starts = starts + 1, started_at = placed.at, cancelling = false, begun = NULL,
        pos = coalesce(placed.pos, job.pos), run_at = CASE WHEN placed.cancelling THEN run_at ELSE :now END,
        finished_at = CASE WHEN placed.cancelling THEN :now END,
        expires_at = CASE WHEN placed.cancelling THEN :now + job.keep_failed END
    FROM placed WHERE job.id = placed.id RETURNING job.*
), {LINED.format(moved="moved")}, left_over AS MATERIALIZED (
    SELECT leases.token, (
        SELECT array_agg(one.id ORDER BY one.place) FROM unnest(leases.ids) WITH ORDINALITY AS one (id, place)
        WHERE NOT EXISTS (SELECT FROM locked WHERE locked.id = one.id)
    ) AS ids FROM leases
), emptied AS (
    DELETE FROM stoker.lease WHERE token = ANY (ARRAY(SELECT token FROM left_over WHERE ids IS NULL))
), shortened AS (
    UPDATE stoker.lease SET ids = left_over.ids FROM left_over
    WHERE lease.token = left_over.token AND left_over.ids IS NOT NULL
)
{TOLD.format(changed="locked")}"""

DELETE: Final = f"""
WITH {_MATCHING}, {OFF}, gone AS (
    DELETE FROM stoker.job WHERE id = ANY (ARRAY(SELECT id FROM chosen WHERE state <> 2 UNION ALL SELECT id FROM off))
    RETURNING id
)
{TOLD.format(changed="gone")}"""
MAY_DELETE: Final = f"{STATE} <> 3"

PAUSE: Final = """
WITH paused AS (
    INSERT INTO stoker.pause (kind, value, since)
    SELECT DISTINCT :kind::text, json_array_elements_text(:values::json), :now
    ON CONFLICT (kind, value) DO NOTHING RETURNING 1
) SELECT count(*) FROM paused"""
RESUME: Final = """
WITH stirred AS (
    INSERT INTO stoker.stirred (text) SELECT key FROM json_array_elements_text(:gates::json) AS key
    WHERE EXISTS (SELECT FROM stoker.parked WHERE parked.key = key)
), resumed AS (
    DELETE FROM stoker.pause
    WHERE kind = :kind::text AND value = ANY (ARRAY(SELECT json_array_elements_text(:values::json))) RETURNING 1
) SELECT count(*) FROM resumed"""
PAUSED: Final = "SELECT kind, value, since FROM stoker.pause ORDER BY kind DESC, value"


def cancel_steps(only: Filter, limit: int) -> tuple[Sql, ...]:
    """End waiting jobs, flag running ones; those flagged already are not counted again."""
    return (_change(CANCEL, only, limit, MAY_CANCEL),)


def retry_steps(only: Filter, limit: int) -> tuple[Sql, ...]:
    """Give ended and waiting jobs another attempt, now."""
    keys, retry = (_change(text, only, limit, MAY_RETRY) for text in (TRY_KEYS, RETRY))
    return (Sql(CLOSE_WINDOWS, {}), keys, retry)


def promote_now_steps(only: Filter, limit: int) -> tuple[Sql, ...]:
    """Make waiting jobs available before their time."""
    return (Sql(CLOSE_WINDOWS, {}), _change(PROMOTE, only, limit, MAY_PROMOTE))


def requeue_steps(only: Filter, limit: int, *, force: bool) -> tuple[Sql, ...]:
    """Take running jobs from their workers, uncounted; jobs that were asked to stop end cancelled."""
    condition, params = where(only)
    return (
        Sql(CLOSE_WINDOWS, {}),
        Sql(REQUEUE.format(may=condition), {**params, "limit": limit, "force": force}, replan=True),
    )


def delete_steps(only: Filter, limit: int) -> tuple[Sql, ...]:
    """Delete jobs that do not run."""
    return (_change(DELETE, only, limit, MAY_DELETE),)


def changed(replies: Replies) -> Changed:
    """Read the answer of any of these."""
    ((ids, more),) = replies[-1]
    found = tuple(read_ids(ids))
    return Changed(len(found), more, found)


def pause_step(kind: str, values: Sequence[str], *, paused: bool) -> Sql:
    """Pause or resume queues or names; what is as wished already is not counted."""
    params: dict[str, Value] = {"kind": kind, "values": encode(list(values))}
    return Sql(PAUSE, params) if paused else Sql(RESUME, params | {"gates": paused_gates(kind, values)})


def pause_changed(replies: Replies) -> Changed:
    """Read the answer of a pause."""
    return Changed(replies[-1][0][0])


def pauses(replies: Replies) -> list[Pause]:
    """Read what is paused, queues first."""
    return [Pause(kind, value, since) for kind, value, since in replies[0]]


def _change(text: str, only: Filter, limit: int, may: str) -> Sql:
    condition, params = where(only)
    return Sql(text.format(may=f"{condition} AND {may}"), {**params, "limit": limit}, replan=True)
