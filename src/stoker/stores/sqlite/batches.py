# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""Batches: opened with their first members, added to, looked at, moved on by compare-and-set.

Members are stored like the jobs of any call and marked behind that, so what stores other jobs knows nothing of batches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from stoker.core.batch import BatchEvent, BatchId, BatchMove, StoredBatch
from stoker.core.command import Replies, Sql, Value
from stoker.core.job import CallId, NewJob
from stoker.stores.codes import encode
from stoker.stores.following import modest
from stoker.stores.grouping import Sorted, sort_out
from stoker.stores.sqlite import intake, unique
from stoker.stores.sqlite.wire import read_array

USE_BATCHES: Final = "UPDATE stoker_counter SET keys = keys | 2 WHERE NOT keys & 2"

MARK: Final = f"""
UPDATE stoker_job NOT INDEXED
SET batch = member.batch, node = member.node, slot_states = coalesce(slot_states, 0) | 512
FROM (
    SELECT fresh.first + CAST(said.key AS INTEGER) AS id, json_extract(said.value, '$[0]') AS batch,
        json_extract(said.value, '$[1]') AS node
    FROM {intake.FRESH} AS fresh CROSS JOIN json_each(:members) AS said LIMIT -1
) AS member
WHERE stoker_job.id = member.id"""

# Place -1 says that it is no unique key that is in the way.
REFUSE_FINISHED: Final = f"""
UPDATE stoker_call SET conflict = json_array(-1, :batch)
WHERE call = :call AND EXISTS (SELECT 1 FROM {intake.FRESH})
    AND NOT EXISTS (SELECT 1 FROM stoker_batch WHERE id = :batch AND NOT finished)"""

# A job whose unique key was taken is not there, and so not counted.
COUNT_ADDED: Final = f"""
INSERT INTO stoker_batch_event (batch, job, node, kind, count)
SELECT :batch, NULL, :node, 0, CASE :node WHEN '' THEN (
    SELECT count(*) FROM stoker_job AS job
    WHERE job.batch = :batch AND job.id >= fresh.first AND job.id < fresh.first + :count
) ELSE 1 END
FROM {intake.FRESH} AS fresh"""

OPEN: Final = f"""
INSERT INTO stoker_batch (id, version, doc, finished, call, at)
SELECT :batch, 1, :doc, 0, :call, :now FROM {intake.FRESH} WHERE true ON CONFLICT (id) DO NOTHING"""

_MAY_MOVE: Final = """id = :batch AND version = :version AND call <> :call AND (NOT :finished OR NOT EXISTS (
    SELECT 1 FROM stoker_batch_event AS event
    WHERE event.batch = :batch AND event.seq NOT IN (SELECT value FROM json_each(:seen))))"""

TELL: Final = f"""
INSERT INTO stoker_batch_event (batch, job, node, kind, count)
SELECT json_extract(value, '$[0]'), NULL, json_extract(value, '$[1]'), json_extract(value, '$[2]'), 1
FROM json_each(:tell) WHERE EXISTS (SELECT 1 FROM stoker_batch WHERE {_MAY_MOVE})"""

MOVE: Final = f"""
UPDATE stoker_batch SET version = version + 1, doc = :doc, finished = :finished, call = :call, at = :now
WHERE {_MAY_MOVE}"""

_MOVED: Final = "EXISTS (SELECT 1 FROM stoker_batch WHERE id = :batch AND call = :call)"

# Without its receipt a call is not fresh, and the steps that would store its jobs find nothing to do.
UNLESS_MOVED: Final = f"DELETE FROM stoker_call WHERE call = :call AND NOT {_MOVED}"
FORGET_SEEN: Final = f"DELETE FROM stoker_batch_event WHERE seq IN (SELECT value FROM json_each(:seen)) AND {_MOVED}"
TOLD: Final = f"SELECT {_MOVED} AS moved"

_SHOWN: Final = """SELECT CAST(json_group_array(json_array(id, version, doc,
    json(CASE WHEN finished THEN 'true' ELSE 'false' END), json((
        SELECT json_group_array(json_array(seq, CAST(job AS TEXT), node, kind, count)) FROM (
            SELECT * FROM stoker_batch_event AS event WHERE event.batch = batch.id ORDER BY seq LIMIT 10000)
    )))) AS BLOB) AS batches FROM stoker_batch AS batch"""
BY_ID: Final = f"{_SHOWN} WHERE id IN (SELECT value FROM json_each(:ids))"
UNSEEN: Final = f"""{_SHOWN} WHERE id IN (
    SELECT batch FROM stoker_batch_event GROUP BY batch ORDER BY min(seq) LIMIT :limit)"""

