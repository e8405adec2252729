# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""How attempts end: settle and complete.

The leases are locked first: whoever takes a message out of one does so. Then messages are locked whose read_ct is that
of the lease, and noted as ended; what becomes of them is pgmq's own `delete`, `archive` or `set_vt`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from stoker.core.command import Command, Replies, Retry, Sql, Value
from stoker.core.job import AttemptFailure, JobId, State, Token
from stoker.core.settlement import Settled, Settlement
from stoker.stores.codes import encode, json_text
from stoker.stores.pgmq.commands import IntoQueues
from stoker.stores.pgmq.intake import follow_steps
from stoker.stores.pgmq.urls import PgmqUrl
from stoker.stores.pgmq.wire import parted
from stoker.stores.pgmq.work import on_tables

LOCK: Final = """
SELECT FROM stoker.lease WHERE token = ANY (ARRAY(SELECT json_array_elements_text(:tokens::json)))
ORDER BY token, queue FOR UPDATE"""

_HELD: Final = """held AS MATERIALIZED (
    SELECT lease.token, lease.worker, lease.at, one.id, one.read, one.due AS since, one.place
    FROM stoker.lease CROSS JOIN LATERAL unnest(lease.ids, lease.reads, lease.dues)
        WITH ORDINALITY AS one (id, read, due, place)
    WHERE lease.queue = :queue::text AND lease.token = ANY (ARRAY(SELECT json_array_elements_text(:tokens::json)))
), pairs AS MATERIALIZED (
    SELECT said.*, held.worker, held.at, held.read, held.since FROM said JOIN held USING (token, id)
)"""

# NOWAIT, because a handler may have left the transaction open in which it completed the job: whoever waited for that
# would keep heartbeats from the lease. The unit is tried again.
_LOCKED: Final = """locked AS MATERIALIZED (
    SELECT m.msg_id, m.read_ct, @notes AS notes FROM {table} AS m
    WHERE m.msg_id = ANY (ARRAY(SELECT id FROM pairs)) ORDER BY m.msg_id FOR UPDATE NOWAIT
), mine AS MATERIALIZED (
    SELECT pairs.*, locked.notes AS before
    FROM pairs JOIN locked ON locked.msg_id = pairs.id AND locked.read_ct = pairs.read
)"""

_MARKED: Final = """marked AS (
    INSERT INTO stoker.ended (token, queue, at, ids)
    SELECT token, :queue::text, :now, array_agg(id) FROM mine GROUP BY token
)"""

_REFUSED: Final = """
SELECT said.id, said.token, CASE WHEN EXISTS (
    SELECT FROM stoker.lease
    WHERE lease.queue = :queue::text AND lease.token <> said.token AND said.id = ANY (lease.ids)
) OR NOT EXISTS (
    SELECT FROM stoker.ended WHERE ended.token = said.token AND ended.queue = :queue::text AND said.id = ANY (ended.ids)
) THEN CASE WHEN {there} THEN 'lost' ELSE 'gone' END ELSE CASE WHEN {there} THEN 'repeated' ELSE 'gone' END END
FROM said WHERE NOT EXISTS (SELECT FROM mine WHERE mine.token = said.token AND mine.id = said.id)""".replace(
    "{there}",
    "(EXISTS (SELECT FROM {table} AS m WHERE m.msg_id = said.id) "
    "OR EXISTS (SELECT FROM {archive} AS a WHERE a.msg_id = said.id))",
)

