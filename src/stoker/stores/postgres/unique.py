# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""How unique jobs get in: the answer of each is decided and noted first; what it changes follows from the note.

The locks of all keys are taken first, in one order for everybody, and held until the transaction ends: whoever looks
whether a key is free looks in a later step, and so sees what the one before did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Final

import msgspec

from stoker.core.command import Replies, Sql
from stoker.core.job import CallId, Enqueued, JobId, NewJob, State
from stoker.core.unique import UniqueKey
from stoker.errors import BatchComplete, DuplicateJob
from stoker.stores.codes import CODES, encode
from stoker.stores.grouping import Sorted, args_json, by_place, shared_params, sharing
from stoker.stores.postgres.expiry import note_steps
from stoker.stores.postgres.intake import CLOSE, COLUMNS, FRESH_IDS, INSERT, TIMES, VALUES, gate_steps, route_steps
from stoker.stores.postgres.slots import LOCK_NUMBER, TAKEN

LOCK_KEYS: Final = f"""
SELECT pg_advisory_xact_lock(number) FROM (
    SELECT DISTINCT {LOCK_NUMBER.format(key="key")} AS number
    FROM json_array_elements_text(:keys::json) AS key ORDER BY 1
) AS numbers"""

# A key's row names who was let in last. Where keys do not count while a job is available several may be in, and none of
# them takes the key when it runs or ends, because claims and endings know nothing of keys; so whoever asks next looks
# for the first that ran, unless a holder of another kind has it.
ADOPT: Final = f"""
WITH free AS MATERIALIZED (
    SELECT asked.key FROM json_array_elements_text(:late::json) AS asked (key)
    WHERE NOT EXISTS (
        SELECT FROM stoker.slot LEFT JOIN stoker.job AS late ON late.id = slot.holder AND late.slot_states & 4 = 0
        WHERE slot.key = asked.key AND {TAKEN} AND (late.id IS NULL OR slot.until > :now)
    )
), running AS (
    SELECT job.slot AS key, job.id, lease.at, one.place
    FROM stoker.lease CROSS JOIN LATERAL unnest(lease.ids) WITH ORDINALITY AS one (id, place)
    CROSS JOIN LATERAL (
        SELECT * FROM stoker.job WHERE job.id = one.id AND job.slot = ANY (ARRAY(SELECT key FROM free)) LIMIT 1
    ) AS job
    WHERE EXISTS (SELECT FROM free) AND (job.slot_states >> 3) & 1 = 1 AND job.slot_states & 4 = 0
), ended AS (
    SELECT free.key, job.id, job.started_at AS at, 0 AS place FROM free CROSS JOIN LATERAL (
        SELECT * FROM stoker.job WHERE job.slot = free.key AND job.state >= 5 AND job.slot_states & 4 = 0
            AND (job.slot_states >> job.state) & 1 = 1
        ORDER BY job.started_at LIMIT 1
    ) AS job
)
INSERT INTO stoker.slot (key, holder)
SELECT DISTINCT ON (key) key, id FROM (SELECT * FROM running UNION ALL SELECT * FROM ended) AS holders
ORDER BY key, at, place
ON CONFLICT (key) DO UPDATE SET holder = excluded.holder, until = NULL"""

# Jobs that insist on a free key are looked at before anything is written; a conflict makes the call never fresh.
OPEN: Final = f"""
INSERT INTO stoker.call (call, at, ids, open, conflict)
SELECT :call::text, :now, ARRAY(SELECT nextval('stoker.line') FROM generate_series(1, :count::integer)), true, (
    SELECT json_build_array(asked.value->0, slot.holder::text)::text
    FROM json_array_elements(:insisting::json) WITH ORDINALITY AS asked (value, place)
    JOIN stoker.slot ON slot.key = asked.value->>1 AND {TAKEN} ORDER BY asked.place LIMIT 1
) ON CONFLICT (call) DO NOTHING"""

_ASKED: Final = f"""asked AS MATERIALIZED (
    SELECT item.key::integer AS place, item.value->>0 AS key, item.value->>1 AS args, ids.id
    FROM json_each(:jobs::json) AS item JOIN {FRESH_IDS} AS ids ON ids.place = item.key::bigint
)"""