# Asked of all members whose attempts are about to be accepted as completed, where there are batches at all.
COMPLETED: Final = """
INSERT INTO stoker_batch_event (batch, job, node, kind, count)
SELECT job.batch, job.id, coalesce(job.node, ''), 5, 1
FROM json_each(CASE WHEN (SELECT keys & 2 FROM stoker_counter) THEN :completed ELSE '{}' END) AS claim
CROSS JOIN json_each(claim.value) AS one
CROSS JOIN stoker_job AS job NOT INDEXED ON job.id = CAST(one.key AS INTEGER)
WHERE job.state = 3 AND job.token = claim.key AND job.batch IS NOT NULL"""

PRUNE: Final = """
DELETE FROM stoker_batch WHERE id IN (
    SELECT id FROM stoker_batch AS batch WHERE finished AND at < :now - :kept_batches
        AND NOT EXISTS (SELECT 1 FROM stoker_job AS job WHERE job.batch = batch.id)
        AND NOT EXISTS (SELECT 1 FROM stoker_batch_event AS event WHERE event.batch = batch.id)
    ORDER BY at LIMIT 100)"""


def add_steps(jobs: Sequence[NewJob], call: CallId) -> tuple[Sql, ...]:
    """Give the steps that enqueue jobs of which some belong to batches that are there."""
    receipt, *storing = _storing(jobs, call, sort_out(jobs))
    added = Counter(job.batch for job in jobs if job.batch is not None)
    said: list[dict[str, Value]] = [
        {"call": call, "batch": batch, "count": len(jobs), "node": ""} for batch in sorted(added)
    ]
    refusing = [Sql(REFUSE_FINISHED, one) for one in said]
    counting = [Sql(COUNT_ADDED, one) for one in said]
    place = _close_of(storing)
    return (receipt, *refusing, *storing[:place], *counting, *storing[place:], Sql(unique.FORGET, {"call": call}))


def open_steps(id: BatchId, doc: str, jobs: Sequence[NewJob], call: CallId, within: BatchId | None) -> tuple[Sql, ...]:
    """Give the steps that store a batch with its first members."""
    receipt, *storing = _storing(jobs, call, sort_out(jobs))
    params: dict[str, Value] = {"batch": id, "doc": doc, "call": call}
    around: dict[str, Value] = {"call": call, "batch": within, "count": 1, "node": id}
    refusing = () if within is None else (Sql(REFUSE_FINISHED, around),)
    counting = () if within is None else (Sql(COUNT_ADDED, around),)
    return (
        receipt,
        Sql(USE_BATCHES, {}),
        *refusing,
        Sql(OPEN, params),
        *counting,
        *storing,
        Sql(unique.FORGET, params),
    )


def move_steps(move: BatchMove, jobs: Sequence[NewJob], call: CallId) -> tuple[Sql, ...]:
    """Give the steps that move a batch on and, if it did move, store jobs."""
    jobs = [modest(job) for job in jobs]
    params: dict[str, Value] = {
        "batch": move.id,
        "version": move.version,
        "doc": move.doc,
        "seen": encode(move.seen),
        "finished": int(move.finished),
        "tell": encode(move.tell),
        "call": call,
    }
    receipt, *storing = _storing(jobs, call, sort_out(jobs))
    order = (TELL, MOVE, UNLESS_MOVED, FORGET_SEEN)
    return (receipt, *[Sql(text, params) for text in order], *storing, Sql(TOLD, params))


def moved(replies: Replies) -> bool:
    """Read whether a batch moved on."""
    return bool(replies[-1][0][0])


def show_step(ids: Sequence[BatchId], limit: int) -> Sql:
    """Give the statement that reads batches."""
    return Sql(BY_ID, {"ids": encode(list(ids))}) if ids else Sql(UNSEEN, {"limit": limit})


def shown(replies: Replies) -> list[StoredBatch]:
    """Read batches."""
    return [
        StoredBatch(id, version, doc, finished, tuple([BatchEvent(*event) for event in events]))
        for id, version, doc, finished, events in read_array(replies[0][0][0])
    ]


def _storing(jobs: Sequence[NewJob], call: CallId, found: Sorted) -> list[Sql]:
    """Give the steps of a call, with its members marked before it is closed."""
    if not jobs:
        # A number is taken all the same: calls are told apart by their first ones.
        whole: dict[str, Value] = {"call": call, "count": 1, "insisting": "[]"}
        return [Sql(text, whole) for text in (unique.RECEIPT, intake.ADVANCE, unique.REPLY)]
    members = {place: (job.batch, job.node) for place, job in enumerate(jobs) if job.batch is not None}
    steps = list(unique.unique_steps(jobs, found, call))
    if members:
        steps.insert(_close_of(steps), Sql(MARK, {"call": call, "members": encode(members)}))
    return steps


def _close_of(steps: Sequence[Sql]) -> int:
    return next(place for place, step in enumerate(steps) if step.text == intake.ADVANCE)