# What was said leaves the lease, and a lease with nothing left goes.
_TRIMMED: Final = """left_over AS MATERIALIZED (
    SELECT token, array_agg(id ORDER BY place) AS ids, array_agg(read ORDER BY place) AS reads,
        array_agg(since ORDER BY place) AS dues
    FROM held WHERE (SELECT count(*) FROM held) > (SELECT count(*) FROM pairs)
        AND NOT EXISTS (SELECT FROM pairs WHERE pairs.token = held.token AND pairs.id = held.id) GROUP BY token
), emptied AS (
    DELETE FROM stoker.lease WHERE queue = :queue::text
        AND token = ANY (ARRAY(SELECT json_array_elements_text(:tokens::json)))
        AND NOT EXISTS (SELECT FROM left_over WHERE left_over.token = lease.token)
), shortened AS (
    UPDATE stoker.lease SET ids = left_over.ids, reads = left_over.reads, dues = left_over.dues
    FROM left_over WHERE lease.token = left_over.token AND lease.queue = :queue::text
)"""

_SAID: Final = """said AS MATERIALIZED (
    SELECT claim.key AS token, unnest(string_to_array(claim.value, ','))::bigint AS id
    FROM json_each_text(:claims::json) AS claim
)"""
DELETE: Final = f"""
WITH {_SAID}, {_HELD}, {_LOCKED}, {_MARKED}, {_TRIMMED}, gone AS MATERIALIZED (
    SELECT pgmq.delete(:queue::text, ARRAY(SELECT id FROM mine))
), refused AS MATERIALIZED ({_REFUSED})
SELECT refused.* FROM refused, (SELECT count(*) FROM gone) AS done"""

# All other endings: first they are noted, then carried out, then the leases are cut.
_ENDINGS: Final = """said AS MATERIALIZED (
    SELECT (value->>0)::bigint AS id, value->>1 AS token, value->>2 AS action,
        coalesce((value->>3)::bigint, :now + (value->>4)::bigint) AS due, (value->>5)::integer AS failed,
        (value->>6)::integer AS snoozed, (value->>7)::bigint AS keep, value->8 AS error, value->9 AS ended,
        (value->>10)::bigint AS duration, (value->>11)::boolean AS retry
    FROM jsonb_array_elements(:endings::jsonb) AS ending (value)
)"""
_X: Final = """x AS MATERIALIZED (
    SELECT mine.*, before || jsonb_build_object('seen', read, 'worker', worker, 'retry', retry,
        'started', CASE duration WHEN 0 THEN at ELSE :now - duration END,
        'failures', coalesce((before->>'failures')::integer, 0) + failed,
        'snoozes', coalesce((before->>'snoozes')::integer, 0) + snoozed)
    || CASE WHEN jsonb_typeof(error) = 'object' THEN jsonb_build_object('errors',
        coalesce(before->'errors', '[]') || jsonb_build_array(error || jsonb_build_object('at', :now))) ELSE '{}' END
    || CASE WHEN jsonb_typeof(ended) = 'object' THEN ended || jsonb_build_object('finished', :now, 'due', since)
        ELSE '{}' END AS notes
    FROM mine WHERE action <> 'delete'
)"""
NOTE: Final = f"""
WITH {_ENDINGS}, {_HELD}, {_LOCKED}, {_MARKED}, {_X}, noted AS (
    UPDATE {{table}} AS m SET @set_notes FROM x WHERE m.msg_id = ANY (ARRAY(SELECT id FROM x)) AND m.msg_id = x.id
), keeping AS (
    INSERT INTO stoker.kept (queue, id, until) SELECT :queue::text, id, :now + keep FROM mine
    WHERE action = 'archive' AND keep IS NOT NULL
) {_REFUSED}"""
_STILL: Final = """x AS MATERIALIZED (
    SELECT pairs.* FROM pairs JOIN {table} AS m ON m.msg_id = pairs.id AND m.read_ct = pairs.read
    WHERE m.msg_id = ANY (ARRAY(SELECT id FROM pairs))
)"""
MOVE: Final = f"""
WITH {_ENDINGS}, {_HELD}, {_STILL}, {_TRIMMED}, waiting AS MATERIALIZED (
    SELECT count(*) FROM (SELECT @set_vt FROM x WHERE action = 'wait') AS moved
), archived AS MATERIALIZED (
    SELECT count(*) FROM pgmq.archive(:queue::text, ARRAY(SELECT id FROM x WHERE action = 'archive')) AS moved
), deleted AS MATERIALIZED (
    SELECT count(*) FROM pgmq.delete(:queue::text, ARRAY(SELECT id FROM x WHERE action = 'delete')) AS moved
)
SELECT (SELECT * FROM waiting), (SELECT * FROM archived), (SELECT * FROM deleted)"""

