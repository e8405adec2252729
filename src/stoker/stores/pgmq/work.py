# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""How messages are taken and held: claim and extend.

A claim is what `pgmq.read` does, but for several names at once, in the order of becoming available (what was given
back in the same instant last), and by an index: pgmq reads one condition at a time and compares with a clock that no
index can be asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from stoker.core.command import Command, Replies, Retry, Sql, Value
from stoker.core.job import Claimed, Extended, JobId, Token
from stoker.stores.codes import encode
from stoker.stores.pgmq.commands import Course, OnQueues
from stoker.stores.pgmq.urls import PgmqUrl
from stoker.stores.pgmq.wire import parted, read_claim

NOW: Final = "('epoch'::timestamptz + :now * interval '1 microsecond')"
MICROS: Final = "(extract(epoch FROM {}) * 1000000)::bigint"
NAME: Final = "(m.message->'metadata'->>'worker_name')"
NAMED: Final = f"{NAME} = ANY (ARRAY(SELECT json_array_elements_text(:names::json)))"
ROUTED: Final = "coalesce(@notes->>'route', '') = ANY (ARRAY(SELECT json_array_elements_text(:routes::json)))"
SEEN: Final = "coalesce((@notes->>'seen')::integer, 0)"
HELD: Final = """EXISTS (
    SELECT FROM stoker.lease AS held CROSS JOIN LATERAL unnest(held.ids, held.reads) AS one (id, read)
    WHERE held.queue = :queue::text AND m.msg_id = ANY (held.ids) AND one.id = m.msg_id AND one.read = m.read_ct)"""
"""Whether a message is ours: also when its lease is over, until `reclaim` has seen to it."""

_COLUMNS: Final = f"""m.msg_id, m.read_ct, {MICROS.format("m.enqueued_at")} AS enqueued, {{due}} AS due,
    {NAME} AS name, (m.message->'args')::text AS args, @notes::text AS notes"""

CLAIM: Final = f"""
WITH before AS MATERIALIZED (
    SELECT ids, reads, dues FROM stoker.lease WHERE token = :token::text AND queue = :queue::text
), picked AS MATERIALIZED (
    SELECT m.msg_id, m.vt FROM {{table}} AS m
    WHERE m.vt <= {NOW} AND NOT EXISTS (SELECT FROM before) AND {NAMED} AND {ROUTED}
        AND (m.read_ct = 0 OR NOT {HELD})
    ORDER BY m.vt, m.read_ct, m.msg_id LIMIT :wanted::integer FOR UPDATE SKIP LOCKED
), taken AS MATERIALIZED (
    UPDATE {{table}} AS m SET read_ct = m.read_ct + 1,
        vt = 'epoch'::timestamptz + (:now + :lease::bigint) * interval '1 microsecond'@and_read_at
    WHERE m.msg_id = ANY (ARRAY(SELECT msg_id FROM picked))
    RETURNING {_COLUMNS.format(due="NULL::bigint")}
), ordered AS MATERIALIZED (
    SELECT taken.msg_id, taken.read_ct, taken.enqueued, {MICROS.format("picked.vt")} AS due, taken.name, taken.args,
        taken.notes
    FROM taken JOIN picked USING (msg_id) ORDER BY picked.vt, taken.read_ct, msg_id
), leased AS (
    INSERT INTO stoker.lease (token, queue, at, until, worker, ids, reads, dues)
    SELECT :token::text, :queue::text, :now, :now + :lease::bigint, :worker::text, array_agg(msg_id),
        array_agg(read_ct), array_agg(due)
    FROM ordered HAVING count(*) > 0
)
SELECT * FROM ordered
UNION ALL
(SELECT {_COLUMNS.format(due="before.dues[array_position(before.ids, m.msg_id)]")}
FROM {{table}} AS m, before
WHERE m.msg_id = ANY (ARRAY(SELECT unnest(ids) FROM before))
    AND m.read_ct = before.reads[array_position(before.ids, m.msg_id)]
ORDER BY array_position(before.ids, m.msg_id))"""

# What waits has no reads but those that its notes know of; only who finds less than asked for wants to know.
_FIRST_DUE: Final = f"""(SELECT {MICROS.format("m.vt")} FROM {{table}} AS m
    WHERE m.vt > {NOW} AND m.read_ct = {SEEN} ORDER BY m.vt LIMIT 1)"""
CLOCK: Final = """
SELECT :now, CASE WHEN :wanted::bigint > (
    SELECT coalesce(sum(cardinality(ids)), 0) FROM stoker.lease WHERE token = :token::text
) THEN {due} END"""

