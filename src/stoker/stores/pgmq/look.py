# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""What one may ask of the store: any, count, routes, workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from stoker.core.command import Command, Replies, Sql, Value
from stoker.core.job import QueueCount, WorkerInfo
from stoker.stores.codes import counted, encode
from stoker.stores.pgmq.commands import Course, OnQueues
from stoker.stores.pgmq.urls import PgmqUrl
from stoker.stores.pgmq.work import HELD, MICROS, NAME, NAMED, NOW, ROUTED, SEEN, on_tables

# Two names that differ in case only have one table.
LISTED: Final = """
SELECT DISTINCT lower(queue_name) FROM pgmq.meta
WHERE lower(queue_name) LIKE replace(:prefix::text, '_', '\\_') || '%' AND lower(queue_name) ~ '^[a-z0-9_-]+$'
    AND to_regclass('pgmq.' || quote_ident('q_' || lower(queue_name))) IS NOT NULL ORDER BY 1"""

# A message that is read and not yet due belongs to somebody; one whose lease is over is ours until `reclaim` comes.
STATE: Final = f"""CASE WHEN m.read_ct > {SEEN} AND (m.vt > {NOW} OR {HELD}) THEN 3 WHEN m.vt <= {NOW} THEN 2
    WHEN (@notes->>'retry')::boolean THEN 4 ELSE 1 END"""
COUNT: Final = f"""
SELECT :shown::text, name, route, state, count(*), min(at) FROM (
    SELECT coalesce({NAME}, '') AS name, coalesce(@notes->>'route', '') AS route, {STATE} AS state,
        {MICROS.format("m.vt")} AS at
    FROM {{table}} AS m
) AS seen GROUP BY name, route, state"""
ENDED: Final = f"""
SELECT :shown::text, name, route, CASE state WHEN 'completed' THEN 5 WHEN 'cancelled' THEN 6 ELSE 7 END, count(*),
    min(at)
FROM (
    SELECT coalesce({NAME}, '') AS name, coalesce(@notes->>'route', '') AS route, @notes->>'state' AS state,
        coalesce((@notes->>'due')::bigint, {MICROS.format("m.vt")}) AS at
    FROM {{archive}} AS m WHERE @notes ? 'state'
) AS seen GROUP BY name, route, state"""
"""What workers of ours archived: of others pgmq does not tell how they ended."""

ANY: Final = f"""
SELECT EXISTS (SELECT FROM {{table}} AS m WHERE {NAMED} AND {ROUTED} AND m.vt <= {NOW})
    OR EXISTS (SELECT FROM {{table}} AS m WHERE {NAMED} AND {ROUTED} AND m.read_ct > {SEEN})"""

ROUTES: Final = "SELECT DISTINCT route FROM stoker.route ORDER BY route"
BEAT: Final = """
INSERT INTO stoker.worker (id, until, info)
SELECT :id::text, :now + :ttl::bigint, regexp_replace(:info::text, '"beat_at":0', '"beat_at":' || :now)
ON CONFLICT (id) DO UPDATE SET until = excluded.until, info = excluded.info"""
LEAVE: Final = "DELETE FROM stoker.worker WHERE id = :id::text"
WORKERS: Final = "SELECT info FROM stoker.worker WHERE until > :now ORDER BY id"

_worker = msgspec.json.Decoder(WorkerInfo)


def listed(replies: Replies) -> list[str]:
    """Read the tables of queues."""
    return [table for (table,) in replies[0]]


def any_of(url: PgmqUrl, queues: Sequence[str], names: Sequence[str], routes: Sequence[str]) -> Command[bool]:
    """Ask whether there is something for a worker."""
    tables = [url.table(queue) for queue in dict.fromkeys(queues)]
    params: dict[str, Value] = {"names": encode(list(names)), "routes": encode(list(routes))}
    steps = tuple(Sql(on_tables(ANY, table), params) for table in tables)
    return OnQueues(
        "any", steps, lambda replies: any(rows[0][0] for rows in replies), writes=False, tables=frozenset(tables)
    )


def count(url: PgmqUrl, queues: Sequence[str]) -> Callable[[], Course[list[QueueCount]]]:
    """Count messages, read one by one: a table has no counters."""

    def course() -> Course[list[QueueCount]]:
        tables: list[str] = yield Command("count", (Sql(LISTED, {"prefix": url.prefix}),), listed, writes=False)
        wanted = [(table, table.removeprefix(url.prefix)) for table in tables]
        steps = tuple(
            Sql(on_tables(text, table), {"queue": table, "shown": queue})
            for table, queue in wanted
            if not queues or queue in queues
            for text in (COUNT, ENDED)
        )
        if not steps:
            return []
        found: list[QueueCount] = yield Command("count", steps, _counts, writes=False)
        return found

    return course


def _counts(replies: Replies) -> list[QueueCount]:
    return counted([row for rows in replies for row in rows])


def routes() -> Command[list[str]]:
    """Ask for the routes that jobs have had."""
    return Command("routes", (Sql(ROUTES, {}),), lambda replies: [route for (route,) in replies[0]], writes=False)


def beat(worker: WorkerInfo, ttl: int) -> Command[None]:
    """Put a worker on the list, or take it off."""
    info = encode(msgspec.structs.replace(worker, beat_at=0))
    step = Sql(BEAT, {"id": worker.id, "ttl": ttl, "info": info}) if ttl else Sql(LEAVE, {"id": worker.id})
    return Command("beat", (step,), lambda _: None, durable=False)


def workers() -> Command[list[WorkerInfo]]:
    """Ask for the workers; one that another version wrote in a way we do not understand is left out."""

    def read(replies: Replies) -> list[WorkerInfo]:
        known: list[WorkerInfo] = []
        for (info,) in replies[0]:
            try:
                known.append(_worker.decode(info))
            except msgspec.MsgspecError:
                continue
        return known

    return Command("workers", (Sql(WORKERS, {}),), read, writes=False)
