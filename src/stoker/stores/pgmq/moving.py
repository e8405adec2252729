# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""How jobs leave for another store: in a lease without end, invisible to whoever reads the queue, until settled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from stoker.core.command import Command, Replies, Retry, Sql, Value
from stoker.core.filters import Filter
from stoker.core.job import State, StoredJob, Token
from stoker.core.moving import HELD_FOR, MOVING, Hold, as_it_was
from stoker.stores.pgmq.commands import Course
from stoker.stores.pgmq.finding import COLUMNS, Found, Place, oldest_first
from stoker.stores.pgmq.intake import LOCK_CALL
from stoker.stores.pgmq.look import LISTED, listed
from stoker.stores.pgmq.urls import PgmqUrl
from stoker.stores.pgmq.wire import read_stored
from stoker.stores.pgmq.work import HELD, MICROS, NOW, SEEN, on_tables

_WAITING: Final = (State.SCHEDULED, State.AVAILABLE, State.RETRYABLE)

# What was looked up may be read by somebody since: then its read_ct is another. A repeat takes nothing, also when
# another mover has finished the hold meanwhile: that one's receipt would make the new store pass over other jobs.
# Messages without arguments nobody can perform, and Roadster fills its queue of periodic jobs by itself: both stay.
HOLD: Final = f"""
WITH found AS MATERIALIZED (
    SELECT * FROM unnest(string_to_array(:ids::text, ',')::bigint[], string_to_array(:reads::text, ',')::integer[])
        AS one (id, read)
), picked AS MATERIALIZED (
    SELECT m.msg_id, m.vt FROM {{table}} AS m JOIN found ON found.id = m.msg_id AND found.read = m.read_ct
    WHERE m.msg_id = ANY (string_to_array(:ids::text, ',')::bigint[])
        AND (m.read_ct = {SEEN} OR (m.vt <= {NOW} AND NOT {HELD}))
        AND m.message ? 'args' AND NOT m.message ? 'periodic'
        AND NOT EXISTS (SELECT FROM stoker.ended WHERE token = :token::text)
        AND NOT EXISTS (
            SELECT FROM stoker.lease WHERE token = :token::text AND (queue = :queue::text OR at < :now))
    ORDER BY m.msg_id FOR UPDATE OF m SKIP LOCKED
), taken AS MATERIALIZED (
    UPDATE {{table}} AS m SET read_ct = m.read_ct + 1,
        vt = 'epoch'::timestamptz + (:now + :lease::bigint) * interval '1 microsecond'@and_read_at
    WHERE m.msg_id = ANY (ARRAY(SELECT msg_id FROM picked)) RETURNING m.msg_id, m.read_ct
)
INSERT INTO stoker.lease (token, queue, at, until, worker, ids, reads, dues)
SELECT :token::text, :queue::text, :now, :now + :lease::bigint, :worker::text, array_agg(msg_id ORDER BY msg_id),
    array_agg(read_ct ORDER BY msg_id), array_agg({MICROS.format("picked.vt")} ORDER BY msg_id)
FROM taken JOIN picked USING (msg_id) HAVING count(*) > 0"""

SHOW: Final = f"""
SELECT {COLUMNS.replace(MICROS.format("m.vt"), "one.due")}, 3, NULL::text, NULL::bigint, {SEEN}
FROM stoker.lease CROSS JOIN LATERAL unnest(ids, reads, dues) AS one (id, read, due)
    JOIN {{table}} AS m ON m.msg_id = one.id AND m.read_ct = one.read
WHERE lease.token = :token::text AND lease.queue = :queue::text"""

TABLES: Final = "SELECT queue FROM stoker.lease WHERE token = :token::text"
HOLDS: Final = f"""
SELECT token, min(worker), min(at), sum(cardinality(ids))::bigint FROM stoker.lease
WHERE starts_with(worker, '{MOVING}') GROUP BY token ORDER BY 3, 1"""

