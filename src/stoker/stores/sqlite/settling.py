# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""How attempts end: every ending that its (id, token) guards, in a few statements for all of them.

What is refused is listed first, while the guard still stands; every later statement repeats the guard, and the lease
goes last. Rows are found by id (NOT INDEXED leaves the planner no other way, whatever its statistics say).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from stoker.core.command import Replies, Sql, Value
from stoker.core.job import AttemptFailure, JobId, State, Token
from stoker.core.settlement import Settled, Settlement
from stoker.stores.codes import CODES, encode, json_text, text
from stoker.stores.sqlite.batches import COMPLETED
from stoker.stores.sqlite.wire import CLOSE_WINDOWS, DELETE_UNKEPT, read_array

LONGEST_TEXT: Final = 100_000_000
"""SQLite takes values of up to 10⁹ bytes; a text may grow by its escapes."""

REFUSED: Final = """
SELECT CAST(json_group_array(json_array(CAST(one.value AS TEXT), claim.key, CASE
    WHEN job.id IS NULL THEN 'gone' WHEN job.token = claim.key THEN 'repeated' ELSE 'lost' END)) AS BLOB) AS refused
FROM json_each(:claims) AS claim CROSS JOIN json_each(claim.value) AS one
LEFT JOIN stoker_job AS job NOT INDEXED ON job.id = one.value
WHERE job.state IS NOT 3 OR job.token IS NOT claim.key"""

DELETE: Final = """
DELETE FROM stoker_job NOT INDEXED WHERE id IN (
    SELECT job.id FROM json_each(:claims) AS claim CROSS JOIN json_each(claim.value) AS one
    CROSS JOIN stoker_job AS job NOT INDEXED ON job.id = one.value
    WHERE job.state = 3 AND job.token = claim.key
)"""

# `endings` is {token: {id: "duration result"}}: taking an array apart per job would cost as much as the update.
COMPLETE: Final = """
UPDATE stoker_job NOT INDEXED SET state = 5, finished_at = :now, expires_at = :now + :keep, keep = :keep,
    result = ending.result, started_at = CASE ending.duration WHEN 0 THEN started_at ELSE :now - ending.duration END
FROM (
    SELECT one.key AS id, claim.key AS token, CAST(one.value AS INTEGER) AS duration,
        CASE instr(one.value, ' ') WHEN 0 THEN NULL ELSE substr(one.value, 1 + instr(one.value, ' ')) END AS result
    FROM json_each(:endings) AS claim CROSS JOIN json_each(claim.value) AS one LIMIT -1
) AS ending
WHERE stoker_job.id = ending.id AND state = 3 AND stoker_job.token = ending.token"""

KEYS_FOLLOW: Final = """
UPDATE stoker_job NOT INDEXED SET pos = 0
WHERE id IN (
    SELECT one.value FROM json_each(CASE WHEN (SELECT keys FROM stoker_counter) THEN :claims ELSE '{}' END) AS claim
    CROSS JOIN json_each(claim.value) AS one
) AND (slot IS NOT NULL OR gates IS NOT NULL) AND state = 5"""
"""Lets the keys and gates of completed jobs follow (see the triggers stoker_key_follows and stoker_gates_follow)."""

RECORD: Final = """
INSERT INTO stoker_failure (job, attempt, at, type, message, trace, worker)
SELECT job.id, json_extract(said.value, '$[2]'), :now, json_extract(said.value, '$[3]'),
    json_extract(said.value, '$[4]'), json_extract(said.value, '$[5]'), json_extract(said.value, '$[6]')
FROM json_each(:failures) AS said
CROSS JOIN stoker_job AS job NOT INDEXED ON job.id = json_extract(said.value, '$[0]')
WHERE job.state = 3 AND job.token = json_extract(said.value, '$[1]')"""

# A failure whose text holds a NUL travels by itself: SQLite's JSON would cut it off there.
RECORD_ONE: Final = """
INSERT INTO stoker_failure (job, attempt, at, type, message, trace, worker)
SELECT job.id, :attempt, :now, :type, :message, :trace, :worker
FROM stoker_job AS job NOT INDEXED WHERE job.id = :id AND job.state = 3 AND job.token = :token"""

