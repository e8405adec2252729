# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""Operators' verbs: which jobs is looked up first; each statement then makes sure that they are still as they were."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Final

import msgspec

from stoker.core.command import Replies, Rings, Sql, Value
from stoker.core.filters import Filter
from stoker.core.job import Changed, JobId, State
from stoker.stores.pgmq.commands import Course
from stoker.stores.pgmq.finding import Found, search
from stoker.stores.pgmq.urls import PgmqUrl
from stoker.stores.pgmq.wire import job_id
from stoker.stores.pgmq.work import NOW, SEEN, on_tables

_WAITING: Final = (State.SCHEDULED, State.AVAILABLE, State.RETRYABLE)
_LATER: Final = (State.SCHEDULED, State.RETRYABLE)
_FROM: Final = {
    "cancel": _WAITING,
    "promote_now": _LATER,
    "retry": (*_LATER, State.CANCELLED, State.DISCARDED),
    "requeue": (State.RUNNING,),
    "delete": (*_WAITING, State.COMPLETED, State.CANCELLED, State.DISCARDED),
}
_IDS: Final = "string_to_array(:ids::text, ',')::bigint[]"
# What waits has no reads but those that its notes know of.
_LOCKED: Final = f"""locked AS MATERIALIZED (
    SELECT m.msg_id AS id, m.read_ct AS read, m.vt > {NOW} AS later, @notes AS before FROM {{table}} AS m
    WHERE m.msg_id = ANY ({_IDS}) AND m.read_ct = {SEEN} ORDER BY m.msg_id FOR UPDATE SKIP LOCKED
)"""
_UPDATE: Final = """UPDATE {table} AS m SET @set_notes{and_more} FROM x
WHERE m.msg_id = ANY (ARRAY(SELECT id FROM x)) AND m.msg_id = x.id RETURNING m.msg_id"""

CANCEL: Final = f"""
WITH {_LOCKED}, x AS MATERIALIZED (
    SELECT id, before || jsonb_build_object('state', 'cancelled', 'finished', :now) AS notes,
        CASE WHEN before ? 'keep_failed' THEN (before->>'keep_failed')::bigint ELSE :keep::bigint END AS keep
    FROM locked
), keeping AS (
    INSERT INTO stoker.kept (queue, id, until) SELECT :queue::text, id, :now + keep FROM x
    WHERE keep IS NOT NULL AND keep > 0 AND :archive::boolean
)
{_UPDATE.replace("{and_more}", "")}"""
CANCELLED: Final = f"""
WITH over AS MATERIALIZED (
    SELECT m.msg_id, @notes AS notes FROM {{table}} AS m WHERE m.msg_id = ANY ({_IDS})
        AND @notes->>'state' = 'cancelled' AND m.read_ct = {SEEN}
)
SELECT (SELECT count(*) FROM pgmq.archive(:queue::text, ARRAY(
        SELECT msg_id FROM over WHERE :archive::boolean AND notes->>'keep_failed' IS DISTINCT FROM '0')) AS done),
    (SELECT count(*) FROM pgmq.delete(:queue::text, ARRAY(
        SELECT msg_id FROM over WHERE NOT :archive::boolean OR notes->>'keep_failed' = '0')) AS done)"""

# Back into its queue under the number that it had.
REVIVE: Final = f"""
WITH gone AS (
    DELETE FROM {{archive}} AS m
    WHERE m.msg_id = ANY ({_IDS}) AND @notes->>'state' IN ('cancelled', 'discarded') RETURNING *
), unkept AS (
    DELETE FROM stoker.kept WHERE queue = :queue::text AND id = ANY ({_IDS})
)
INSERT INTO {{table}} (msg_id, read_ct, enqueued_at, vt@last_read, @message) OVERRIDING SYSTEM VALUE
SELECT msg_id, read_ct, enqueued_at, vt@last_read, @message FROM gone"""
RETRY: Final = f"""
WITH {_LOCKED}, x AS MATERIALIZED (
    SELECT id, (before - '{{{{state,finished,result,due}}}}'::text[]) || jsonb_build_object('crashes', 0, 'seen', read,
        'max_attempts', greatest(coalesce((before->>'max_attempts')::integer, 20),
            coalesce((before->>'failures')::integer, 0) + 1)) AS notes
    FROM locked WHERE later OR before ? 'state'
)
{_UPDATE.replace("{and_more}", f", vt = {NOW}")}""".replace("{{", "{").replace("}}", "}")
PROMOTE_NOW: Final = f"""
WITH {_LOCKED}
UPDATE {{table}} AS m SET vt = {NOW} WHERE m.msg_id = ANY (ARRAY(SELECT id FROM locked WHERE later))
RETURNING m.msg_id"""

