# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""How jobs are taken and held: claim and extend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import product
from typing import Final

from stoker.core.command import Replies, Sql
from stoker.core.job import Claimed, Extended, JobId, Token
from stoker.stores.codes import encode, row_ids
from stoker.stores.sqlite.wire import CLAIM, read_array, read_claims

MOST_ARGS: Final = 32 * 1024 * 1024
"""Characters of arguments after which a claim takes no further job: a reply is one value, and those are bounded."""
LANES_MERGED: Final = 64
"""SQLite merges the ordered arms of a compound select as a tree, and takes 500 at most."""

_NEXT_DUE: Final = """(SELECT CAST(run_at AS INTEGER) FROM stoker_job INDEXED BY stoker_job_due
    WHERE state IN (1, 4) ORDER BY run_at LIMIT 1)"""

CLAIMED: Final = f"""
SELECT CAST(json_group_array({CLAIM}) AS BLOB) AS claims, {_NEXT_DUE} AS next_due, :now AS now
FROM json_each((SELECT ids FROM stoker_lease WHERE token = :token)) AS held
CROSS JOIN stoker_job AS job NOT INDEXED ON job.id = held.value
WHERE job.state = 3 AND job.token = :token"""

RENEW: Final = """
UPDATE stoker_lease SET until = :now + :lease, stopping = max(stopping, :stopping)
WHERE token IN (SELECT value FROM json_each(:tokens))"""

BEGIN_SUSPECTS: Final = """
UPDATE stoker_job NOT INDEXED SET begun = 1
WHERE id IN (SELECT value FROM json_each(:started)) AND state = 3
    AND token IN (SELECT value FROM json_each(:tokens))"""

HELD: Final = """
SELECT CAST((
    SELECT json_group_array(token) FROM stoker_lease WHERE token IN (SELECT value FROM json_each(:tokens))
) AS BLOB) AS held, CAST((
    SELECT json_group_array(CAST(job.id AS TEXT))
    FROM stoker_lease AS lease CROSS JOIN json_each(lease.ids) AS one
    CROSS JOIN stoker_job AS job NOT INDEXED ON job.id = one.value
    WHERE lease.token IN (SELECT value FROM json_each(:tokens))
        AND job.state = 3 AND job.token = lease.token AND job.cancelling
) AS BLOB) AS cancelling"""


def claim_steps(
    demand: Mapping[str, int],
    names: Sequence[str],
    routes: Sequence[str],
    token: Token,
    worker: str,
    lease: int,
    *,
    oldest: bool,
) -> tuple[Sql, ...]:
    """Give the steps that take jobs; the lease is the first thing written, and its trigger moves the jobs."""
    params: dict[str, str | int | None] = {"token": token, "worker": worker, "lease": lease, "most": MOST_ARGS}
    wanted = [(queue, limit) for queue, limit in demand.items() if limit > 0]
    for number, (queue, limit) in enumerate(wanted):
        params |= {f"queue{number}": queue, f"limit{number}": limit}
    names, routes = list(dict.fromkeys(names)), list(dict.fromkeys(routes))
    params |= {f"name{number}": name for number, name in enumerate(names)}
    params |= {f"route{number}": route for number, route in enumerate(routes)}
    answer = Sql(CLAIMED, {"token": token})
    if not (wanted and names and routes):
        return (answer,)
    return (Sql(lease_text(len(wanted), len(names), len(routes), oldest=oldest), params), answer)


def claimed(replies: Replies) -> Claimed:
    """Read the answer of a claim."""
    claims, next_due, now = replies[-1][0]
    return Claimed(read_claims(claims), next_due, now)


