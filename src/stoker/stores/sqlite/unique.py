# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""How unique jobs get in: the answer of each is decided and noted first; what it changes follows from the note."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from stoker.core.command import Replies, Sql
from stoker.core.job import CallId, Enqueued, JobId, NewJob, State
from stoker.errors import BatchComplete, DuplicateJob
from stoker.stores.codes import CODES, encode
from stoker.stores.grouping import Sorted, args_json, by_place, shared_params, sharing
from stoker.stores.sqlite.intake import ADVANCE, COLUMNS, FRESH, INSERT, USE_KEYS, expiry_steps, gate_steps, route_steps
from stoker.stores.sqlite.wire import read_array

# Jobs that insist on a free key are looked at before anything is written; a conflict makes the call never fresh.
RECEIPT: Final = """
INSERT INTO stoker_call (first, call, count, at, conflict)
SELECT value + 1, :call, :count, :now, (
    SELECT json_array(json_extract(asked.value, '$[0]'), CAST(slot.holder AS TEXT))
    FROM json_each(:insisting) AS asked
    CROSS JOIN stoker_slot AS slot ON slot.key = json_extract(asked.value, '$[1]') AND (slot.held OR slot.until > :now)
    ORDER BY asked.key LIMIT 1
)
FROM stoker_counter WHERE true
ON CONFLICT (call) DO NOTHING"""

# A holder that runs or has ended cannot be replaced or moved any more: then the newer wish takes the key over.
DECIDE: Final = f"""
INSERT INTO stoker_answer (call, ordinal, job, duplicate)
SELECT :call, place, CASE WHEN taken THEN holder ELSE first + place END, taken
FROM (
    SELECT fresh.first AS first, asked.place AS place, slot.holder AS holder,
        slot.key IS NOT NULL AND (:policy = 'keep' OR job.id IS NOT NULL) AS taken
    FROM {FRESH} AS fresh
    CROSS JOIN (SELECT CAST(key AS INTEGER) AS place, json_extract(value, '$[0]') AS key FROM json_each(:jobs)) AS asked
    LEFT JOIN stoker_slot AS slot ON slot.key = asked.key AND (slot.held OR slot.until > :now)
    LEFT JOIN stoker_job AS job NOT INDEXED ON job.id = slot.holder AND job.state IN (0, 1, 2, 4)
)"""

_ANSWERED: Final = f"""{FRESH} AS fresh
    CROSS JOIN (SELECT CAST(key AS INTEGER) AS place, json_extract(value, '$[0]') AS key,
        json_extract(value, '$[1]') AS args FROM json_each(:jobs)) AS asked
    CROSS JOIN stoker_answer AS answer ON answer.call = :call AND answer.ordinal = asked.place"""

STORE: Final = f"""
INSERT INTO stoker_job ({COLUMNS}, slot, slot_states)
SELECT id, CASE WHEN run_at <= :now THEN 2 ELSE 1 END, :queue, :route, :name, :priority, id, run_at, length(args),
    :max_attempts, :crash_limit, :now, :keep, :keep_failed, :version, :parent, :root, :origin, :labels, :meta, args,
    key, :states
FROM (
    SELECT answer.job AS id, coalesce(:at, :now + :delay) AS run_at, asked.key AS key, asked.args AS args
    FROM {_ANSWERED} AND NOT answer.duplicate
)"""

TAKE: Final = f"""
INSERT INTO stoker_slot (key, holder, held, until)
SELECT job.slot, job.id, (job.slot_states >> job.state) & 1, :now + :within
FROM {_ANSWERED} AND NOT answer.duplicate
    CROSS JOIN stoker_job AS job NOT INDEXED ON job.id = answer.job
WHERE (job.slot_states >> job.state) & 1 OR :within IS NOT NULL
ON CONFLICT (key) DO UPDATE SET holder = excluded.holder, held = excluded.held, until = excluded.until"""