RENEW: Final = """
UPDATE stoker.lease SET until = :now + :lease::bigint, stopping = stopping OR :stopping::boolean,
    started = started || ARRAY(
        SELECT value::bigint FROM json_array_elements_text(coalesce(:started::json->lease.queue, '[]')))
WHERE token = ANY (ARRAY(SELECT json_array_elements_text(:tokens::json)))
RETURNING token, queue"""

# Rows that a caller's open transaction is completing are passed over, and so are those that others have read since.
HOLD: Final = f"""
WITH ours AS MATERIALIZED (
    SELECT one.id, one.read FROM stoker.lease CROSS JOIN LATERAL unnest(ids, reads) AS one (id, read)
    WHERE queue = :queue::text AND token = ANY (ARRAY(SELECT json_array_elements_text(:tokens::json)))
), locked AS MATERIALIZED (
    SELECT m.msg_id FROM {{table}} AS m JOIN ours ON ours.id = m.msg_id AND ours.read = m.read_ct
    WHERE m.msg_id = ANY (ARRAY(SELECT id FROM ours)) AND m.read_ct > {SEEN}
    ORDER BY m.msg_id FOR UPDATE OF m SKIP LOCKED
)
UPDATE {{table}} AS m SET vt = 'epoch'::timestamptz + (:now + :lease::bigint) * interval '1 microsecond'
WHERE m.msg_id = ANY (ARRAY(SELECT msg_id FROM locked))"""


def order_index(table: str) -> str:
    """Give the statement that makes the index in whose order claims take messages.

    Without it those that became available in the same instant are sorted by each claim: many, after a bulk of them.
    """
    name = f"q_{table}_stoker_idx"
    return on_tables(f'CREATE INDEX IF NOT EXISTS "{name}" ON {{table}} (vt, read_ct, msg_id)', table)


def queue_made(table: str) -> str:
    """Give the statement that makes a queue where there is none, and its index in the same unit.

    A queue that is there may be somebody else's, and full: an index would keep all from writing while it is built.
    """
    return f"""
DO $$ BEGIN
    IF to_regclass('{on_tables("{table}", table)}') IS NULL THEN
        PERFORM pgmq.create('{table}');
        {order_index(table)};
    END IF;
END $$"""


def on_tables(text: str, table: str) -> str:
    """Put the tables of a queue into a text."""
    return text.replace("{table}", f'pgmq."q_{table}"').replace("{archive}", f'pgmq."a_{table}"')


def claim(
    url: PgmqUrl,
    demand: Mapping[str, int],
    names: Sequence[str],
    routes: Sequence[str],
    token: Token,
    worker: str,
    lease: int,
) -> Command[Claimed]:
    """Take messages: one statement for each queue, all of them one unit."""
    asked = {queue: url.table(queue) for queue, wanted in demand.items() if wanted > 0}
    shared: dict[str, Value] = {"names": encode(list(names)), "routes": encode(list(routes)), "token": token}
    shared |= {"worker": worker, "lease": lease}
    steps = [
        Sql(on_tables(CLAIM, table), shared | {"queue": table, "wanted": demand[queue]})
        for queue, table in asked.items()
    ]
    dues = ", ".join(on_tables(_FIRST_DUE, table) for table in asked.values())
    clock = CLOCK.replace("{due}", f"least({dues})" if dues else "NULL::bigint")
    steps.append(Sql(clock, {"token": token, "wanted": sum(demand[queue] for queue in asked)}))

    def read(replies: Replies) -> Claimed:
        ((now, next_due),) = replies[-1]
        claims = [read_claim(queue, row, token) for queue, rows in zip(asked, replies, strict=False) for row in rows]
        return Claimed(claims, next_due, now)

    return OnQueues("claim", tuple(steps), read, Retry.KEYED, durable=False, tables=frozenset(asked.values()))


def extend(
    url: PgmqUrl, tokens: Sequence[Token], lease: int, *, stopping: bool, started: Sequence[JobId]
) -> Callable[[], Course[Extended]]:
    """Keep leases, and make what they hold invisible to others for as long."""
    begun: dict[str, list[int]] = {}
    for place in filter(None, map(parted, started)):
        begun.setdefault(url.table(place[0]), []).append(place[1])

    def course() -> Course[Extended]:
        params: dict[str, Value] = {"tokens": encode(list(tokens)), "lease": lease}
        renew = Sql(RENEW, params | {"stopping": stopping, "started": encode(begun)})
        held: list[tuple[str, str]] = yield Command(
            "extend", (renew,), lambda replies: [(row[0], row[1]) for row in replies[0]], durable=False
        )
        steps = [
            Sql(on_tables(HOLD, table), params | {"queue": table}) for table in sorted({table for _, table in held})
        ]
        if steps:
            yield Command("extend", tuple(steps), lambda _: None, durable=False)
        return Extended(frozenset(tokens) - {Token(token) for token, _ in held})

    return course