@lru_cache(maxsize=256)
def lease_text(queues: int, names: int, routes: int, *, oldest: bool = False) -> str:
    """Write the statement that leases the first jobs of so many queues, each a merge of its lanes.

    A lane (queue, route, name) is a seek in the index of available jobs, read only as far as the merge needs it. The
    running sum of sizes costs more than all of that, so it is taken only where the jobs are too large together.
    """
    merged = [_merged(queue, names, routes, oldest=oldest) for queue in range(queues)]
    chosen = _union(_nested([f"SELECT id, size FROM ({one})" for one in merged]))
    return f"""
INSERT INTO stoker_lease (token, at, until, worker, ids)
SELECT :token, :now, :now + :lease, :worker, CASE WHEN size <= :most THEN ids ELSE (
    SELECT json_group_array(id) FROM (
        SELECT id, total(size) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before FROM (
    {chosen}
)) WHERE before < :most) END
FROM (SELECT json_group_array(id) AS ids, total(size) AS size FROM (
    {chosen}
))
WHERE ids <> '[]' AND NOT EXISTS (SELECT 1 FROM stoker_lease WHERE token = :token)"""


def _merged(queue: int, names: int, routes: int, *, oldest: bool) -> str:
    limit = f"""LIMIT CASE WHEN EXISTS (
        SELECT 1 FROM stoker_pause WHERE kind = 'queue' AND value = :queue{queue}) THEN 0 ELSE :limit{queue} END"""
    order = f"ORDER BY {'pos' if oldest else 'priority DESC, pos'} {limit}"
    lane = _lane_by_age if oldest else _lane
    lanes = [lane(queue, name, route) for route, name in product(range(routes), range(names))]
    return f"{_union(_nested(lanes, order))} {order}"


def _nested(selects: list[str], order: str = "LIMIT -1") -> list[str]:
    """Put selects together until they are few enough for one compound select."""
    while len(selects) > LANES_MERGED:
        parts = [selects[start : start + LANES_MERGED] for start in range(0, len(selects), LANES_MERGED)]
        selects = [f"SELECT * FROM ({_union(part)} {order})" for part in parts]
    return selects


def _union(selects: list[str]) -> str:
    return "\n    UNION ALL ".join(selects)


def _lane(queue: int, name: int, route: int) -> str:
    return f"""SELECT id, priority, pos, size FROM stoker_job INDEXED BY stoker_job_ready
        WHERE state = 2 AND queue = :queue{queue} AND route = :route{route} AND name = :name{name}
        AND NOT EXISTS (SELECT 1 FROM stoker_pause WHERE kind = 'name' AND value = :name{name})"""


def _lane_by_age(queue: int, name: int, route: int) -> str:
    """Write a lane as the first jobs of each of its priorities, which are found by leaping from one to the next."""
    of_lane = f"""FROM stoker_job INDEXED BY stoker_job_ready
        WHERE state = 2 AND queue = :queue{queue} AND route = :route{route} AND name = :name{name}"""
    highest = f"SELECT priority {of_lane} {{below}} ORDER BY priority DESC LIMIT 1"
    return f"""SELECT job.id, job.priority, job.pos, job.size FROM (
        WITH RECURSIVE level (priority) AS (
            SELECT ({highest.format(below="")})
            UNION ALL
            SELECT ({highest.format(below="AND priority < level.priority")}) FROM level WHERE level.priority IS NOT NULL
        ) SELECT priority FROM level
    ) AS level CROSS JOIN stoker_job AS job NOT INDEXED
        ON job.id IN (SELECT id {of_lane} AND priority = level.priority ORDER BY pos LIMIT :limit{queue})
    WHERE NOT EXISTS (SELECT 1 FROM stoker_pause WHERE kind = 'name' AND value = :name{name})"""


def extend_steps(tokens: Sequence[Token], lease: int, *, stopping: bool, started: Sequence[JobId]) -> tuple[Sql, ...]:
    """Give the steps of a heartbeat; only a suspect that begins to run has its job's row touched."""
    params: dict[str, str | int | None] = {"tokens": encode(tokens), "lease": lease, "stopping": int(stopping)}
    steps = [Sql(RENEW, params)]
    if started:
        steps.append(Sql(BEGIN_SUSPECTS, params | {"started": encode(row_ids(started))}))
    return (*steps, Sql(HELD, params))


def extended(tokens: Sequence[Token]) -> Callable[[Replies], Extended]:
    """Give the reader of a heartbeat's reply."""

    def read(replies: Replies) -> Extended:
        held, cancelling = replies[-1][0]
        return Extended(frozenset(tokens) - frozenset(read_array(held)), frozenset(read_array(cancelling)))

    return read
