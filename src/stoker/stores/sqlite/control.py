# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""What operators and code ask of many jobs at once: cancel, retry, promote, requeue, delete, pause."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stoker.core.command import Replies, Sql, Value
from stoker.core.filters import Filter
from stoker.core.job import Changed, JobId, Pause
from stoker.stores.codes import encode
from stoker.stores.sqlite.gates import stir_paused
from stoker.stores.sqlite.match import where
from stoker.stores.sqlite.upkeep import ADVANCE_IF_CHANGED
from stoker.stores.sqlite.wire import CLOSE_WINDOWS, DELETE_UNKEPT, read_array

TELL: Final = """
SELECT CAST((SELECT json_group_array(CAST(id AS TEXT)) FROM (
    SELECT job.id AS id FROM stoker_job AS job WHERE {may} ORDER BY job.id LIMIT :limit + 1
)) AS BLOB) AS ids"""

# The oldest first; numbered, because each that becomes available takes a place in line.
CHANGE: Final = """
UPDATE stoker_job NOT INDEXED SET {change}
FROM (
    SELECT id, row_number() OVER () AS place
    FROM (SELECT job.id AS id FROM stoker_job AS job WHERE {may} ORDER BY job.id LIMIT :limit) LIMIT -1
) AS chosen
WHERE stoker_job.id = chosen.id"""

DELETE: Final = """
DELETE FROM stoker_job NOT INDEXED
WHERE id IN (SELECT job.id FROM stoker_job AS job WHERE {may} ORDER BY job.id LIMIT :limit)"""

_TO_AVAILABLE: Final = "pos = (SELECT value FROM stoker_counter) + chosen.place, run_at = :now"

MAY_CANCEL: Final = "(job.state IN (0, 1, 2, 4) OR (job.state = 3 AND NOT job.cancelling))"
CANCEL: Final = """cancelling = (state = 3), pos = 0, finished_at = CASE state WHEN 3 THEN finished_at ELSE :now END,
    expires_at = CASE state WHEN 3 THEN expires_at ELSE :now + keep_failed END,
    state = CASE state WHEN 3 THEN 3 ELSE 6 END"""

_USES_KEY: Final = "(job.slot IS NOT NULL AND (job.slot_states >> 2) & 1)"
MAY_RETRY: Final = f"""job.state IN (1, 4, 6, 7) AND NOT ({_USES_KEY} AND EXISTS (
    SELECT 1 FROM stoker_slot AS slot
    WHERE slot.key = job.slot AND slot.holder <> job.id AND (slot.held OR slot.until > :now)))"""
# Keys are taken before their jobs move, the oldest job first: of two dead jobs of one key the other stays where it is.
TAKE_KEYS: Final = f"""
INSERT INTO stoker_slot (key, holder, held)
SELECT slot, id, 1 FROM (
    SELECT job.slot AS slot, job.id AS id, {_USES_KEY} AS used FROM stoker_job AS job
    WHERE {{may}} ORDER BY job.id LIMIT :limit
) WHERE used ORDER BY id
ON CONFLICT (key) DO UPDATE SET holder = excluded.holder, held = 1, until = NULL
WHERE NOT stoker_slot.held AND stoker_slot.until <= :now"""
HAS_KEY: Final = f"""(NOT {_USES_KEY} OR EXISTS (
    SELECT 1 FROM stoker_slot AS slot WHERE slot.key = job.slot AND slot.holder = job.id))"""
RETRY: Final = f"""state = 2, max_attempts = max(max_attempts, failures + 1), crashes = 0, result = NULL,
    finished_at = NULL, expires_at = NULL, {_TO_AVAILABLE}"""

MAY_PROMOTE: Final = "job.state IN (1, 4)"
PROMOTE: Final = f"state = 2, {_TO_AVAILABLE}"

MAY_REQUEUE: Final = """job.state = 3 AND (:force OR NOT EXISTS (
    SELECT 1 FROM stoker_lease AS lease WHERE lease.token = job.token AND lease.until >= :now))"""
REQUEUE: Final = """token = NULL, state = CASE WHEN cancelling THEN 6 ELSE 2 END,
    pos = CASE WHEN cancelling THEN pos ELSE (SELECT value FROM stoker_counter) + chosen.place END,
    run_at = CASE WHEN cancelling THEN run_at ELSE :now END,
    finished_at = CASE WHEN cancelling THEN :now END,
    expires_at = CASE WHEN cancelling THEN :now + keep_failed END"""
