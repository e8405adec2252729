# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""What maintenance does: promote, reclaim, prune, lead. Each writes nothing where there is nothing to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stoker.core.command import Replies, Sql, Value
from stoker.core.duration import SECOND
from stoker.core.job import Changed, JobId, Moved, Reclaimed, Token
from stoker.stores.codes import encode
from stoker.stores.sqlite.batches import PRUNE as PRUNE_BATCHES
from stoker.stores.sqlite.wire import CLOSE_WINDOWS, DELETE_UNKEPT, read_array

RECEIPTS_KEPT_FOR: Final = 3600 * SECOND
BATCHES_KEPT_FOR: Final = 14 * 86_400 * SECOND
"""After the end of a batch; as long as one of its jobs is there, it is too."""

# -- promote ---------------------------------------------------------------------------------------------------------

_DUE: Final = """SELECT id, run_at FROM stoker_job INDEXED BY stoker_job_due
    WHERE state IN (1, 4) AND run_at <= :now ORDER BY run_at LIMIT :limit"""

COUNT_DUE: Final = f"SELECT count(*) AS count FROM ({_DUE})"

PROMOTE: Final = f"""
UPDATE stoker_job NOT INDEXED SET state = 2, pos = (SELECT value FROM stoker_counter) + due.place
FROM (SELECT id, row_number() OVER (ORDER BY run_at, id) AS place FROM ({_DUE}) LIMIT -1) AS due
WHERE stoker_job.id = due.id"""

ADVANCE_IF_CHANGED: Final = "UPDATE stoker_counter SET value = value + :limit WHERE changes() > 0"

NEXT_DUE: Final = """
SELECT (
    SELECT CAST(run_at AS INTEGER) FROM stoker_job INDEXED BY stoker_job_due
    WHERE state IN (1, 4) ORDER BY run_at LIMIT 1
) AS due"""


def promote_steps(limit: int) -> tuple[Sql, ...]:
    """Give the steps that make due jobs available, those that were due first in front."""
    params = {"limit": limit}
    return tuple(Sql(text, params) for text in (COUNT_DUE, CLOSE_WINDOWS, PROMOTE, ADVANCE_IF_CHANGED, NEXT_DUE))


def promoted(replies: Replies) -> Moved:
    """Read the answer of a promote."""
    return Moved(replies[0][0][0], replies[-1][0][0])


# -- reclaim ---------------------------------------------------------------------------------------------------------

_LAPSED: Final = """(SELECT token, worker, stopping, ids FROM stoker_lease
        WHERE until < :now ORDER BY until LIMIT :limit)"""
_GIVEN: Final = """(SELECT token, worker, stopping, ids FROM stoker_lease
        WHERE token IN (SELECT value FROM json_each(:tokens)))"""

# A crash counts for a job that ran, unless its worker was stopping in order. Of jobs claimed together nobody knows
# which one ran; therefore one that was in a crash before (a suspect) is marked when it begins, and counts only then.
_TAKEN: Final = """
    SELECT id, place, worker, attempt, crashed, crashes + crashed AS crashes, crash_limit, keep_failed,
        CASE WHEN cancelling THEN 6 WHEN crashed AND crashes + 1 >= crash_limit THEN 7 ELSE 2 END AS state
    FROM (
        SELECT job.*, lease.worker AS worker, row_number() OVER () AS place,
            job.failures + job.crashes + 1 AS attempt,
            NOT (job.cancelling OR lease.stopping OR (job.crashes > 0 AND NOT job.begun)) AS crashed
        FROM {leases} AS lease CROSS JOIN json_each(lease.ids) AS one
        CROSS JOIN (SELECT id, state, token, failures, crashes, crash_limit, keep_failed, cancelling, begun
            FROM stoker_job NOT INDEXED) AS job ON job.id = one.value
        WHERE job.state = 3 AND job.token = lease.token
    ) LIMIT -1"""

TELL_TAKEN: Final = """
SELECT CAST(json_group_array(json_array(CAST(id AS TEXT), state)) AS BLOB) AS taken FROM ({taken})"""

RECORD_CRASHES: Final = """
INSERT INTO stoker_failure (job, attempt, at, type, message, trace, worker)
SELECT id, attempt, :now, 'LeaseExpired',
    'worker ' || worker || ' went silent (crash ' || crashes || ' of ' || crash_limit || ')', '', worker
FROM ({taken}) WHERE crashed"""

TAKE_BACK: Final = """
UPDATE stoker_job NOT INDEXED SET state = taken.state, token = NULL, crashes = taken.crashes,
    pos = CASE taken.state WHEN 2 THEN (SELECT value FROM stoker_counter) + taken.place ELSE pos END,
    run_at = CASE taken.state WHEN 2 THEN :now ELSE run_at END,
    finished_at = CASE WHEN taken.state > 5 THEN :now END,
    expires_at = CASE WHEN taken.state > 5 THEN :now + taken.keep_failed END
FROM ({taken}) AS taken
WHERE stoker_job.id = taken.id"""

