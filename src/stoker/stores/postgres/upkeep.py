# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""What maintenance does: promote, reclaim, prune, lead. Rows that others hold are skipped: they are seen to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from stoker.core.command import Replies, Sql, Value
from stoker.core.duration import SECOND
from stoker.core.job import Changed, JobId, Moved, Reclaimed, Token
from stoker.stores.codes import encode
from stoker.stores.postgres.batches import PRUNE as PRUNE_BATCHES
from stoker.stores.postgres.marks import START, Marks
from stoker.stores.postgres.slots import CLOSE_WINDOWS
from stoker.stores.postgres.wire import LINED, read_ids

RECEIPTS_KEPT_FOR: Final = 3600 * SECOND
BATCHES_KEPT_FOR: Final = 14 * 86_400 * SECOND
"""After the end of a batch; as long as one of its jobs is there, it is too."""

# -- promote ---------------------------------------------------------------------------------------------------------

PROMOTE: Final = f"""
WITH due AS MATERIALIZED (
    SELECT id FROM stoker.job WHERE state IN (1, 4) AND run_at >= :due_from::bigint AND run_at <= :now
    ORDER BY run_at, id LIMIT :limit FOR UPDATE SKIP LOCKED
), placed AS MATERIALIZED (SELECT id, nextval('stoker.line') AS pos FROM due), moved AS (
    UPDATE stoker.job SET state = 2, pos = placed.pos FROM placed
    WHERE job.id = placed.id RETURNING job.*
), {LINED.format(moved="moved")}
SELECT count(*) FROM moved"""

NEXT_DUE: Final = """SELECT (
    SELECT run_at FROM stoker.job WHERE state IN (1, 4) AND run_at >= :due_from::bigint ORDER BY run_at LIMIT 1
) AS due"""


def promote_steps(limit: int, due_from: int) -> tuple[Sql, ...]:
    """Give the steps that make due jobs available, those that were due first in front; none before ``due_from``."""
    return (
        Sql(CLOSE_WINDOWS, {}),
        Sql(PROMOTE, {"limit": limit, "due_from": due_from}, replan=True),
        Sql(NEXT_DUE, {"due_from": due_from}),
    )


def promoted(replies: Replies) -> Moved:
    """Read the answer of a promote."""
    return Moved(replies[1][0][0], replies[-1][0][0])


# -- reclaim ---------------------------------------------------------------------------------------------------------

_LAPSED: Final = "until < :now ORDER BY until LIMIT :limit"
_GIVEN: Final = "token = ANY (ARRAY(SELECT json_array_elements_text(:tokens::json))) ORDER BY token"

# A crash counts for a job that ran, unless its worker was stopping in order. Of jobs claimed together nobody knows
# which one ran; therefore one that was in a crash before (a suspect) is marked when it begins, and counts only then.
# A job that a caller's open transaction is completing stays in its lease.
RECLAIM: Final = f"""
WITH silent AS MATERIALIZED (
    SELECT token, worker, at, stopping, ids FROM stoker.lease WHERE {{leases}} FOR UPDATE SKIP LOCKED
), held AS MATERIALIZED (
    SELECT silent.token, silent.worker, silent.at, silent.stopping, one.id, one.place
    FROM silent CROSS JOIN LATERAL unnest(silent.ids) WITH ORDINALITY AS one (id, place)
), locked AS MATERIALIZED (
    SELECT id, failures, crashes, crash_limit, keep_failed, cancelling, begun FROM stoker.job
    WHERE state = 2 AND id = ANY (ARRAY(SELECT id FROM held)) ORDER BY id FOR UPDATE SKIP LOCKED
), counted AS (
    SELECT held.*, locked.failures, locked.crashes, locked.crash_limit, locked.keep_failed, locked.cancelling,
        NOT (cancelling OR stopping OR (crashes > 0 AND begun IS DISTINCT FROM token)) AS crashed
    FROM held JOIN locked USING (id)
), judged AS MATERIALIZED (
    SELECT *, crashes + crashed::integer AS fallen,
        CASE WHEN cancelling THEN 6 WHEN crashed AND crashes + 1 >= crash_limit THEN 7 ELSE 2 END AS next
    FROM counted ORDER BY token, place
), gone AS (
    DELETE FROM stoker.job WHERE id = ANY (ARRAY(SELECT id FROM judged WHERE next > 5 AND keep_failed = 0))
), placed AS MATERIALIZED (
    SELECT *, CASE next WHEN 2 THEN nextval('stoker.line') END AS pos
    FROM judged WHERE next = 2 OR keep_failed IS NULL OR keep_failed > 0
), recorded AS (
    INSERT INTO stoker.failure (id, job, attempt, at, type, message, trace, worker)
    SELECT nextval('stoker.line'), id, failures + crashes + 1, :now, 'LeaseExpired',
        'worker ' || worker || ' went silent (crash ' || fallen || ' of ' || crash_limit || ')', '', worker
    FROM placed WHERE crashed
), moved AS (
    UPDATE stoker.job SET state = placed.next, token = NULL, worker = placed.worker, starts = starts + 1,
        started_at = placed.at, crashes = placed.fallen, cancelling = false, begun = NULL,
        pos = coalesce(placed.pos, job.pos), run_at = CASE placed.next WHEN 2 THEN :now ELSE run_at END,
        failed_at = CASE WHEN placed.crashed THEN :now ELSE failed_at END,
        finished_at = CASE WHEN placed.next > 5 THEN :now END,
        expires_at = CASE WHEN placed.next > 5 THEN :now + job.keep_failed END
    FROM placed WHERE job.id = placed.id RETURNING job.*
), {LINED.format(moved="moved")}, busy AS MATERIALIZED (
    SELECT held.token, array_agg(held.id ORDER BY held.place) AS ids FROM held
    WHERE NOT EXISTS (SELECT FROM locked WHERE locked.id = held.id)
        AND EXISTS (SELECT FROM stoker.job WHERE job.id = held.id AND job.state = 2) GROUP BY held.token
), kept AS (
    UPDATE stoker.lease SET ids = busy.ids FROM busy WHERE lease.token = busy.token
), ended AS (
    DELETE FROM stoker.lease WHERE token = ANY (ARRAY(SELECT token FROM silent EXCEPT SELECT token FROM busy))
)
SELECT next, string_agg(id::text, ',' ORDER BY token, place) FROM judged GROUP BY next"""


