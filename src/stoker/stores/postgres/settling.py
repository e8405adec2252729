# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""How attempts end: every ending that its (id, token) guards, in a few statements for all of them.

The leases are locked first. Whoever takes a job out of `running` does so, and takes it out of its lease; so what a
later step reads there still holds when it writes. Jobs are found by an array of ids (see `work`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from stoker.core.command import Replies, Sql
from stoker.core.job import AttemptFailure, JobId, State, Token
from stoker.core.settlement import Settled, Settlement
from stoker.stores.codes import CODES, are_row_ids, encode, json_text, row_ids
from stoker.stores.postgres.slots import CLOSE_WINDOWS
from stoker.stores.postgres.wire import LINED, STATE, plain

LOCK: Final = """
SELECT FROM stoker.lease WHERE token = ANY (ARRAY(SELECT json_array_elements_text(:tokens::json)))
ORDER BY token FOR UPDATE"""

_TOKENS: Final = "ARRAY(SELECT json_array_elements_text(:tokens::json))"

# Row by row what the leases hold, and what of it `said` speaks of.
_HELD: Final = f"""held AS MATERIALIZED (
    SELECT lease.token, lease.worker, lease.at, one.id, one.place
    FROM stoker.lease CROSS JOIN LATERAL unnest(lease.ids) WITH ORDINALITY AS one (id, place)
    WHERE lease.token = ANY ({_TOKENS})
), pairs AS MATERIALIZED (SELECT said.*, held.worker, held.at FROM said JOIN held USING (token, id))"""

# What was said leaves the lease, and a lease with nothing left goes. To count is cheaper than to compare one by one: so
# where everything held was spoken of, or nothing was refused, that is all that is done.
_REST: Final = f"""left_over AS MATERIALIZED (
    SELECT token, array_agg(id ORDER BY place) AS ids FROM held
    WHERE (SELECT count(*) FROM held) > (SELECT count(*) FROM pairs)
        AND NOT EXISTS (SELECT FROM pairs WHERE pairs.token = held.token AND pairs.id = held.id) GROUP BY token
), emptied AS (
    DELETE FROM stoker.lease
    WHERE token = ANY ({_TOKENS}) AND NOT EXISTS (SELECT FROM left_over WHERE left_over.token = lease.token)
), shortened AS (
    UPDATE stoker.lease SET ids = left_over.ids FROM left_over WHERE lease.token = left_over.token
), refused AS MATERIALIZED (
    SELECT id, token FROM said WHERE (SELECT count(*) FROM said) > (SELECT count(*) FROM {{ended}})
        AND NOT EXISTS (SELECT FROM {{ended}} AS one WHERE one.id = said.id)
)
SELECT refused.id::text, refused.token,
    CASE WHEN job.id IS NULL THEN 'gone' WHEN job.token = refused.token AND job.state <> 3 THEN 'repeated'
        ELSE 'lost' END
FROM refused LEFT JOIN (
    SELECT id, token, {STATE} AS state FROM stoker.job AS job WHERE id = ANY (ARRAY(SELECT id FROM refused))
) AS job ON job.id = refused.id"""

DELETE: Final = f"""
WITH said AS MATERIALIZED (
    SELECT claim.key AS token, unnest(string_to_array(claim.value, ','))::bigint AS id
    FROM json_each_text(:claims::json) AS claim
), {_HELD}, ended AS (
    DELETE FROM stoker.job WHERE state = 2 AND id = ANY (ARRAY(SELECT id FROM pairs)) RETURNING id
), {_REST.format(ended="ended")}"""

# `endings` is {token: {id: "duration result"}}.
COMPLETE: Final = f"""
WITH said AS MATERIALIZED (
    SELECT claim.key AS token, one.key::bigint AS id, split_part(one.value, ' ', 1)::bigint AS duration,
        nullif(substr(one.value, strpos(one.value || ' ', ' ') + 1), '') AS result
    FROM json_each(:endings::json) AS claim CROSS JOIN LATERAL json_each_text(claim.value) AS one
), {_HELD}, ended AS (
    UPDATE stoker.job SET state = 5, token = pairs.token, worker = pairs.worker, starts = starts + 1,
        cancelling = false, finished_at = :now, expires_at = :now + :keep::bigint, keep = :keep::bigint,
        result = pairs.result, started_at = CASE pairs.duration WHEN 0 THEN pairs.at ELSE :now - pairs.duration END
    FROM pairs WHERE job.id = pairs.id AND job.state = 2 RETURNING job.id
), {_REST.format(ended="ended")}"""

# NOWAIT, because a handler may have left the transaction open in which it completed the job: whoever waited for that
# would keep heartbeats from the lease. The unit is tried again.
# A job that somebody asked to stop gets no other ending than a final one. One that is kept for no time goes at once.
END: Final = f"""
WITH said AS MATERIALIZED (
    SELECT place, (value->>0)::bigint AS id, value->>1 AS token, (value->>2)::smallint AS wanted,
        coalesce((value->>3)::bigint, :now + (value->>4)::bigint) AS due, (value->>5)::bigint AS keep,
        value->>6 AS result, (value->>7)::bigint AS duration, (value->>8)::integer AS failed,
        (value->>9)::integer AS snoozed, value->10 AS error
    FROM json_array_elements(:endings::json) WITH ORDINALITY AS ending (value, place)
), {_HELD}, locked AS MATERIALIZED (
    SELECT id, cancelling, keep_failed FROM stoker.job
    WHERE state = 2 AND id = ANY (ARRAY(SELECT id FROM pairs)) ORDER BY id FOR UPDATE NOWAIT
), judged AS MATERIALIZED (
    SELECT pairs.*, CASE WHEN wanted >= 5 THEN keep ELSE keep_failed END AS kept,
        CASE WHEN wanted >= 5 THEN wanted WHEN cancelling THEN 6 WHEN wanted = 2 AND due > :now THEN 1
            ELSE wanted END AS next
    FROM pairs JOIN locked USING (id) ORDER BY place
), gone AS (
    DELETE FROM stoker.job WHERE id = ANY (ARRAY(SELECT id FROM judged WHERE next >= 5 AND kept = 0)) RETURNING id
), ending AS MATERIALIZED (
    SELECT judged.*, CASE next WHEN 2 THEN nextval('stoker.line') END AS pos
    FROM judged WHERE next < 5 OR kept IS NULL OR kept > 0
), recorded AS (
    INSERT INTO stoker.failure (id, job, attempt, at, type, message, trace, worker)
    SELECT nextval('stoker.line'), id, (error->>0)::integer, :now, error->>1, error->>2, error->>3, error->>4
    FROM ending WHERE json_typeof(error) = 'array'
), ended AS (
    UPDATE stoker.job SET state = ending.next, token = ending.token, worker = ending.worker, starts = starts + 1,
        cancelling = false, begun = NULL, failures = failures + ending.failed, snoozes = snoozes + ending.snoozed,
        result = CASE WHEN ending.wanted >= 5 THEN ending.result END,
        started_at = CASE ending.duration WHEN 0 THEN ending.at ELSE :now - ending.duration END,
        failed_at = CASE json_typeof(error) WHEN 'array' THEN :now ELSE failed_at END,
        pos = coalesce(ending.pos, job.pos),
        run_at = CASE WHEN ending.next = 2 THEN :now WHEN ending.next >= 5 THEN run_at ELSE ending.due END,
        finished_at = CASE WHEN ending.next >= 5 THEN :now END,
        expires_at = CASE WHEN ending.next >= 5 THEN :now + ending.kept END,
        keep = CASE ending.next WHEN 5 THEN ending.kept ELSE job.keep END,
        keep_failed = CASE WHEN ending.next > 5 THEN ending.kept ELSE job.keep_failed END
    FROM ending WHERE job.id = ending.id
    RETURNING job.*
), {LINED.format(moved="ended")}, {_REST.format(ended="judged")}"""


class Endings(msgspec.Struct):
    """The settlements of one call, sorted by the statement that carries them out."""

    tokens: set[Token]
    deleted: dict[Token, list[JobId]]
    completed: dict[int | None, dict[Token, dict[JobId, str]]]
    """By how long they are kept."""
    others: list[Settlement]


def sort_out(settlements: Sequence[Settlement]) -> Endings:
    """Sort settlements; of two for the same attempt the first counts, and `running` is no ending and left out."""
    tokens: set[Token] = set()
    deleted: defaultdict[Token, list[JobId]] = defaultdict(list)
    completed: defaultdict[int | None, defaultdict[Token, dict[JobId, str]]] = defaultdict(lambda: defaultdict(dict))
    others: list[Settlement] = []
    # The one loop over the endings of a busy worker: names are looked up once, and nothing is called that need not be.
    done, none = State.COMPLETED, "none"
    for ending in _valid(settlements):
        token = ending.token
        tokens.add(token)
        if ending.state is not done or ending.error is not None or ending.counts != none:
            others.append(ending)
        elif ending.keep == 0:
            deleted[token].append(ending.id)
        else:
            result = "" if ending.result is None else f" {json_text(ending.result)}"
            completed[ending.keep][token][ending.id] = f"{ending.duration}{result}"
    return Endings(tokens, deleted, dict(completed), others)


def _valid(settlements: Sequence[Settlement]) -> Sequence[Settlement]:
    if len({ending.id for ending in settlements}) < len(settlements):
        settlements = list({(ending.id, ending.token): ending for ending in reversed(settlements)}.values())
    if _odd(settlements):
        return [ending for ending in settlements if ending.state is not State.RUNNING and row_ids((ending.id,))]
    return settlements


def _odd(settlements: Sequence[Settlement]) -> bool:
    """Tell whether one of them is none: its state is no ending, or its id none of this store's."""
    running = State.RUNNING
    return any(ending.state is running for ending in settlements) or not are_row_ids(
        [ending.id for ending in settlements]
    )


def settle_steps(endings: Endings) -> tuple[Sql, ...]:
    """Give the steps that carry out what the endings need, and no others."""
    if not endings.tokens:
        return ()
    steps = [Sql(LOCK, {"tokens": encode(list(endings.tokens))})]
    if endings.deleted:
        claims = {token: ",".join(ids) for token, ids in endings.deleted.items()}
        steps.append(Sql(DELETE, {"claims": encode(claims), "tokens": encode(list(claims))}))
    for keep, by_token in endings.completed.items():
        params = {"endings": encode(by_token), "keep": keep, "tokens": encode(list(by_token))}
        steps.append(Sql(COMPLETE, params, replan=True))
    if endings.others:
        steps += _other_steps(endings.others)
    return tuple(steps)


def settled(settlements: Sequence[Settlement]) -> Callable[[Replies], dict[JobId, Settled]]:
    """Give the reader of the answers."""

    def read(replies: Replies) -> dict[JobId, Settled]:
        refused = [row for rows in replies for row in rows if len(row) == 3]
        accepted = dict.fromkeys((ending.id for ending in settlements), Settled.ACCEPTED)
        if not refused and len(accepted) == len(settlements) and not _odd(settlements):
            return accepted
        return _answers(settlements, {(JobId(id), Token(token)): Settled(said) for id, token, said in refused})

    return read


def _answers(settlements: Sequence[Settlement], refused: dict[tuple[JobId, Token], Settled]) -> dict[JobId, Settled]:
    answers: dict[JobId, Settled] = {}
    for ending in settlements:
        answer = refused.get((ending.id, ending.token), Settled.ACCEPTED)
        if ending.state is State.RUNNING:
            answer = Settled.LOST
        elif not row_ids((ending.id,)):
            answer = Settled.GONE
        if answers.get(ending.id) is not Settled.ACCEPTED:
            answers[ending.id] = answer
    return answers


def _other_steps(others: list[Settlement]) -> list[Sql]:
    rows = [
        (
            ending.id,
            ending.token,
            CODES[ending.state],
            ending.due.at,
            ending.due.delay,
            ending.keep,
            None if ending.result is None else json_text(ending.result),
            ending.duration,
            int(ending.counts == "failure"),
            int(ending.counts == "snooze"),
            _error(ending.error),
        )
        for ending in others
    ]
    tokens = encode(list({ending.token for ending in others}))
    return [Sql(CLOSE_WINDOWS, {}), Sql(END, {"endings": encode(rows), "tokens": tokens}, replan=True)]


def _error(error: AttemptFailure | None) -> tuple[int | str, ...] | None:
    if error is None:
        return None
    return (error.attempt, plain(error.type), plain(error.message), plain(error.trace), plain(error.worker))
