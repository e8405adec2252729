# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""How jobs are taken and held: claim and extend."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from stoker.core.command import Replies, Sql, Value
from stoker.core.job import Claim, Claimed, Extended, JobId, Token
from stoker.stores.codes import encode
from stoker.stores.postgres.marks import HIGHEST, LOWEST, START, Lane, Marks, Range
from stoker.stores.postgres.wire import CLAIM, numbers

MOST_ARGS: Final = 32 * 1024 * 1024
"""Characters of arguments after which a claim takes no further job of a queue."""

_WANTED: Final = """wanted AS MATERIALIZED (
    SELECT wish.place, wish.value->>0 AS queue, wish.value->>1 AS route, wish.value->>2 AS name,
        (wish.value->>3)::integer AS high, (wish.value->>4)::integer AS low, (wish.value->>5)::bigint AS start,
        (wish.value->>6)::integer AS wanted
    FROM json_array_elements(:ranges::json) WITH ORDINALITY AS wish (value, place)
    WHERE NOT EXISTS (SELECT FROM stoker.lease WHERE token = :token::text)
        AND NOT EXISTS (SELECT FROM stoker.pause WHERE kind = 'queue' AND pause.value = wish.value->>0)
        AND NOT EXISTS (SELECT FROM stoker.pause WHERE kind = 'name' AND pause.value = wish.value->>2)
)"""

_HEAD: Final = """FROM stoker.ready
    WHERE ready.queue = wanted.queue AND ready.route = wanted.route AND ready.name = wanted.name
        AND ready.priority <= wanted.high AND ready.priority >= wanted.low AND ready.pos >= wanted.start
    ORDER BY ready.priority DESC, ready.pos"""

# A queue with one line: its ranges follow one another, in whatever order the server came upon them. Rows are locked as
# they are fetched, so no more than wanted; those that another claim has locked are passed over.
_OF_ONE_LINE: Final = f"""picked AS MATERIALIZED (
    SELECT found.* FROM (SELECT DISTINCT queue, wanted FROM wanted) AS queues CROSS JOIN LATERAL (
        SELECT head.* FROM (
            SELECT * FROM wanted WHERE queue = queues.queue ORDER BY place
        ) AS wanted CROSS JOIN LATERAL (
            SELECT ready.ctid AS address, ready.size {_HEAD} LIMIT queues.wanted FOR UPDATE SKIP LOCKED
        ) AS head LIMIT queues.wanted
    ) AS found
)"""

# A queue with several lines: first a look, without locks, at how much of each the head of the queue is made of; else
# as many jobs as wanted would be locked in each line.
_OF_SEVERAL_LINES: Final = f"""shared AS MATERIALIZED (
    SELECT wanted.*, shares.share FROM wanted JOIN (
        SELECT place, count(*) AS share FROM (
            SELECT wanted.place, wanted.wanted,
                row_number() OVER (PARTITION BY head.queue ORDER BY head.priority DESC, head.pos) AS rank
            FROM wanted CROSS JOIN LATERAL (
                SELECT ready.queue, ready.priority, ready.pos {_HEAD} LIMIT wanted.wanted
            ) AS head
        ) AS ranked WHERE rank <= wanted GROUP BY place
    ) AS shares ON shares.place = wanted.place
), picked AS MATERIALIZED (
    SELECT found.* FROM shared CROSS JOIN LATERAL (
        SELECT ready.ctid AS address, ready.size
        {_HEAD.replace("wanted.", "shared.")} LIMIT shared.share FOR UPDATE SKIP LOCKED
    ) AS found
)"""

# The line's rows are addressed directly, which is safe because they are locked and never updated. Jobs are found by
# an array of ids, so that no statistics, however old, lead the planner anywhere else.
_CLAIM: Final = f"""
WITH {_WANTED}, {{picked}}, taken AS MATERIALIZED (
    DELETE FROM stoker.ready WHERE ctid = ANY (ARRAY(
        SELECT address FROM picked WHERE (SELECT sum(size) FROM picked) <= {MOST_ARGS}
        UNION ALL
        SELECT address FROM (
            SELECT address, sum(size) OVER (ROWS UNBOUNDED PRECEDING) - size AS before FROM picked
        ) AS summed WHERE (SELECT sum(size) FROM picked) > {MOST_ARGS} AND before < {MOST_ARGS}
    )) RETURNING id, priority, pos
), leased AS (
    INSERT INTO stoker.lease (token, at, until, worker, ids)
    SELECT :token::text, :now, :now + :lease::bigint, :worker::text, array_agg(id ORDER BY priority DESC, pos)
    FROM taken HAVING count(*) > 0
)
SELECT job.id::text, {CLAIM}, job.route, job.pos FROM stoker.job AS job WHERE job.id = ANY (ARRAY(
    SELECT id FROM taken UNION ALL SELECT unnest(ids) FROM stoker.lease WHERE token = :token::text
)) AND job.state = 2 ORDER BY job.priority DESC, job.pos"""

# By age alone: each priority of a lane becomes a range of its own, found by leaping from one to the next.
_LEVELS: Final = """level AS (
    SELECT lane.*, first.priority FROM lane CROSS JOIN LATERAL (
        SELECT ready.priority FROM stoker.ready
        WHERE ready.queue = lane.queue AND ready.route = lane.route AND ready.name = lane.name
        ORDER BY ready.priority DESC LIMIT 1
    ) AS first
    UNION ALL
    SELECT level.place, level.queue, level.route, level.name, level.high, level.low, level.start, level.wanted,
        following.priority
    FROM level CROSS JOIN LATERAL (
        SELECT ready.priority FROM stoker.ready
        WHERE ready.queue = level.queue AND ready.route = level.route AND ready.name = level.name
            AND ready.priority < level.priority
        ORDER BY ready.priority DESC LIMIT 1
    ) AS following
), wanted AS MATERIALIZED (
    SELECT row_number() OVER () AS place, queue, route, name, priority AS high, priority AS low, start, wanted
    FROM level
)"""