# Inside a caller's transaction the lease is only read: heartbeats must not wait for it.
COMPLETE: Final = f"""
WITH {_ENDINGS}, {_HELD}, {_LOCKED.replace(" NOWAIT", "")}, {_MARKED}, {_X}, noted AS (
    UPDATE {{table}} AS m SET @set_notes FROM x WHERE m.msg_id = x.id AND m.msg_id = ANY (ARRAY(SELECT id FROM x))
), keeping AS (
    INSERT INTO stoker.kept (queue, id, until) SELECT :queue::text, id, :now + keep FROM mine
    WHERE action = 'archive' AND keep IS NOT NULL
) {_REFUSED}"""
CARRY_OUT: Final = f"""
WITH {_ENDINGS}, {_HELD}, {_STILL}, archived AS MATERIALIZED (
    SELECT count(*) FROM pgmq.archive(:queue::text, ARRAY(SELECT id FROM x WHERE action = 'archive')) AS moved
), deleted AS MATERIALIZED (
    SELECT count(*) FROM pgmq.delete(:queue::text, ARRAY(SELECT id FROM x WHERE action = 'delete')) AS moved
)
SELECT (SELECT * FROM archived), (SELECT * FROM deleted)"""


def settle(url: PgmqUrl, settlements: Sequence[Settlement], enqueued: int | None) -> Command[dict[JobId, Settled]]:
    """End attempts, in as many statements as there are queues and kinds of endings."""
    endings = _valid(settlements)
    deleted: defaultdict[str, defaultdict[Token, list[str]]] = defaultdict(lambda: defaultdict(list))
    others: defaultdict[str, list[Settlement]] = defaultdict(list)
    for ending in endings:
        queue, _, number = ending.id.rpartition(":")
        if ending.state is State.COMPLETED and _action(ending, url) == "delete":
            deleted[queue][ending.token].append(number)
        else:
            others[queue].append(ending)
    steps: list[Sql] = []
    queues: list[str] = []
    for queue, claims in deleted.items():
        table = url.table(queue)
        params: dict[str, Value] = {"queue": table, "tokens": encode(list(claims))}
        params["claims"] = encode({token: ",".join(ids) for token, ids in claims.items()})
        steps.append(Sql(on_tables(DELETE, table), params))
        queues.append(queue)
    for queue, group in others.items():
        params = ending_params(url, url.table(queue), group)
        steps += [Sql(on_tables(text, url.table(queue)), params) for text in (NOTE, MOVE)]
        queues += [queue, ""]
    if not steps:
        return Command("settle", (), lambda _: _answers(settlements, {}), writes=False)
    lock = Sql(LOCK, {"tokens": encode(sorted({ending.token for ending in endings}))})
    follow = follow_steps(endings, url, enqueued)

    def read(replies: Replies) -> dict[JobId, Settled]:
        refused = {
            (JobId(f"{queue}:{id}"), Token(token)): Settled(word)
            for queue, rows in zip(queues, replies[1:], strict=False)
            if queue
            for id, token, word in rows
        }
        return _answers(settlements, refused)

    if not follow and all(ending.state.final for ending in endings):
        return Command("settle", (lock, *steps, *follow), read, Retry.KEYED)
    tables = frozenset(url.table(job.queue) for ending in endings for job in ending.then)
    rung = frozenset(queues) - {""} | {job.queue for ending in endings for job in ending.then}
    return IntoQueues("settle", (lock, *steps, *follow), read, Retry.KEYED, queues=rung, tables=tables)


