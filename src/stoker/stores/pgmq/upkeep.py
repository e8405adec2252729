# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""What keeps the store in order: reclaim, prune, lead. When its time comes, a message is available by itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

from stoker.core.command import Command, Replies, Rings, Sql, Value
from stoker.core.duration import SECOND
from stoker.core.job import Changed, JobId, Moved, Reclaimed, Token
from stoker.stores.codes import encode
from stoker.stores.pgmq.commands import Course
from stoker.stores.pgmq.look import LISTED, listed
from stoker.stores.pgmq.urls import PgmqUrl
from stoker.stores.pgmq.wire import job_id
from stoker.stores.pgmq.work import MICROS, NOW, SEEN, on_tables

RECEIPTS_KEPT_FOR: Final = 3600 * SECOND

# -- promote ---------------------------------------------------------------------------------------------------------

_DUE: Final = f"""(SELECT {MICROS.format("m.vt")} FROM {{table}} AS m
    WHERE m.vt > {NOW} AND m.read_ct = {SEEN} ORDER BY m.vt LIMIT 1)"""


def promote(url: PgmqUrl) -> Callable[[], Course[Moved]]:
    """Tell when the next message is due: none needs to be moved."""

    def course() -> Course[Moved]:
        tables: list[str] = yield Command("promote", (Sql(LISTED, {"prefix": url.prefix}),), listed, writes=False)
        if not tables:
            return Moved(0)
        dues = ", ".join(on_tables(_DUE, table) for table in tables)
        step = Sql(f"SELECT least({dues})", {})
        moved: Moved = yield Command("promote", (step,), lambda replies: Moved(0, replies[0][0][0]), writes=False)
        return moved

    return course


# -- reclaim ---------------------------------------------------------------------------------------------------------

SILENT: Final = """
SELECT token, queue FROM stoker.lease WHERE token IN (
    SELECT token FROM stoker.lease WHERE until < :now GROUP BY token ORDER BY min(until) LIMIT :limit)"""
GIVEN: Final = """
SELECT token, queue FROM stoker.lease WHERE token = ANY (ARRAY(SELECT json_array_elements_text(:tokens::json)))"""

# A crash counts for a job that ran, unless its worker was stopping in order. Of jobs claimed together nobody knows
# which one ran; therefore one that was in a crash before (a suspect) is marked when it begins, and counts only then.
# A message that a caller's open transaction is completing stays in its lease.
RECLAIM: Final = f"""
WITH silent AS MATERIALIZED (
    SELECT token, worker, at, stopping, started, ids, reads, dues FROM stoker.lease
    WHERE queue = :queue::text AND token = ANY (ARRAY(SELECT json_array_elements_text(:tokens::json)))
        AND (:given::boolean OR until < :now)
    ORDER BY token FOR UPDATE SKIP LOCKED
), held AS MATERIALIZED (
    SELECT silent.token, silent.worker, silent.at, silent.stopping, one.id = ANY (silent.started) AS began, one.id,
        one.read, one.due, one.place
    FROM silent CROSS JOIN LATERAL unnest(silent.ids, silent.reads, silent.dues)
        WITH ORDINALITY AS one (id, read, due, place)
), locked AS MATERIALIZED (
    SELECT m.msg_id, m.read_ct, @notes AS notes FROM {{table}} AS m
    WHERE m.msg_id = ANY (ARRAY(SELECT id FROM held)) AND m.read_ct > {SEEN} ORDER BY m.msg_id FOR UPDATE SKIP LOCKED
), counted AS (
    SELECT held.*, locked.notes AS before, coalesce((notes->>'crashes')::integer, 0) AS crashes,
        coalesce((notes->>'crash_limit')::integer, 3) AS crash_limit,
        NOT (stopping OR (coalesce((notes->>'crashes')::integer, 0) > 0 AND NOT began)) AS crashed,
        coalesce((notes->>'failures')::integer, 0) AS failures,
        CASE WHEN notes ? 'keep_failed' THEN (notes->>'keep_failed')::bigint ELSE :keep::bigint END AS keep
    FROM held JOIN locked ON locked.msg_id = held.id AND locked.read_ct = held.read
), judged AS MATERIALIZED (
    SELECT *, crashed AND crashes + 1 >= crash_limit AS spent FROM counted
), x AS MATERIALIZED (
    SELECT judged.*, before || jsonb_build_object('seen', read, 'worker', worker, 'started', at,
        'crashes', crashes + crashed::integer)
    || CASE WHEN crashed THEN jsonb_build_object('errors', coalesce(before->'errors', '[]') || jsonb_build_array(
        jsonb_build_object('attempt', failures + crashes + 1, 'at', :now, 'type', 'LeaseExpired', 'message',
            'worker ' || worker || ' went silent (crash ' || (crashes + 1) || ' of ' || crash_limit || ')', 'trace', '',
            'worker', worker))) ELSE '{{}}' END
    || CASE WHEN spent THEN jsonb_build_object('state', 'discarded', 'finished', :now, 'due', due)
        ELSE '{{}}' END AS notes
    FROM judged
), moved AS (
    UPDATE {{table}} AS m SET @set_notes, vt = {NOW} FROM x
    WHERE m.msg_id = ANY (ARRAY(SELECT id FROM x)) AND m.msg_id = x.id
), keeping AS (
    INSERT INTO stoker.kept (queue, id, until) SELECT :queue::text, id, :now + keep FROM x
    WHERE spent AND keep IS NOT NULL AND keep > 0 AND :archive::boolean
)
SELECT id, spent FROM x ORDER BY token, place"""

