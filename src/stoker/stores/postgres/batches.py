# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""Batches: opened with their first members, added to, looked at, moved on by compare-and-set.

Members are stored like the jobs of any call and marked behind that, so what stores other jobs knows nothing of batches.
Whoever adds holds the batch shared, whoever moves it on holds it alone, each from an earlier step on than it looks; and
whoever moves it on passes by where somebody's transaction adds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from stoker.core.batch import BatchEvent, BatchId, BatchMove, StoredBatch
from stoker.core.command import Replies, Sql, Value
from stoker.core.job import CallId, JobId, NewJob
from stoker.stores.codes import encode
from stoker.stores.following import modest
from stoker.stores.grouping import sort_out
from stoker.stores.postgres import intake, unique
from stoker.stores.postgres.unique import unique_steps

_events = msgspec.json.Decoder(list[tuple[int, JobId | None, str, int, int]])

LOCK_SHARED: Final = """
SELECT FROM stoker.batch WHERE id = ANY (ARRAY(SELECT json_array_elements_text(:batches::json)))
ORDER BY id FOR SHARE"""
# What could not be locked does not move in this unit, even if it is free by its next step: that one's snapshot may be
# older than what the other has added.
LOCK_OR_LEAVE: Final = """
WITH locked AS MATERIALIZED (SELECT id FROM stoker.batch WHERE id = :batch::text FOR UPDATE SKIP LOCKED)
UPDATE stoker.call SET conflict = 'busy'
WHERE call = :call::text AND open AND NOT EXISTS (SELECT FROM locked)"""

_OPEN: Final = "EXISTS (SELECT FROM stoker.call WHERE call = :call::text AND open AND conflict IS NULL)"

MARK: Final = f"""
UPDATE stoker.job SET batch = said.value->>0, node = said.value->>1
FROM json_each(:members::json) AS said JOIN {intake.FRESH_IDS} AS ids ON ids.place = said.key::bigint
WHERE job.id = ids.id"""

# Place -1 says that it is no unique key that is in the way.
REFUSE_FINISHED: Final = """
UPDATE stoker.call SET conflict = json_build_array(-1, :batch::text)::text
WHERE call = :call::text AND open AND conflict IS NULL
    AND NOT EXISTS (SELECT FROM stoker.batch WHERE id = :batch::text AND NOT finished)"""

# A job whose unique key was taken is not there, and so not counted.
COUNT_ADDED: Final = f"""
INSERT INTO stoker.batch_event (batch, job, node, kind, count)
SELECT :batch::text, NULL, '', 0, count(*) FROM stoker.job
WHERE id = ANY (ARRAY(SELECT id FROM {intake.FRESH_IDS} AS ids)) AND batch = :batch::text HAVING count(*) > 0"""
COUNT_BATCH: Final = f"""
INSERT INTO stoker.batch_event (batch, job, node, kind, count)
SELECT :within::text, NULL, :batch::text, 0, 1 WHERE {_OPEN}"""

OPEN: Final = f"""
INSERT INTO stoker.batch (id, version, doc, finished, call, at)
SELECT :batch::text, 1, :doc::text, false, :call::text, :now WHERE {_OPEN} ON CONFLICT (id) DO NOTHING"""

MOVE: Final = f"""
WITH moved AS (
    UPDATE stoker.batch SET version = version + 1, doc = :doc::text, finished = :finished::boolean, call = :call::text,
        at = :now
    WHERE id = :batch::text AND version = :version::bigint AND {_OPEN} AND (NOT :finished::boolean OR NOT EXISTS (
        SELECT FROM stoker.batch_event AS event WHERE event.batch = :batch::text
            AND event.seq <> ALL (ARRAY(SELECT json_array_elements_text(:seen::json)::bigint))))
    RETURNING id
), gone AS (
    DELETE FROM stoker.batch_event
    WHERE seq = ANY (ARRAY(SELECT json_array_elements_text(:seen::json)::bigint)) AND EXISTS (SELECT FROM moved)
)
INSERT INTO stoker.batch_event (batch, job, node, kind, count)
SELECT one.value->>0, NULL, one.value->>1, (one.value->>2)::smallint, 1
FROM json_array_elements(:tell::json) AS one (value) WHERE EXISTS (SELECT FROM moved)"""

_MOVED: Final = "EXISTS (SELECT FROM stoker.batch WHERE id = :batch::text AND call = :call::text)"
# Without its receipt a call is not open, and the steps that would store its jobs find nothing to do.
UNLESS_MOVED: Final = f"DELETE FROM stoker.call WHERE call = :call::text AND NOT {_MOVED}"
TOLD: Final = f"SELECT {_MOVED}"

