# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""How jobs get in: all or none, and each call once.

The receipt of a call takes the ids from the sequence; what it finds there already was stored by the same call before.
Jobs that differ in their arguments only share one statement, whose arguments travel as one JSON array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from stoker.core.command import Replies, Sql
from stoker.core.job import CallId, Enqueued, JobId, NewJob, args_of, gates_of, route_of
from stoker.core.limits import written
from stoker.core.routes import UNTAGGED
from stoker.stores.codes import encode
from stoker.stores.grouping import args_json, by_place, checked_args, shared_params, sharing

_IDS: Final = "ARRAY(SELECT nextval('stoker.line') FROM generate_series(1, :count::integer))"

COLUMNS: Final = """id, state, queue, route, name, priority, pos, run_at, max_attempts, crash_limit, enqueued_at, keep,
    keep_failed, version, parent, root, origin, labels, meta, args"""

VALUES: Final = """fresh.id, CASE WHEN fresh.run_at <= fresh.now THEN 2 ELSE 1 END, :queue::text, :route::text,
    :name::text, :priority::integer, fresh.id, fresh.run_at, :max_attempts::integer, :crash_limit::integer, fresh.now,
    :keep::bigint, :keep_failed::bigint, :version::integer, :parent::text, :root::text, :origin::text, :labels::text,
    :meta::text, fresh.args"""

LINE: Final = """INSERT INTO stoker.ready (queue, route, name, priority, pos, id, run_at, size)
    SELECT :queue::text, :route::text, :name::text, :priority::integer, id, id, run_at, length(args)
    FROM fresh WHERE run_at <= now"""

TIMES: Final = "coalesce(:at::bigint, :now + :delay::bigint) AS run_at, :now AS now"

# The row that an insert gives back has no xmax; one that was there before does, because it was locked.
ENQUEUE: Final = f"""
WITH receipt AS (
    INSERT INTO stoker.call AS call (call, at, ids) SELECT :call::text, :now, {_IDS}
    ON CONFLICT (call) DO UPDATE SET at = call.at RETURNING ids, xmax = 0 AS fresh
), fresh AS MATERIALIZED (
    SELECT item.id, item.args, {TIMES} FROM receipt
    CROSS JOIN LATERAL ROWS FROM (unnest(receipt.ids), json_array_elements_text(:args::json)) AS item (id, args)
    WHERE receipt.fresh
), lined AS (
    {LINE}
), stored AS (
    INSERT INTO stoker.job ({COLUMNS}) SELECT {VALUES} FROM fresh
)
SELECT array_to_string(ids, ',') FROM receipt"""

# A call of one job, which most are: nothing to unpack.
ENQUEUE_ONE: Final = f"""
WITH receipt AS (
    INSERT INTO stoker.call AS call (call, at, ids) VALUES (:call::text, :now, ARRAY[nextval('stoker.line')])
    ON CONFLICT (call) DO UPDATE SET at = call.at RETURNING ids[1] AS id, at AS now, xmax = 0 AS fresh
), fresh AS MATERIALIZED (
    SELECT id, :args::text AS args, coalesce(:at::bigint, now + :delay::bigint) AS run_at, now FROM receipt WHERE fresh
), lined AS (
    {LINE}
), stored AS (
    INSERT INTO stoker.job ({COLUMNS}) SELECT {VALUES} FROM fresh
)
SELECT id::text FROM receipt"""

# A call is open from its receipt to the end of its own unit; so every step of a repeat finds nothing to do.
OPEN: Final = f"""
INSERT INTO stoker.call (call, at, ids, open) SELECT :call::text, :now, {_IDS}, true
ON CONFLICT (call) DO NOTHING"""

FRESH_IDS: Final = """(SELECT item.id, item.place - 1 AS place
    FROM stoker.call CROSS JOIN LATERAL unnest(call.ids) WITH ORDINALITY AS item (id, place)
    WHERE call.call = :call::text AND call.open AND call.conflict IS NULL AND item.id IS NOT NULL)"""