# A holder that runs or has ended cannot be replaced or moved any more: then the newer wish takes the key over. The
# holder is locked, so that it still waits when it is changed; first its place in the line and, unlike a row of state 2,
# never that of a job that runs: its ending would have to wait for the transaction that we may be in.
DECIDE: Final = f"""
WITH {_ASKED}, held AS MATERIALIZED (
    SELECT asked.place, slot.holder FROM asked JOIN stoker.slot ON slot.key = asked.key AND {TAKEN}
), in_line AS MATERIALIZED (
    SELECT ready.id FROM stoker.job JOIN stoker.ready ON ready.queue = job.queue AND ready.route = job.route
        AND ready.name = job.name AND ready.priority = job.priority AND ready.pos = job.pos
    WHERE :policy::text <> 'keep' AND job.id = ANY (ARRAY(SELECT holder FROM held)) AND job.state = 2
    ORDER BY ready.id FOR UPDATE OF ready SKIP LOCKED
), available AS MATERIALIZED (
    SELECT id FROM stoker.job WHERE id = ANY (ARRAY(SELECT id FROM in_line)) AND state = 2
    ORDER BY id FOR UPDATE SKIP LOCKED
), later AS MATERIALIZED (
    SELECT id FROM stoker.job
    WHERE :policy::text <> 'keep' AND id = ANY (ARRAY(SELECT holder FROM held)) AND state IN (0, 1, 4)
    ORDER BY id FOR UPDATE
), waiting AS (
    SELECT id FROM available UNION ALL SELECT id FROM later
)
INSERT INTO stoker.answer (call, ordinal, job, duplicate)
SELECT :call::text, asked.place, CASE WHEN taken.is THEN held.holder ELSE asked.id END, taken.is
FROM asked LEFT JOIN held USING (place) CROSS JOIN LATERAL (
    SELECT held.holder IS NOT NULL AND (:policy::text = 'keep' OR held.holder IN (SELECT id FROM waiting)) AS is
) AS taken"""

STORE: Final = f"""
WITH {_ASKED}, fresh AS MATERIALIZED (
    SELECT answer.job AS id, asked.args, asked.key, {TIMES} FROM asked
    JOIN stoker.answer ON answer.call = :call::text AND answer.ordinal = asked.place AND NOT answer.duplicate
), lined AS (
    INSERT INTO stoker.ready (queue, route, name, priority, pos, id, run_at, size)
    SELECT :queue::text, :route::text, :name::text, :priority::integer, id, id, run_at, length(args)
    FROM fresh WHERE run_at <= now
), taken AS (
    INSERT INTO stoker.slot (key, holder, until) SELECT key, id, now + :within::bigint FROM fresh
    ON CONFLICT (key) DO UPDATE SET holder = excluded.holder, until = excluded.until
)
INSERT INTO stoker.job ({COLUMNS}, slot, slot_states) SELECT {VALUES}, fresh.key, :states::integer FROM fresh"""

_WISHES: Final = f"""{_ASKED}, wish AS MATERIALIZED (
    SELECT answer.job AS id, asked.args, asked.id AS pos, {TIMES} FROM asked
    JOIN stoker.answer ON answer.call = :call::text AND answer.ordinal = asked.place AND answer.duplicate
)"""

REPLACE: Final = f"""
WITH {_WISHES}
UPDATE stoker.job SET args = wish.args, version = :version::integer
FROM wish WHERE job.id = wish.id"""