# What waits has no reads but those that its notes know of.
_LAST: Final = f"""(SELECT {MICROS.format("m.vt")} FROM {{table}} AS m
    WHERE m.vt > {NOW} AND m.read_ct = {SEEN} ORDER BY m.vt DESC LIMIT 1)"""


def hold(url: PgmqUrl, only: Filter, limit: int, token: Token, worker: str) -> Callable[[], Course[list[StoredJob]]]:
    """Hold waiting jobs, or give those that the token holds."""
    states = tuple(state for state in _WAITING if not only.states or state in only.states)

    def course() -> Course[list[StoredJob]]:
        look = Sql(TABLES, {"token": token})
        tables: list[str] = yield Command("hold", (look,), listed, writes=False)
        if tables:
            held: list[StoredJob] = yield _take(url, dict.fromkeys(tables, ()), token, worker)
            return held
        after: Place | None = None
        while limit > 0 and states:
            found = yield from oldest_first(url, msgspec.structs.replace(only, states=states), limit, after)
            if not found:
                break
            by_table: defaultdict[str, list[Found]] = defaultdict(list)
            for one in found:
                by_table[url.table(one.place[1])].append(one)
            held = yield _take(url, by_table, token, worker)
            if held:
                return held
            # Others have them by now, or hold them locked: there may be more behind.
            after = found[-1].place
        return []

    return course


def _take(url: PgmqUrl, found: Mapping[str, Sequence[Found]], token: Token, worker: str) -> Command[list[StoredJob]]:
    """Hold what was found in each queue, and give all that the token holds there, in one unit."""
    takes: list[Sql] = []
    for table, those in found.items():
        if those:
            params: dict[str, Value] = {"queue": table, "token": token, "worker": worker, "lease": HELD_FOR}
            params["ids"] = ",".join(str(one.place[2]) for one in those)
            params["reads"] = ",".join(str(one.job.starts) for one in those)
            takes.append(Sql(on_tables(HOLD, table), params))
    lock = (Sql(LOCK_CALL, {"call": token}),) if takes else ()
    shows = tuple(Sql(on_tables(SHOW, table), {"token": token, "queue": table}) for table in found)

    def read(replies: Replies) -> list[StoredJob]:
        rows = [
            (row[2], table.removeprefix(url.prefix), row)
            for table, shown in zip(found, replies[-len(shows) :], strict=True)
            for row in shown
        ]
        rows.sort(key=lambda one: (one[0], one[1], one[2][0]))
        return [job for _, queue, row in rows if (job := _held(queue, row)) is not None]

    return Command("hold", (*lock, *takes, *shows), read, Retry.KEYED, writes=bool(takes))


def _held(queue: str, row: Sequence[Any]) -> StoredJob | None:
    """Read a held message as it was: what `SHOW` gives; None for what is no job."""
    *rest, seen = row
    job = read_stored(queue, rest)
    if job is None:
        return None
    # One read is the hold's; what others read it for, they did not finish.
    elsewhere = max(0, job.starts - 1 - seen)
    return as_it_was(msgspec.structs.replace(job, failures=job.failures + elsewhere))


def holds() -> Command[list[Hold]]:
    """Give what is held, the longest first."""
    return Command("holds", (Sql(HOLDS, {}),), lambda replies: [Hold(*row) for row in replies[0]], writes=False)


def last_due(url: PgmqUrl) -> Callable[[], Course[int | None]]:
    """Give the latest instant for which a message waits."""

    def course() -> Course[int | None]:
        tables: list[str] = yield Command("last_due", (Sql(LISTED, {"prefix": url.prefix}),), listed, writes=False)
        if not tables:
            return None
        step = Sql(f"SELECT greatest({', '.join(on_tables(_LAST, table) for table in tables)})", {})
        due: int | None = yield Command("last_due", (step,), lambda replies: replies[0][0][0], writes=False)
        return due

    return course