CLAIM_ONE_LINE: Final = _CLAIM.replace("{picked}", _OF_ONE_LINE)
CLAIM_SEVERAL_LINES: Final = _CLAIM.replace("{picked}", _OF_SEVERAL_LINES)
CLAIM_OLDEST: Final = (
    _CLAIM.replace("{picked}", _OF_SEVERAL_LINES)
    .replace("WITH wanted AS", "WITH RECURSIVE lane AS")
    .replace("\n), shared AS", f"\n), {_LEVELS}, shared AS")
    .replace("ORDER BY head.priority DESC, head.pos", "ORDER BY head.pos")
)

CLOCK: Final = """
SELECT :now AS now, (
        SELECT run_at FROM stoker.job WHERE state IN (1, 4) AND run_at >= :due_from::bigint ORDER BY run_at LIMIT 1
    ) AS next_due,
    (extract(epoch FROM clock_timestamp() - transaction_timestamp()))::double precision AS duration"""

RENEW: Final = """
WITH asked AS (SELECT json_array_elements_text(:tokens::json) AS token),
locked AS MATERIALIZED (
    SELECT token FROM stoker.lease WHERE token = ANY (ARRAY(SELECT token FROM asked)) ORDER BY token FOR UPDATE
)
UPDATE stoker.lease SET until = :now + :lease::bigint, stopping = stopping OR :stopping::boolean
WHERE token = ANY (ARRAY(SELECT token FROM locked))
RETURNING token"""

BEGIN_SUSPECTS: Final = """
UPDATE stoker.job SET begun = held.token
FROM (SELECT token, unnest(ids) AS id FROM stoker.lease
    WHERE token = ANY (ARRAY(SELECT json_array_elements_text(:tokens::json)))) AS held
WHERE job.id = held.id AND job.id = ANY (string_to_array(:started::text, ',')::bigint[]) AND job.state = 2"""

CANCELLING: Final = """
SELECT job.id::text FROM stoker.job WHERE job.cancelling AND job.state = 2 AND job.id IN (
    SELECT unnest(ids) FROM stoker.lease WHERE token = ANY (ARRAY(SELECT json_array_elements_text(:tokens::json))))"""


def claim_steps(
    lanes: Sequence[Lane],
    demand: Mapping[str, int],
    marks: Marks,
    token: Token,
    worker: str,
    lease: int,
    sweeping: Collection[str],
) -> tuple[Sql, ...]:
    """Give the steps of a claim: take, and ask for the time; ``sweeping`` are the queues to look all through."""
    ranges = marks.ranges(lanes, demand, sweeping)
    several = len(lanes) > len({lane.queue for lane in lanes})
    text = CLAIM_SEVERAL_LINES if several else CLAIM_ONE_LINE
    params: dict[str, Value] = {"ranges": encode(ranges), "token": token, "worker": worker, "lease": lease}
    return (Sql(text, params), Sql(CLOCK, {"due_from": START if sweeping else marks.due_from}))


def oldest_steps(
    lanes: Sequence[Lane], demand: Mapping[str, int], token: Token, worker: str, lease: int
) -> tuple[Sql, ...]:
    """Give the steps of a claim by age alone, which always looks from the very beginning."""
    ranges = [Range(*lane, HIGHEST, LOWEST, START, demand[lane.queue]) for lane in lanes]
    params: dict[str, Value] = {"ranges": encode(ranges), "token": token, "worker": worker, "lease": lease}
    return (Sql(CLAIM_OLDEST, params), Sql(CLOCK, {"due_from": START}))


def claimed(
    demand: Mapping[str, int], marks: Marks, token: Token, sweeping: Collection[str]
) -> Callable[[Replies], Claimed]:
    """Give the reader of a claim's reply."""
    began = time.monotonic()

    def read(replies: Replies) -> Claimed:
        rows: Sequence[Any] = replies[0]
        ((now, next_due, duration),) = replies[1]
        marks.looked(demand, next_due, now)
        if sweeping:
            # By the server's clock, without the way there; but nobody knows when somebody sets that.
            marks.swept(sweeping, min(duration, time.monotonic() - began))
        # A loop over every job of a busy worker: it does nothing that can be done once.
        last = {(row[2], row[18], row[1], row[4]): row[19] for row in rows}
        taken = Counter([row[2] for row in rows])
        full = {queue for queue, wanted in demand.items() if taken[queue] >= wanted}
        marks.reached(last, full, sweeping)
        claims = [Claim(row[0], token, *row[1:18]) for row in rows]
        return Claimed(claims, next_due, now)

    return read


def extend_steps(tokens: Sequence[Token], lease: int, *, stopping: bool, started: Sequence[JobId]) -> tuple[Sql, ...]:
    """Give the steps of a heartbeat; only a suspect that begins to run has its job's row touched."""
    params: dict[str, str | int | None] = {"tokens": encode(list(tokens)), "lease": lease, "stopping": stopping}
    steps = [Sql(RENEW, params)]
    if started:
        steps.append(Sql(BEGIN_SUSPECTS, params | {"started": numbers(started)}))
    return (*steps, Sql(CANCELLING, params))


def extended(tokens: Sequence[Token]) -> Callable[[Replies], Extended]:
    """Give the reader of a heartbeat's reply."""

    def read(replies: Replies) -> Extended:
        held = {token for (token,) in replies[0]}
        return Extended(frozenset(tokens) - held, frozenset(JobId(id) for (id,) in replies[-1]))

    return read
