# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""How jobs get in: all or none, and each call once.

Jobs that differ in their arguments only share one statement, whose arguments travel as one JSON array: 5 µs a job
instead of 14 with `executemany`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from stoker.core.command import Replies, Sql
from stoker.core.job import CallId, Enqueued, JobId, NewJob, args_of, expires_of, gates_of, route_of
from stoker.core.limits import written
from stoker.core.routes import UNTAGGED
from stoker.stores.codes import encode
from stoker.stores.grouping import args_json, by_place, shared_params, sharing

# A call is fresh from its receipt until the counter has moved past it; so every step of a repeat finds nothing to do.
FRESH: Final = """(SELECT call.first AS first FROM stoker_call AS call
    JOIN stoker_counter AS counter ON call.first = counter.value + 1
    WHERE call.call = :call AND call.conflict IS NULL)"""

RECEIPT: Final = """
INSERT INTO stoker_call (first, call, count, at)
SELECT value + 1, :call, :count, :now FROM stoker_counter WHERE true
ON CONFLICT (call) DO NOTHING"""

ADVANCE: Final = f"""
UPDATE stoker_counter SET value = value + :count WHERE EXISTS (SELECT 1 FROM {FRESH})"""

FIRST: Final = "SELECT first + 0 AS first FROM stoker_call WHERE call = :call"

COLUMNS: Final = """id, state, queue, route, name, priority, pos, run_at, size, max_attempts, crash_limit, enqueued_at,
    keep, keep_failed, version, parent, root, origin, labels, meta, args"""

INSERT: Final = f"""
INSERT INTO stoker_job ({COLUMNS})
SELECT first + key, CASE WHEN run_at <= :now THEN 2 ELSE 1 END, :queue, :route, :name, :priority, first + key, run_at,
    length(args), :max_attempts, :crash_limit, :now, :keep, :keep_failed, :version, :parent, :root, :origin, :labels,
    :meta, args
FROM (
    SELECT fresh.first AS first, coalesce(:at, :now + :delay) AS run_at, CAST(item.key AS INTEGER) AS key,
        item.value AS args
    FROM {FRESH} AS fresh CROSS JOIN json_each(:args) AS item
)"""


ROUTES: Final = """
INSERT INTO stoker_route (route) SELECT value FROM json_each(:routes) WHERE value <> ''
ON CONFLICT (route) DO NOTHING"""


# The trigger on `pos` lets those wait that are available.
GATE: Final = f"""
UPDATE stoker_job NOT INDEXED SET gates = asked.gates, slot_states = coalesce(slot_states, 0) | 256, pos = pos
FROM (
    SELECT fresh.first + CAST(item.key AS INTEGER) AS id, item.value AS gates
    FROM {FRESH} AS fresh CROSS JOIN json_each(:gates) AS item LIMIT -1
) AS asked
WHERE stoker_job.id = asked.id"""

USE_KEYS: Final = "UPDATE stoker_counter SET keys = keys | 1 WHERE NOT keys & 1"


def gate_steps(jobs: Sequence[NewJob], call: CallId) -> tuple[Sql, ...]:
    """Give the steps that let those jobs of a call that have gates wait at them; none if none has."""
    if not any(map(gates_of, jobs)):
        return ()
    gates = {place: written(job.gates) for place, job in enumerate(jobs) if job.gates}
    return (Sql(USE_KEYS, {}), Sql(GATE, {"call": call, "gates": encode(gates)}))


def route_steps(jobs: Sequence[NewJob]) -> tuple[Sql, ...]:
    """Give the step that notes the routes of a call's jobs; none where they have no tags."""
    routes = set(map(route_of, jobs))
    return () if routes == {UNTAGGED} else (Sql(ROUTES, {"routes": encode(sorted(routes))}),)


# Behind the inserts of a call, while it is fresh; a job that was not let in has no row under its id.
NOTE_EXPIRY: Final = f"""
UPDATE stoker_job NOT INDEXED SET start_by = wish.start_by
FROM (
    SELECT fresh.first + json_extract(item.value, '$[0]') AS id,
        coalesce(json_extract(item.value, '$[1]'), :now + json_extract(item.value, '$[2]')) AS start_by
    FROM {FRESH} AS fresh CROSS JOIN json_each(:terms) AS item LIMIT -1
) AS wish
WHERE stoker_job.id = wish.id"""


def expiry_steps(jobs: Sequence[NewJob], call: CallId) -> tuple[Sql, ...]:
    """Give the step that notes when the jobs of a call expire; none where none does."""
    if not any(map(expires_of, jobs)):
        return ()
    terms = [(place, job.expires.at, job.expires.delay) for place, job in enumerate(jobs) if job.expires is not None]
    return (Sql(NOTE_EXPIRY, {"terms": encode(terms), "call": call}),)


def plain_steps(jobs: Sequence[NewJob], call: CallId) -> tuple[Sql, ...]:
    """Give the steps that enqueue jobs without unique keys."""
    whole: dict[str, str | int | None] = {"call": call, "count": len(jobs)}
    groups = sharing(dict(enumerate(jobs)))
    # An array is cheaper to take apart than an object, and its keys are the places too.
    args: list[list[str] | dict[int, str]]
    args = [list(map(args_of, jobs))] if len(groups) == 1 else [by_place(*group) for group in groups]
    inserts = [
        Sql(INSERT, shared_params(group[0], call) | {"args": args_json(these)})
        for (_, group), these in zip(groups, args, strict=True)
    ]
    return (
        Sql(RECEIPT, whole),
        *route_steps(jobs),
        *inserts,
        *gate_steps(jobs, call),
        *expiry_steps(jobs, call),
        Sql(ADVANCE, whole),
        Sql(FIRST, whole),
    )


def plain_answers(count: int) -> Callable[[Replies], list[Enqueued]]:
    """Give the reader of a plain call's reply."""

    def read(replies: Replies) -> list[Enqueued]:
        first: int = replies[-1][0][0]
        return [Enqueued(JobId(str(id))) for id in range(first, first + count)]

    return read