_SAID: Final = ", ".join(
    f"json_extract(value, '$[{place}]') AS {name}"
    for place, name in enumerate(
        ("id", "token", "wanted", "at", "delay", "keep", "result", "duration", "failed", "snoozed")
    )
)

# A job that somebody asked to stop gets no other ending than a final one.
END: Final = f"""
UPDATE stoker_job NOT INDEXED SET state = ending.next, failures = failures + ending.failed,
    snoozes = snoozes + ending.snoozed, result = ending.outcome,
    started_at = CASE ending.duration WHEN 0 THEN started_at ELSE :now - ending.duration END,
    pos = CASE ending.next WHEN 2 THEN (SELECT value FROM stoker_counter) + 1 + ending.place ELSE pos END,
    run_at = CASE WHEN ending.next = 2 THEN :now WHEN ending.next >= 5 THEN run_at ELSE ending.due END,
    finished_at = CASE WHEN ending.next >= 5 THEN :now END,
    expires_at = CASE WHEN ending.next >= 5 THEN :now + ending.kept END,
    keep = CASE ending.next WHEN 5 THEN ending.kept ELSE keep END,
    keep_failed = CASE WHEN ending.next > 5 THEN ending.kept ELSE keep_failed END
FROM (
    SELECT job.id AS id, said.place AS place, said.failed AS failed, said.snoozed AS snoozed,
        said.duration AS duration, said.due AS due,
        CASE WHEN said.wanted >= 5 THEN said.wanted WHEN job.cancelling THEN 6
            WHEN said.wanted = 2 AND said.due > :now THEN 1 ELSE said.wanted END AS next,
        CASE WHEN said.wanted >= 5 THEN said.keep ELSE job.keep_failed END AS kept,
        CASE WHEN said.wanted >= 5 THEN said.result END AS outcome
    FROM (
        SELECT *, coalesce(at, :now + delay) AS due
        FROM (SELECT key AS place, {_SAID} FROM json_each(:endings))
    ) AS said
    CROSS JOIN stoker_job AS job NOT INDEXED ON job.id = said.id
    WHERE job.state = 3 AND job.token = said.token
    LIMIT -1
) AS ending
WHERE stoker_job.id = ending.id"""

ADVANCE: Final = "UPDATE stoker_counter SET value = value + :count"

# The last job of a lease is the likeliest to run still, and spares the look at the others.
RELEASE: Final = """
DELETE FROM stoker_lease
WHERE token IN (SELECT key FROM json_each(:claims))
    AND NOT EXISTS (
        SELECT 1 FROM stoker_job AS job NOT INDEXED
        WHERE job.id = json_extract(stoker_lease.ids, '$[#-1]') AND job.state = 3 AND job.token = stoker_lease.token
    )
    AND NOT EXISTS (
        SELECT 1 FROM json_each(stoker_lease.ids) AS one
        CROSS JOIN stoker_job AS job NOT INDEXED ON job.id = one.value
        WHERE job.state = 3 AND job.token = stoker_lease.token
    )"""


class Endings(msgspec.Struct):
    """The settlements of one call, sorted by the statement that carries them out; ids are texts, as they came."""

    claims: dict[Token, list[JobId]]
    """All of them."""
    deleted: dict[Token, list[JobId]]
    completed: dict[int | None, dict[Token, dict[JobId, str]]]
    """By how long they are kept."""
    others: list[Settlement]


def sort_out(settlements: Sequence[Settlement]) -> Endings:
    """Sort settlements; of two for the same attempt the first counts, and `running` is no ending and left out."""
    if len({ending.id for ending in settlements}) < len(settlements):
        settlements = list({(ending.id, ending.token): ending for ending in reversed(settlements)}.values())
    claims: defaultdict[Token, list[JobId]] = defaultdict(list)
    deleted: defaultdict[Token, list[JobId]] = defaultdict(list)
    completed: defaultdict[int | None, defaultdict[Token, dict[JobId, str]]] = defaultdict(lambda: defaultdict(dict))
    others: list[Settlement] = []
    # The one loop over the endings of a busy worker: names are looked up once, and nothing is called that need not be.
    done, none = State.COMPLETED, "none"
    for ending in settlements:
        token = ending.token
        claims[token].append(ending.id)
        if ending.state is not done or ending.error is not None or ending.counts != none:
            others.append(ending)
        elif ending.keep == 0:
            deleted[token].append(ending.id)
        else:
            result = "" if ending.result is None else f" {ending.result}"
            completed[ending.keep][token][ending.id] = f"{ending.duration}{result}"
    for ending in [ending for ending in others if ending.state is State.RUNNING]:
        claims[ending.token].remove(ending.id)
        others.remove(ending)
    return Endings(claims, deleted, dict(completed), others)