# Out of its lease first: whoever settles it locks that.
REQUEUE: Final = f"""
WITH silent AS MATERIALIZED (
    SELECT token, at, worker, ids, reads, dues FROM stoker.lease WHERE queue = :queue::text AND ids && {_IDS}
        AND (:force::boolean OR until < :now) ORDER BY token FOR UPDATE SKIP LOCKED
), held AS MATERIALIZED (
    SELECT silent.token, silent.at, silent.worker, one.id, one.read, one.due, one.place
    FROM silent CROSS JOIN LATERAL unnest(ids, reads, dues) WITH ORDINALITY AS one (id, read, due, place)
), x AS MATERIALIZED (
    SELECT held.token, held.id, @notes || jsonb_build_object('seen', read, 'worker', worker, 'started', at) AS notes
    FROM held JOIN {{table}} AS m ON m.msg_id = held.id AND m.read_ct = held.read
    WHERE m.msg_id = ANY ({_IDS}) FOR UPDATE OF m SKIP LOCKED
), stayed AS MATERIALIZED (
    SELECT token, array_agg(id ORDER BY place) AS ids, array_agg(read ORDER BY place) AS reads,
        array_agg(due ORDER BY place) AS dues
    FROM held WHERE NOT EXISTS (SELECT FROM x WHERE x.token = held.token AND x.id = held.id) GROUP BY token
), emptied AS (
    DELETE FROM stoker.lease WHERE queue = :queue::text AND token = ANY (ARRAY(SELECT token FROM silent))
        AND token <> ALL (ARRAY(SELECT token FROM stayed))
), shortened AS (
    UPDATE stoker.lease SET ids = stayed.ids, reads = stayed.reads, dues = stayed.dues FROM stayed
    WHERE lease.token = stayed.token AND lease.queue = :queue::text
)
{_UPDATE.replace("{and_more}", f", vt = {NOW}")}"""

DELETE: Final = f"""
WITH {_LOCKED}, waiting AS MATERIALIZED (
    SELECT deleted AS id FROM pgmq.delete(:queue::text, ARRAY(SELECT id FROM locked)) AS deleted
), archived AS (
    DELETE FROM {{archive}} AS m WHERE m.msg_id = ANY ({_IDS}) AND @notes ? 'state' RETURNING m.msg_id
), unkept AS (
    DELETE FROM stoker.kept WHERE queue = :queue::text AND id = ANY ({_IDS})
)
SELECT id FROM waiting UNION ALL SELECT msg_id FROM archived"""

_TEXTS: Final[dict[str, tuple[int, tuple[str, ...]]]] = {
    "cancel": (0, (CANCEL, CANCELLED)),
    "retry": (1, (REVIVE, RETRY)),
    "promote_now": (0, (PROMOTE_NOW,)),
    "requeue": (0, (REQUEUE,)),
    "delete": (0, (DELETE,)),
}
"""For each verb its statements, and which of them answers with the messages that it changed."""


def change(
    url: PgmqUrl, verb: str, only: Filter, limit: int, keep: int | None, *, force: bool = False
) -> Callable[[], Course[Changed]]:
    """Do what a verb does to up to ``limit`` matching jobs."""
    where, texts = _TEXTS[verb]

    def course() -> Course[Changed]:
        found = yield from _matching(url, verb, only, limit + 1)
        by_queue: defaultdict[str, list[int]] = defaultdict(list)
        for one in found[:limit]:
            by_queue[one.place[1]].append(one.place[2])
        changed: set[JobId] = set()
        for queue, numbers in by_queue.items():
            table = url.table(queue)
            params: dict[str, Value] = {"queue": table, "ids": ",".join(map(str, numbers)), "force": force}
            params |= {"archive": url.on_failure == "archive", "keep": keep}
            steps = tuple(Sql(on_tables(text, table), params) for text in texts)
            replies: Replies = yield Rings(verb, steps, lambda replies: replies, queues=frozenset({queue}))
            changed.update(job_id(queue, row[0]) for row in replies[where])
        order = tuple(one.job.id for one in found[:limit] if one.job.id in changed)
        return Changed(len(order), len(found) > limit, order)

    return course


def _matching(url: PgmqUrl, verb: str, only: Filter, limit: int) -> Course[list[Found]]:
    allowed = _FROM[verb]
    states = tuple(state for state in allowed if not only.states or state in only.states)
    if not states:
        return []
    return (yield from search(url, msgspec.structs.replace(only, states=states), limit))