def complete(url: PgmqUrl, ending: Settlement, enqueued: int | None) -> Command[Settled]:
    """Complete an attempt on a caller's connection."""
    place = parted(ending.id)
    if place is None or not _exact(ending.id):
        return Command("complete", (), lambda _: Settled.GONE, joins=True, writes=False)
    table = url.table(place[0])
    params = ending_params(url, table, [ending])
    steps = [Sql(on_tables(text, table), params) for text in (COMPLETE, CARRY_OUT)]
    follow = follow_steps([ending], url, enqueued)

    count = len(steps) + len(follow)

    def read(replies: Replies) -> Settled:
        rows = replies[-count]  # a notification may go before
        return Settled(rows[0][2]) if rows else Settled.ACCEPTED

    tables = frozenset({table, *(url.table(job.queue) for job in ending.then)})
    rung = frozenset(job.queue for job in ending.then)
    if rung:
        return IntoQueues("complete", (*steps, *follow), read, joins=True, queues=rung, tables=tables)
    return Command("complete", tuple(steps), read, joins=True)


def ending_params(url: PgmqUrl, table: str, endings: Sequence[Settlement]) -> dict[str, Value]:
    """Give the parameters of the statements that carry out endings in one queue."""
    rows = [
        (
            ending.id.rpartition(":")[2],
            ending.token,
            _action(ending, url),
            ending.due.at,
            ending.due.delay,
            int(ending.counts == "failure"),
            int(ending.counts == "snooze"),
            ending.keep,
            _error(ending.error),
            _ended(ending),
            ending.duration,
            ending.state is State.RETRYABLE,
        )
        for ending in endings
    ]
    tokens = sorted({ending.token for ending in endings})
    return {"queue": table, "tokens": encode(tokens), "endings": encode(rows)}


def _action(ending: Settlement, url: PgmqUrl) -> str:
    if not ending.state.final:
        return "wait"
    wanted = url.on_success if ending.state is State.COMPLETED else url.on_failure
    return "delete" if ending.keep == 0 else wanted


def _error(error: AttemptFailure | None) -> Mapping[str, Any] | None:
    if error is None:
        return None
    texts = {name: storable(getattr(error, name)) for name in ("type", "message", "trace", "worker")}
    return {"attempt": error.attempt, **texts}


def _ended(ending: Settlement) -> Mapping[str, Any] | None:
    if not ending.state.final:
        return None
    # As text: PostgreSQL's JSON would write numbers and keys anew.
    kept = "keep" if ending.state is State.COMPLETED else "keep_failed"
    return {"state": ending.state, "result": ending.result and json_text(ending.result), kept: ending.keep}


def storable(value: str) -> str:
    """Give a text that PostgreSQL's JSON can hold: lone surrogates and NUL become escapes."""
    return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _exact(id: JobId) -> bool:
    place = parted(id)
    return place is not None and str(place[1]) == id.rpartition(":")[2]


def _valid(settlements: Sequence[Settlement]) -> list[Settlement]:
    """Leave out what is no ending; of two for the same attempt the first counts."""
    unique = {(ending.id, ending.token): ending for ending in reversed(settlements)}
    return [ending for ending in reversed(unique.values()) if ending.state is not State.RUNNING and _exact(ending.id)]


def _answers(settlements: Sequence[Settlement], refused: Mapping[tuple[JobId, Token], Settled]) -> dict[JobId, Settled]:
    answers: dict[JobId, Settled] = {}
    for ending in settlements:
        answer = refused.get((ending.id, ending.token), Settled.ACCEPTED)
        if ending.state is State.RUNNING:
            answer = Settled.LOST
        elif not _exact(ending.id):
            answer = Settled.GONE
        if answers.get(ending.id) is not Settled.ACCEPTED:
            answers[ending.id] = answer
    return answers