REPLACE: Final = f"""
UPDATE stoker_job NOT INDEXED SET args = wish.args, size = length(wish.args), version = :version
FROM (SELECT answer.job AS id, asked.args AS args FROM {_ANSWERED} AND answer.duplicate LIMIT -1) AS wish
WHERE stoker_job.id = wish.id"""

RESCHEDULE: Final = f"""
UPDATE stoker_job NOT INDEXED SET run_at = max(wish.run_at, :now), pos = wish.pos,
    state = CASE WHEN wish.run_at <= :now THEN 2 WHEN state = 4 THEN 4 ELSE 1 END
FROM (
    SELECT answer.job AS id, fresh.first + asked.place AS pos, coalesce(:at, :now + :delay) AS run_at
    FROM {_ANSWERED} AND answer.duplicate LIMIT -1
) AS wish
WHERE stoker_job.id = wish.id AND NOT (wish.run_at <= :now AND state IN (0, 2))"""

REPLY: Final = """
SELECT first + 0 AS first, CAST(conflict AS BLOB) AS conflict, CAST((
    SELECT json_group_array(json_array(ordinal, CAST(job AS TEXT), duplicate)) FROM stoker_answer WHERE call = :call
) AS BLOB) AS answers
FROM stoker_call WHERE call = :call"""

FORGET: Final = "DELETE FROM stoker_call WHERE call = :call AND conflict IS NOT NULL"

_FOLLOWING: Final = {"replace": (REPLACE,), "reschedule": (RESCHEDULE,)}


def unique_steps(jobs: Sequence[NewJob], found: Sorted, call: CallId) -> tuple[Sql, ...]:
    """Give the steps that enqueue jobs of which some are unique."""
    insisting = [
        (place, job.unique.key)
        for place, job in enumerate(jobs)
        if job.unique is not None and job.unique.on_conflict == "raise"
    ]
    whole: dict[str, str | int | None] = {"call": call, "count": len(jobs), "insisting": encode(insisting)}
    steps = [Sql(RECEIPT, whole), *([Sql(USE_KEYS, {})] if found.layers else []), *route_steps(jobs)]
    steps += [
        Sql(INSERT, shared_params(group[0], call) | {"args": args_json(by_place(places, group))})
        for places, group in sharing(found.plain)
    ]
    for layer in found.layers:
        for places, group in sharing(layer):
            steps += _group_steps(places, group, call)
    steps += [*expiry_steps(jobs, call), *gate_steps(jobs, call), Sql(ADVANCE, whole), Sql(REPLY, whole)]
    if insisting:
        steps.append(Sql(FORGET, whole))
    return tuple(steps)


def unique_answers(jobs: Sequence[NewJob], found: Sorted) -> Callable[[Replies], list[Enqueued]]:
    """Give the reader of such a call's reply; it raises DuplicateJob where a job insisted in vain."""

    def read(replies: Replies) -> list[Enqueued]:
        first, conflict, noted = next(rows[0] for rows in reversed(replies) if rows)
        if conflict is not None:
            place, holder = read_array(conflict)
            if place < 0:
                raise BatchComplete(holder)
            raise DuplicateJob(jobs[place].name, holder)
        answers = {place: Enqueued(JobId(id), bool(duplicate)) for place, id, duplicate in read_array(noted)}
        for place in found.plain:
            answers[place] = Enqueued(JobId(str(first + place)))
        for place, earlier in found.folded.items():
            answers[place] = Enqueued(answers[earlier].id, True)
        return [answers[place] for place in range(len(jobs))]

    return read


def _group_steps(places: list[int], group: list[NewJob], call: CallId) -> list[Sql]:
    unique = group[0].unique
    if unique is None:
        return []
    asked = {place: (job.unique and job.unique.key, job.args) for place, job in zip(places, group, strict=True)}
    params = shared_params(group[0], call) | {
        "jobs": encode(asked),
        "policy": unique.on_conflict,
        "states": sum(1 << CODES[State(state)] for state in set(unique.states)),
        "within": unique.within,
    }
    texts = (DECIDE, STORE, TAKE, *_FOLLOWING.get(unique.on_conflict, ()))
    return [Sql(text, params) for text in texts]