def settle_steps(endings: Endings) -> tuple[Sql, ...]:
    """Give the steps that carry out what the endings need, and no others."""
    claims = {"claims": encode(endings.claims)}
    steps = [Sql(REFUSED, claims)]
    if endings.deleted:
        steps.append(Sql(DELETE, {"claims": encode(endings.deleted)}))
    for keep, by_token in endings.completed.items():
        for part in _completions(by_token):
            steps += [Sql(COMPLETED, {"completed": part}), Sql(COMPLETE, {"endings": part, "keep": keep})]
    if endings.completed:
        steps.append(Sql(KEYS_FOLLOW, claims))
    if endings.others:
        steps += _other_steps(endings.others)
    return (*steps, Sql(RELEASE, claims))


def settled(settlements: Sequence[Settlement]) -> Callable[[Replies], dict[JobId, Settled]]:
    """Give the reader of the answers."""
    accepted: dict[JobId, Settled] = dict.fromkeys((ending.id for ending in settlements), Settled.ACCEPTED)
    bad = any(ending.state is State.RUNNING for ending in settlements)

    def read(replies: Replies) -> dict[JobId, Settled]:
        refused = read_array(next(rows for rows in replies if rows)[0][0])
        return _answers(settlements, refused) if refused or bad else accepted

    return read


def _answers(settlements: Sequence[Settlement], refused: list[Any]) -> dict[JobId, Settled]:
    answers: dict[JobId, Settled] = {}
    said = {(id, token): Settled(answer) for id, token, answer in refused}
    for ending in settlements:
        answer = said.get((ending.id, ending.token), Settled.ACCEPTED)
        if ending.state is State.RUNNING:
            answer = Settled.LOST
        if answers.get(ending.id) is not Settled.ACCEPTED:
            answers[ending.id] = answer
    return answers


def _completions(by_token: dict[Token, dict[JobId, str]]) -> list[str]:
    """Write completions as JSON texts: one, or one for each job where that would be longer than a statement takes."""
    try:
        text = encode(by_token)
    except UnicodeEncodeError:
        text = "\\u0000"
    if "\\u0000" in text:
        # Seldom true: a text that JSON may not hold, or that SQLite's JSON would cut off.
        text = encode({token: {id: json_text(said) for id, said in ends.items()} for token, ends in by_token.items()})
    if len(text) <= LONGEST_TEXT:
        return [text]
    return [encode({token: {id: json_text(said)}}) for token, ends in by_token.items() for id, said in ends.items()]


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
        )
        for ending in others
    ]
    steps = [*_failure_steps(others), Sql(CLOSE_WINDOWS, {}), Sql(END, {"endings": encode(rows)})]
    if any(ending.state is State.AVAILABLE for ending in others):
        steps.append(Sql(ADVANCE, {"count": len(others)}))
    return [*steps, Sql(DELETE_UNKEPT, {})]


def _failure_steps(others: list[Settlement]) -> list[Sql]:
    failures = [(ending, ending.error) for ending in others if ending.error is not None]
    awkward = [_failure(ending, error) for ending, error in failures if _holds_nul(error)]
    usual = [tuple(_failure(ending, error).values()) for ending, error in failures if not _holds_nul(error)]
    steps = [Sql(RECORD, {"failures": encode(usual)})] if usual else []
    return [*steps, Sql(RECORD_ONE, awkward, many=True)] if awkward else steps


def _holds_nul(error: AttemptFailure) -> bool:
    return any("\0" in part for part in (error.type, error.message, error.trace, error.worker))


def _failure(ending: Settlement, error: AttemptFailure) -> dict[str, Value]:
    """Give what `RECORD` takes by place and `RECORD_ONE` by name."""
    return {
        "id": ending.id,
        "token": ending.token,
        "attempt": error.attempt,
        "type": text(error.type),
        "message": text(error.message),
        "trace": text(error.trace),
        "worker": text(error.worker),
    }