ADVANCE_BY_LEASES: Final = """
UPDATE stoker_counter SET value = value + (SELECT sum(json_array_length(ids)) FROM {leases})
WHERE EXISTS (SELECT 1 FROM {leases})"""

DELETE_LEASES: Final = "DELETE FROM stoker_lease WHERE token IN (SELECT token FROM {leases})"

_RECLAIM: Final = (
    TELL_TAKEN,
    RECORD_CRASHES,
    CLOSE_WINDOWS,
    TAKE_BACK,
    ADVANCE_BY_LEASES,
    DELETE_UNKEPT,
    DELETE_LEASES,
)


def reclaim_steps(limit: int, tokens: Sequence[Token]) -> tuple[Sql, ...]:
    """Give the steps that take back the jobs of lapsed leases, the longest lapsed first, or of the given ones."""
    leases = _GIVEN if tokens else _LAPSED
    taken = _TAKEN.format(leases=leases)
    params: dict[str, Value] = {"limit": limit, "tokens": encode(tokens)}
    return tuple(Sql(text.format(leases=leases, taken=taken), params) for text in _RECLAIM)


def reclaimed(replies: Replies) -> Reclaimed:
    """Read the answer of a reclaim."""
    by_state: dict[int, list[JobId]] = {2: [], 6: [], 7: []}
    for id, state in read_array(replies[0][0][0]):
        by_state[state].append(JobId(id))
    return Reclaimed(tuple(by_state[2]), tuple(by_state[6]), tuple(by_state[7]))


# -- prune -----------------------------------------------------------------------------------------------------------

_EXPIRED: Final = """SELECT id FROM stoker_job INDEXED BY stoker_job_expiry
    WHERE expires_at <= :now ORDER BY expires_at"""

TELL_EXPIRED: Final = f"""
SELECT CAST((SELECT json_group_array(CAST(id AS TEXT)) FROM ({_EXPIRED} LIMIT :limit + 1)) AS BLOB) AS expired"""

PRUNE: Final = f"DELETE FROM stoker_job NOT INDEXED WHERE id IN ({_EXPIRED} LIMIT :limit)"

# Receipts are numbered in the order of their calls, so the oldest are at the head; those of `receive` stay.
DELETE_RECEIPTS: Final = """
DELETE FROM stoker_call
WHERE first IN (SELECT first FROM stoker_call WHERE at <= :now ORDER BY first LIMIT :limit) AND at < :now - :kept"""

MORE_RECEIPTS: Final = """
SELECT (SELECT at < :now - :kept FROM stoker_call WHERE at <= :now ORDER BY first LIMIT 1) AS more"""

# A rate whose bucket is full again is as good as one that was never used.
FORGET_BUCKETS: Final = """
DELETE FROM stoker_bucket WHERE NOT EXISTS (
    SELECT 1 FROM stoker_rule AS rule
    WHERE rule.name = substr(stoker_bucket.key, 1, instr(stoker_bucket.key, '=') - 1)
        AND rule.starts IS NOT NULL AND stoker_bucket.at + rule.per >= :now)"""

FORGET_WORKERS: Final = "DELETE FROM stoker_worker WHERE until <= :now"


def prune_steps(limit: int) -> tuple[Sql, ...]:
    """Give the steps that delete what is kept no longer."""
    params = {"limit": limit, "kept": RECEIPTS_KEPT_FOR, "kept_batches": BATCHES_KEPT_FOR}
    texts = (
        *(TELL_EXPIRED, PRUNE, DELETE_RECEIPTS, CLOSE_WINDOWS, FORGET_WORKERS),
        *(FORGET_BUCKETS, PRUNE_BATCHES, MORE_RECEIPTS),
    )
    return tuple(Sql(text, params) for text in texts)


def pruned(limit: int, replies: Replies) -> Changed:
    """Read the answer of a prune; ``more`` also while old receipts are left."""
    ids = read_array(replies[0][0][0])
    return Changed(len(ids[:limit]), len(ids) > limit or bool(replies[-1][0][0]), tuple(map(JobId, ids[:limit])))


# -- lead ------------------------------------------------------------------------------------------------------------

LEAD: Final = """
INSERT INTO stoker_leader (role, holder, until) VALUES (:role, :holder, :now + :ttl)
ON CONFLICT (role) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE holder = excluded.holder OR until <= :now"""

RESIGN: Final = "DELETE FROM stoker_leader WHERE role = :role AND holder = :holder"

LEADS: Final = "SELECT EXISTS (SELECT 1 FROM stoker_leader WHERE role = :role AND holder = :holder) AS leads"


def lead_steps(role: str, holder: str, ttl: int) -> tuple[Sql, ...]:
    """Give the steps by which a holder becomes, stays or stops being the leader."""
    params: dict[str, Value] = {"role": role, "holder": holder, "ttl": ttl}
    return (Sql(LEAD if ttl else RESIGN, params), Sql(LEADS, params))


def leads(replies: Replies) -> bool:
    """Read the answer of a lead."""
    return bool(replies[-1][0][0])