_SPENT: Final = f"""spent AS MATERIALIZED (
    SELECT m.msg_id, @notes AS notes FROM {{table}} AS m WHERE m.msg_id = ANY (ARRAY(
        SELECT unnest(ids) FROM stoker.lease WHERE queue = :queue::text
            AND token = ANY (ARRAY(SELECT json_array_elements_text(:tokens::json)))
    )) AND @notes->>'state' = 'discarded' AND m.read_ct = {SEEN}
)"""
BURY: Final = f"""
WITH {_SPENT}
SELECT (SELECT count(*) FROM pgmq.archive(:queue::text, ARRAY(
        SELECT msg_id FROM spent WHERE :archive::boolean AND notes->>'keep_failed' IS DISTINCT FROM '0')) AS done),
    (SELECT count(*) FROM pgmq.delete(:queue::text, ARRAY(
        SELECT msg_id FROM spent WHERE NOT :archive::boolean OR notes->>'keep_failed' = '0')) AS done)"""

# What is still as it was claimed, somebody's transaction has locked.
RELEASE: Final = f"""
DELETE FROM stoker.lease WHERE queue = :queue::text
    AND token = ANY (ARRAY(SELECT json_array_elements_text(:tokens::json))) AND (:given::boolean OR until < :now)
    AND NOT EXISTS (
        SELECT FROM {{table}} AS m JOIN unnest(lease.ids, lease.reads) AS one (id, read)
            ON one.id = m.msg_id AND one.read = m.read_ct
        WHERE m.msg_id = ANY (lease.ids) AND m.read_ct > {SEEN})"""


def reclaim(url: PgmqUrl, limit: int, tokens: Sequence[Token], keep: int | None) -> Callable[[], Course[Reclaimed]]:
    """Take back what silent workers hold, queue by queue."""

    def course() -> Course[Reclaimed]:
        params: dict[str, Value] = {"limit": limit, "tokens": encode(list(tokens))}
        look = Command(
            "reclaim",
            (Sql(GIVEN if tokens else SILENT, params),),
            lambda replies: [(str(token), str(queue)) for token, queue in replies[0]],
            writes=False,
        )
        by_table: defaultdict[str, list[str]] = defaultdict(list)
        for token, table in (yield look):
            by_table[table].append(token)
        available: list[JobId] = []
        discarded: list[JobId] = []
        for table, over in by_table.items():
            back, spent = yield _reclaim_of(url, table, over, given=bool(tokens), keep=keep)
            available += back
            discarded += spent
        return Reclaimed(tuple(available), (), tuple(discarded))

    return course


def _reclaim_of(
    url: PgmqUrl, table: str, tokens: Sequence[str], *, given: bool, keep: int | None
) -> Command[tuple[list[JobId], list[JobId]]]:
    params: dict[str, Value] = {"queue": table, "tokens": encode(list(tokens)), "given": given, "keep": keep}
    params["archive"] = url.on_failure == "archive"
    queue = table.removeprefix(url.prefix)
    steps = tuple(Sql(on_tables(text, table), params) for text in (RECLAIM, BURY, RELEASE))

    def read(replies: Replies) -> tuple[list[JobId], list[JobId]]:
        found: tuple[list[JobId], list[JobId]] = ([], [])
        for id, spent in replies[0]:
            found[spent].append(job_id(queue, id))
        return found

    return Rings("reclaim", steps, read, queues=frozenset({queue}))


# -- prune -----------------------------------------------------------------------------------------------------------