_SHOWN: Final = """SELECT id, version, doc, finished, (
    SELECT json_agg(json_build_array(seq, job::text, node, kind, count) ORDER BY seq)::text FROM (
        SELECT * FROM stoker.batch_event AS event WHERE event.batch = batch.id ORDER BY seq LIMIT 10000) AS events
) FROM stoker.batch"""
BY_ID: Final = f"{_SHOWN} WHERE id = ANY (ARRAY(SELECT json_array_elements_text(:ids::json)))"
UNSEEN: Final = f"""{_SHOWN} WHERE id = ANY (ARRAY(
    SELECT event.batch FROM stoker.batch_event AS event GROUP BY event.batch ORDER BY min(seq) LIMIT :limit))"""

PRUNE: Final = """
DELETE FROM stoker.batch WHERE id = ANY (ARRAY(
    SELECT batch.id FROM stoker.batch WHERE finished AND at < :now - :kept_batches::bigint
        AND NOT EXISTS (SELECT FROM stoker.job WHERE job.batch = batch.id)
        AND NOT EXISTS (SELECT FROM stoker.batch_event AS event WHERE event.batch = batch.id)
    ORDER BY at LIMIT 100 FOR UPDATE SKIP LOCKED))"""


def add_steps(jobs: Sequence[NewJob], call: CallId) -> tuple[Sql, ...]:
    """Give the steps that enqueue jobs of which some belong to batches that are there."""
    locking, opening, *storing = _storing(jobs, call)
    batches = sorted({job.batch for job in jobs if job.batch is not None})
    refusing = [Sql(REFUSE_FINISHED, {"call": call, "batch": batch}) for batch in batches]
    counting = [Sql(COUNT_ADDED, {"call": call, "batch": batch}) for batch in batches]
    place = _close_of(storing)
    return (
        locking,
        Sql(LOCK_SHARED, {"batches": encode(batches)}),
        opening,
        *refusing,
        *storing[:place],
        *counting,
        *storing[place:],
        Sql(unique.FORGET, {"call": call}),
    )


def open_steps(id: BatchId, doc: str, jobs: Sequence[NewJob], call: CallId, within: BatchId | None) -> tuple[Sql, ...]:
    """Give the steps that store a batch with its first members."""
    locking, opening, *storing = _storing(jobs, call)
    params: dict[str, Value] = {"batch": id, "doc": doc, "call": call, "within": within}
    holding: tuple[Sql, ...] = ()
    refusing: tuple[Sql, ...] = ()
    if within is not None:
        holding = (Sql(LOCK_SHARED, {"batches": encode([within])}),)
        refusing = (Sql(REFUSE_FINISHED, {"call": call, "batch": within}), Sql(COUNT_BATCH, params))
    return (locking, *holding, opening, *refusing, Sql(OPEN, params), *storing, Sql(unique.FORGET, params))


def move_steps(move: BatchMove, jobs: Sequence[NewJob], call: CallId) -> tuple[Sql, ...]:
    """Give the steps that move a batch on and, if it did move, store jobs."""
    params: dict[str, Value] = {
        "batch": move.id,
        "version": move.version,
        "doc": move.doc,
        "seen": encode(move.seen),
        "finished": move.finished,
        "tell": encode(move.tell),
        "call": call,
    }
    locking, opening, *storing = _storing([modest(job) for job in jobs], call)
    moving = (Sql(LOCK_OR_LEAVE, params), Sql(MOVE, params), Sql(UNLESS_MOVED, params))
    return (locking, opening, *moving, *storing, Sql(TOLD, params))


def moved(replies: Replies) -> bool:
    """Read whether a batch moved on."""
    return bool(replies[-1][0][0])


def show_step(ids: Sequence[BatchId], limit: int) -> Sql:
    """Give the statement that reads batches."""
    return Sql(BY_ID, {"ids": encode(list(ids))}) if ids else Sql(UNSEEN, {"limit": limit})


def shown(replies: Replies) -> list[StoredBatch]:
    """Read batches."""
    return [
        StoredBatch(id, version, doc, finished, tuple([BatchEvent(*event) for event in _events.decode(events or "[]")]))
        for id, version, doc, finished, events in replies[-1]
    ]


def _storing(jobs: Sequence[NewJob], call: CallId) -> list[Sql]:
    """Give the steps of a call, with its members marked before it is closed."""
    members = {place: (job.batch, job.node) for place, job in enumerate(jobs) if job.batch is not None}
    steps = list(unique_steps(jobs, sort_out(jobs), call))
    if members:
        steps.insert(_close_of(steps), Sql(MARK, {"call": call, "members": encode(members)}))
    return steps


def _close_of(steps: Sequence[Sql]) -> int:
    return next(place for place, step in enumerate(steps) if step.text == intake.CLOSE)