INSERT: Final = f"""
WITH fresh AS MATERIALIZED (
    SELECT ids.id, item.value AS args, {TIMES}
    FROM json_each_text(:args::json) AS item JOIN {FRESH_IDS} AS ids ON ids.place = item.key::bigint
), lined AS (
    {LINE}
)
INSERT INTO stoker.job ({COLUMNS}) SELECT {VALUES} FROM fresh"""

CLOSE: Final = "UPDATE stoker.call SET open = false WHERE call = :call::text AND open"

IDS: Final = "SELECT array_to_string(ids, ',') FROM stoker.call WHERE call = :call::text"


# No unique index decides here, so nobody waits for a transaction that notes the same route: then it stands there twice.
ROUTES: Final = """
INSERT INTO stoker.route (route) SELECT value FROM json_array_elements_text(:routes::json)
WHERE value <> '' AND NOT EXISTS (SELECT FROM stoker.route WHERE route.route = value)"""


# What the step before has put in line is taken out again, before anybody else can see it.
GATE: Final = f"""
WITH asked AS MATERIALIZED (
    SELECT ids.id, item.value AS gates
    FROM json_each_text(:gates::json) AS item JOIN {FRESH_IDS} AS ids ON ids.place = item.key::bigint
), off AS (
    DELETE FROM stoker.ready USING asked, stoker.job WHERE job.id = asked.id AND job.state = 2
        AND ready.queue = job.queue AND ready.route = job.route AND ready.name = job.name
        AND ready.priority = job.priority AND ready.pos = job.pos
), moved AS (
    UPDATE stoker.job SET gates = asked.gates, state = CASE job.state WHEN 2 THEN 0 ELSE job.state END
    FROM asked WHERE job.id = asked.id RETURNING job.state, stoker.line_of(job) AS line, job.priority, job.pos, job.id
), waits AS (
    INSERT INTO stoker.waiting (line, kept, priority, pos, job)
    SELECT line, 1, priority, pos, id FROM moved WHERE state = 0
)
INSERT INTO stoker.stirred (text) SELECT DISTINCT line FROM moved WHERE state = 0"""


def gate_steps(jobs: Iterable[tuple[int, NewJob]], call: CallId) -> tuple[Sql, ...]:
    """Give the step that lets those jobs of an open call, given with their places, that have gates wait at them."""
    gates = {place: written(job.gates) for place, job in jobs if job.gates}
    return (Sql(GATE, {"call": call, "gates": encode(gates)}, replan=True),) if gates else ()


def route_steps(jobs: Sequence[NewJob]) -> tuple[Sql, ...]:
    """Give the step that notes the routes of a call's jobs; none where they have no tags."""
    routes = set(map(route_of, jobs))
    return () if routes == {UNTAGGED} else (Sql(ROUTES, {"routes": encode(sorted(routes))}),)


def plain_steps(jobs: Sequence[NewJob], call: CallId) -> tuple[Sql, ...]:
    """Give the steps that enqueue jobs without unique keys."""
    noting = route_steps(jobs)
    gating = gate_steps(enumerate(jobs), call) if any(map(gates_of, jobs)) else ()
    if len(jobs) == 1 and not gating:
        return (
            *noting,
            Sql(ENQUEUE_ONE, shared_params(jobs[0], call) | {"args": checked_args(jobs[0].args)}),
        )
    groups = sharing(dict(enumerate(jobs)))
    whole: dict[str, str | int | None] = {"call": call, "count": len(jobs)}
    if len(groups) == 1 and not gating:
        args = args_json(list(map(args_of, jobs)))
        return (
            *noting,
            Sql(ENQUEUE, shared_params(jobs[0], call) | whole | {"args": args}),
        )
    inserts = [
        Sql(INSERT, shared_params(group[0], call) | {"args": args_json(by_place(places, group))})
        for places, group in groups
    ]
    return (*noting, Sql(OPEN, whole), *inserts, *gating, Sql(CLOSE, whole), Sql(IDS, whole))


def plain_answers() -> Callable[[Replies], list[Enqueued]]:
    """Give the reader of a plain call's reply."""

    def read(replies: Replies) -> list[Enqueued]:
        ids: str = replies[-1][0][0]
        return [Enqueued(JobId(id)) for id in ids.split(",")]

    return read