FORGET: Final = tuple(
    f"DELETE FROM stoker.{table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM stoker.{table} "
    f"WHERE at < :now - {RECEIPTS_KEPT_FOR} ORDER BY at LIMIT :limit FOR UPDATE SKIP LOCKED))"
    for table in ("call", "ended")
)
FORGET_WORKERS: Final = """
DELETE FROM stoker.worker
WHERE id = ANY (ARRAY(SELECT id FROM stoker.worker WHERE until <= :now FOR UPDATE SKIP LOCKED))"""
OVER: Final = """
WITH over AS MATERIALIZED (
    SELECT ctid, queue, to_regclass('pgmq.' || quote_ident('a_' || queue)) IS NULL AS dropped
    FROM stoker.kept WHERE until <= :now ORDER BY until LIMIT :limit + 1 FOR UPDATE SKIP LOCKED
), forgotten AS (
    DELETE FROM stoker.kept WHERE ctid = ANY (ARRAY(SELECT ctid FROM over WHERE dropped))
)
SELECT queue, array_agg(ctid)::text, (SELECT count(*) > :limit FROM over)
FROM (SELECT * FROM over LIMIT :limit) AS batch WHERE NOT dropped GROUP BY queue"""
"""Rows of messages whose time of keeping is over; those of a queue that somebody has dropped are forgotten."""
# A row is looked at again, because another may stand in its place. What an operator's verb or anybody else has locked
# is left for the next time: nobody waits here, so nobody deadlocks with it.
PRUNE: Final = """
WITH over AS MATERIALIZED (
    SELECT ctid, id FROM stoker.kept
    WHERE ctid = ANY (:rows::tid[]) AND queue = :queue::text AND until <= :now FOR UPDATE SKIP LOCKED
), there AS MATERIALIZED (
    SELECT msg_id FROM {archive} AS m WHERE msg_id = ANY (ARRAY(SELECT id FROM over)) FOR UPDATE SKIP LOCKED
), done AS MATERIALIZED (
    SELECT over.ctid, id, msg_id IS NOT NULL AS found FROM over LEFT JOIN there ON msg_id = id
    WHERE msg_id IS NOT NULL OR NOT EXISTS (SELECT FROM {archive} AS m WHERE m.msg_id = id)
), forgotten AS (
    DELETE FROM stoker.kept WHERE ctid = ANY (ARRAY(SELECT ctid FROM done))
), gone AS (
    DELETE FROM {archive} AS m WHERE msg_id = ANY (ARRAY(SELECT id FROM done WHERE found))
)
SELECT id, found FROM done"""


def prune(url: PgmqUrl, limit: int) -> Callable[[], Course[Changed]]:
    """Delete archived messages of ours whose time is over, and what is remembered for an hour."""

    def course() -> Course[Changed]:
        params: dict[str, Value] = {"limit": limit}
        steps = tuple(Sql(text, params) for text in (*FORGET, FORGET_WORKERS))
        yield Command("prune", steps, lambda _: None)
        over: list[tuple[str, str, bool]] = yield Command(
            "prune", (Sql(OVER, params),), lambda replies: [(row[0], row[1], row[2]) for row in replies[0]]
        )
        gone: list[JobId] = []
        moved = False
        for table, rows, _ in over:
            # Message and row in one unit: a message without its row would stay for ever.
            step = Sql(on_tables(PRUNE, table), {"queue": table, "rows": rows})
            done: list[tuple[int, bool]] = yield Command("prune", (step,), _done)
            moved = moved or bool(done)
            gone += [job_id(table.removeprefix(url.prefix), number) for number, found in done if found]
        # Where all is locked by others, whoever asked again at once would spin.
        return Changed(len(gone), moved and any(more for _, _, more in over), tuple(gone))

    return course


def _done(replies: Replies) -> list[tuple[int, bool]]:
    return [(row[0], row[1]) for row in replies[0]]


# -- lead ------------------------------------------------------------------------------------------------------------

LEAD: Final = """
INSERT INTO stoker.leader AS leader (role, holder, until) SELECT :role::text, :holder::text, :now + :ttl::bigint
ON CONFLICT (role) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE leader.holder = excluded.holder OR leader.until <= :now"""
RESIGN: Final = "DELETE FROM stoker.leader WHERE role = :role::text AND holder = :holder::text"
LEADS: Final = "SELECT EXISTS (SELECT FROM stoker.leader WHERE role = :role::text AND holder = :holder::text)"


def lead(role: str, holder: str, ttl: int) -> Command[bool]:
    """Become, stay or stop being the leader."""
    params: dict[str, Value] = {"role": role, "holder": holder, "ttl": ttl}
    steps = (Sql(LEAD if ttl else RESIGN, params), Sql(LEADS, params))
    return Command("lead", steps, lambda replies: bool(replies[-1][0][0]), durable=False)