def reclaim_steps(limit: int, tokens: Sequence[Token]) -> tuple[Sql, ...]:
    """Give the steps that take back the jobs of lapsed leases, the longest lapsed first, or of the given ones."""
    params: dict[str, Value] = {"tokens": encode(list(tokens))} if tokens else {"limit": limit}
    return (Sql(CLOSE_WINDOWS, {}), Sql(RECLAIM.format(leases=_GIVEN if tokens else _LAPSED), params, replan=True))


def reclaimed(replies: Replies) -> Reclaimed:
    """Read the answer of a reclaim."""
    by_state: dict[int, tuple[JobId, ...]] = {state: tuple(read_ids(ids)) for state, ids in replies[-1]}
    return Reclaimed(by_state.get(2, ()), by_state.get(6, ()), by_state.get(7, ()))


# -- prune -----------------------------------------------------------------------------------------------------------

PRUNE: Final = """
WITH expired AS MATERIALIZED (
    SELECT id, expires_at FROM stoker.job WHERE expires_at <= :now AND expires_at >= :expired_from::bigint
    ORDER BY expires_at LIMIT :limit + 1 FOR UPDATE SKIP LOCKED
), pruned AS (
    DELETE FROM stoker.job WHERE id = ANY (ARRAY(SELECT id FROM expired LIMIT :limit)) RETURNING id
)
SELECT (SELECT string_agg(id::text, ',' ORDER BY id) FROM pruned), (SELECT count(*) FROM expired) > :limit,
    (SELECT max(expires_at) FROM expired)"""

DELETE_RECEIPTS: Final = """
WITH old AS MATERIALIZED (
    SELECT call, at FROM stoker.call WHERE at < :now - :kept::bigint AND at >= :taken_from::bigint
    ORDER BY at LIMIT :limit + 1 FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM stoker.call WHERE call = ANY (ARRAY(SELECT call FROM old LIMIT :limit))
)
SELECT count(*) > :limit, max(at) FROM old"""

FORGET_WORKERS: Final = """
DELETE FROM stoker.worker
WHERE id = ANY (ARRAY(SELECT id FROM stoker.worker WHERE until <= :now FOR UPDATE SKIP LOCKED))"""


# A rate whose bucket is full again is as good as one that was never used.
FORGET_BUCKETS: Final = """
WITH full_again AS MATERIALIZED (
    SELECT key FROM stoker.bucket WHERE NOT EXISTS (
        SELECT FROM stoker.rule WHERE rule.name = split_part(bucket.key, '=', 1)
            AND rule.starts IS NOT NULL AND bucket.at + rule.per >= :now
    ) FOR UPDATE SKIP LOCKED
)
DELETE FROM stoker.bucket WHERE key = ANY (ARRAY(SELECT key FROM full_again))"""


def prune_steps(limit: int, marks: Marks) -> tuple[Sql, ...]:
    """Give the steps that delete what is kept no longer, each a bounded batch that begins where the last one ended."""
    params: dict[str, Value] = {"limit": limit, "kept": RECEIPTS_KEPT_FOR, "kept_batches": BATCHES_KEPT_FOR}
    params |= {"expired_from": marks.expired_from, "taken_from": marks.taken_from}
    texts = (PRUNE, DELETE_RECEIPTS, CLOSE_WINDOWS, FORGET_WORKERS, FORGET_BUCKETS, PRUNE_BATCHES)
    return tuple(Sql(text, params) for text in texts)


def pruned(marks: Marks) -> Callable[[Replies], Changed]:
    """Give the reader of a prune's answer; ``more`` also while old receipts are left."""

    def read(replies: Replies) -> Changed:
        ((ids, more, last),) = replies[0]
        ((more_receipts, last_taken),) = replies[1]
        # A round ends where nothing more is left; the next one begins at the very beginning.
        marks.expired_from = last if more else START
        marks.taken_from = last_taken if more_receipts else START
        gone = tuple(read_ids(ids))
        return Changed(len(gone), more or more_receipts, gone)

    return read


# -- lead ------------------------------------------------------------------------------------------------------------

LEAD: Final = """
INSERT INTO stoker.leader AS leader (role, holder, until) SELECT :role::text, :holder::text, :now + :ttl::bigint
ON CONFLICT (role) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE leader.holder = excluded.holder OR leader.until <= :now"""

RESIGN: Final = "DELETE FROM stoker.leader WHERE role = :role::text AND holder = :holder::text"

LEADS: Final = "SELECT EXISTS (SELECT FROM stoker.leader WHERE role = :role::text AND holder = :holder::text)"


def lead_steps(role: str, holder: str, ttl: int) -> tuple[Sql, ...]:
    """Give the steps by which a holder becomes, stays or stops being the leader."""
    params: dict[str, Value] = {"role": role, "holder": holder, "ttl": ttl}
    return (Sql(LEAD if ttl else RESIGN, params), Sql(LEADS, params))


def leads(replies: Replies) -> bool:
    """Read the answer of a lead."""
    return bool(replies[-1][0][0])