DELETE_EMPTY_LEASES: Final = """
DELETE FROM stoker_lease WHERE NOT EXISTS (
    SELECT 1 FROM json_each(stoker_lease.ids) AS one
    CROSS JOIN stoker_job AS job NOT INDEXED ON job.id = one.value
    WHERE job.state = 3 AND job.token = stoker_lease.token)"""

MAY_DELETE: Final = "job.state <> 3"

PAUSE: Final = """
INSERT INTO stoker_pause (kind, value, since)
SELECT :kind, value, :now FROM json_each(:values) WHERE true ON CONFLICT (kind, value) DO NOTHING"""
RESUME: Final = "DELETE FROM stoker_pause WHERE kind = :kind AND value IN (SELECT value FROM json_each(:values))"
CHANGES: Final = "SELECT changes() AS count"
PAUSED: Final = (
    "SELECT kind || '' AS kind, value || '' AS value, since + 0 AS since FROM stoker_pause ORDER BY kind DESC"
)


def cancel_steps(only: Filter, limit: int) -> tuple[Sql, ...]:
    """End waiting jobs, flag running ones; those flagged already are not counted again."""
    return (*_change(only, limit, MAY_CANCEL, CANCEL), Sql(DELETE_UNKEPT, {}))


def retry_steps(only: Filter, limit: int) -> tuple[Sql, ...]:
    """Give ended and waiting jobs another attempt, now."""
    asking, changing = _change(only, limit, MAY_RETRY, RETRY), _change(only, limit, f"{MAY_RETRY} AND {HAS_KEY}", RETRY)
    condition, params = where(only)
    taking = Sql(TAKE_KEYS.format(may=f"{condition} AND {MAY_RETRY}"), {**params, "limit": limit})
    return (asking[0], taking, *changing, Sql(ADVANCE_IF_CHANGED, {"limit": limit}))


def promote_now_steps(only: Filter, limit: int) -> tuple[Sql, ...]:
    """Make waiting jobs available before their time."""
    steps = _change(only, limit, MAY_PROMOTE, PROMOTE)
    return (*steps, Sql(ADVANCE_IF_CHANGED, {"limit": limit}))


def requeue_steps(only: Filter, limit: int, *, force: bool) -> tuple[Sql, ...]:
    """Take running jobs from their workers, uncounted; jobs that were asked to stop end cancelled."""
    steps = _change(only, limit, MAY_REQUEUE, REQUEUE, force=int(force))
    return (*steps, Sql(ADVANCE_IF_CHANGED, {"limit": limit}), Sql(DELETE_EMPTY_LEASES, {}), Sql(DELETE_UNKEPT, {}))


def delete_steps(only: Filter, limit: int) -> tuple[Sql, ...]:
    """Delete jobs that do not run."""
    return _change(only, limit, MAY_DELETE, None)


def changed(limit: int, replies: Replies) -> Changed:
    """Read the answer of any of these."""
    ids = read_array(replies[0][0][0])
    return Changed(min(len(ids), limit), len(ids) > limit, tuple(map(JobId, ids[:limit])))


def retried(limit: int, replies: Replies) -> Changed:
    """Read the answer of a retry: who asked for one, and who got it."""
    ids = tuple(map(JobId, read_array(replies[2][0][0])[:limit]))
    return Changed(len(ids), len(read_array(replies[0][0][0])) > limit, ids)


def pause_steps(kind: str, values: Sequence[str], *, paused: bool) -> tuple[Sql, ...]:
    """Pause or resume queues or names; what is as wished already is not counted."""
    steps = (Sql(PAUSE if paused else RESUME, {"kind": kind, "values": encode(list(values))}), Sql(CHANGES, {}))
    return steps if paused else (*steps, stir_paused(kind, values))


def pause_changed(replies: Replies) -> Changed:
    """Read the answer of a pause."""
    return Changed(replies[1][0][0])


def pauses(replies: Replies) -> list[Pause]:
    """Read what is paused, queues first."""
    return [Pause(kind, value, since) for kind, value, since in replies[0]]


def _change(only: Filter, limit: int, may: str, change: str | None, **more: Value) -> tuple[Sql, ...]:
    condition, params = where(only)
    terms = f"{condition} AND {may}"
    text = DELETE if change is None else CHANGE
    asked: dict[str, Value] = {**params, "limit": limit, **more}
    return (
        Sql(TELL.format(may=terms), asked),
        Sql(CLOSE_WINDOWS, {}),
        Sql(text.format(may=terms, change=change), asked),
    )