RESCHEDULE: Final = f"""
WITH {_WISHES}, moving AS MATERIALIZED (
    SELECT job.id, job.state, job.queue, job.route, job.name, job.priority, job.pos, wish.pos AS place, wish.run_at,
        wish.now
    FROM wish JOIN stoker.job ON job.id = wish.id WHERE NOT (wish.run_at <= wish.now AND job.state IN (0, 2))
), off AS (
    DELETE FROM stoker.ready USING moving WHERE moving.state = 2 AND ready.queue = moving.queue
        AND ready.route = moving.route AND ready.name = moving.name AND ready.priority = moving.priority
        AND ready.pos = moving.pos
), moved AS (
    UPDATE stoker.job SET run_at = greatest(moving.run_at, moving.now), pos = moving.place,
        state = CASE WHEN moving.run_at <= moving.now THEN 2 WHEN job.state = 4 THEN 4 ELSE 1 END
    FROM moving WHERE job.id = moving.id RETURNING job.*
)
INSERT INTO stoker.ready (queue, route, name, priority, pos, id, run_at, size)
SELECT queue, route, name, priority, pos, id, run_at, length(args) FROM moved WHERE state = 2"""

REPLY: Final = """
SELECT array_to_string(call.ids, ','), call.conflict, (
    SELECT json_agg(json_build_array(ordinal, job::text, duplicate))::text FROM stoker.answer
    WHERE answer.call = :call::text
) FROM stoker.call WHERE call.call = :call::text"""

FORGET: Final = "DELETE FROM stoker.call WHERE call = :call::text AND conflict IS NOT NULL"

_FOLLOWING: Final = {"replace": (REPLACE,), "reschedule": (RESCHEDULE,)}


def unique_steps(jobs: Sequence[NewJob], found: Sorted, call: CallId) -> tuple[Sql, ...]:
    """Give the steps that enqueue jobs of which some are unique."""
    unique = [(place, job.unique) for place, job in enumerate(jobs) if job.unique is not None]
    insisting = [(place, one.key) for place, one in unique if one.on_conflict == "raise"]
    whole: dict[str, str | int | None] = {
        "call": call,
        "count": len(jobs),
        "insisting": encode(insisting),
    }
    steps = [*lock_steps([one for _, one in unique]), Sql(OPEN, whole), *route_steps(jobs), *store_steps(found, call)]
    steps += [Sql(CLOSE, whole), Sql(REPLY, whole)]
    if insisting:
        steps.append(Sql(FORGET, whole))
    return tuple(steps)


def lock_steps(keys: Sequence[UniqueKey]) -> list[Sql]:
    """Give the steps that lock keys until the end of the transaction, and find who has those that count late only."""
    late = sorted({one.key for one in keys if State.AVAILABLE not in one.states})
    adopting = [Sql(ADOPT, {"late": encode(late)}, replan=True)] if late else []
    return [Sql(LOCK_KEYS, {"keys": encode([one.key for one in keys])}), *adopting]


def store_steps(found: Sorted, call: CallId) -> list[Sql]:
    """Give the steps that store the jobs of an open call; those that its receipt has no id for are left out."""
    steps = [
        Sql(INSERT, shared_params(group[0], call) | {"args": args_json(by_place(places, group))})
        for places, group in sharing(found.plain)
    ]
    for layer in found.layers:
        for places, group in sharing(layer):
            steps += _group_steps(places, group, call)
    for jobs in (found.plain, *found.layers):
        steps += note_steps(jobs, call)
    return [*steps, *gate_steps(chain.from_iterable(part.items() for part in (found.plain, *found.layers)), call)]


def unique_answers(jobs: Sequence[NewJob], found: Sorted) -> Callable[[Replies], list[Enqueued]]:
    """Give the reader of such a call's reply; it raises DuplicateJob where a job insisted in vain."""

    def read(replies: Replies) -> list[Enqueued]:
        ids, conflict, noted = next(rows[0] for rows in reversed(replies) if rows)
        if conflict is not None:
            place, holder = msgspec.json.decode(conflict)
            if place < 0:
                raise BatchComplete(holder)
            raise DuplicateJob(jobs[place].name, holder)
        own = ids.split(",")
        answers = {place: Enqueued(JobId(id), duplicate) for place, id, duplicate in msgspec.json.decode(noted or "[]")}
        for place in found.plain:
            answers[place] = Enqueued(JobId(own[place]))
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
    texts = (DECIDE, STORE, *_FOLLOWING.get(unique.on_conflict, ()))
    return [Sql(text, params) for text in texts]
