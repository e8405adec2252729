"""How jobs are worked off: claim, extend, settle, reclaim."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from heapq import nsmallest
from typing import Final

from stoker.core.expiry import with_expiry
from stoker.core.job import (
    FINAL,
    AttemptFailure,
    Claim,
    Claimed,
    Extended,
    JobId,
    Reclaimed,
    State,
    Token,
)
from stoker.core.settlement import Settled, Settlement
from stoker.stores.following import following
from stoker.stores.memory.contents import Contents
from stoker.stores.memory.intake import store
from stoker.stores.memory.lanes import take_first, take_oldest
from stoker.stores.memory.row import AVAILABLE, COMPLETED, RUNNING, Lease, Row

ACCEPTED: Final = Settled.ACCEPTED
REPEATED: Final = Settled.REPEATED
LOST: Final = Settled.LOST
GONE: Final = Settled.GONE


def claim(
    contents: Contents,
    demand: Mapping[str, int],
    names: frozenset[str],
    routes: frozenset[str],
    token: Token,
    worker: str,
    lease: int,
    oldest: bool,
) -> Claimed:
    """Take the first available jobs of each queue, or answer those that the token holds already."""
    held = contents.leases.get(token)
    if held is None:
        rows = [row for queue, limit in demand.items() for row in _first(contents, queue, names, routes, limit, oldest)]
        if rows:
            contents.leases[token] = lease_to(contents, rows, token, worker, lease)
    else:
        rows = list(held.rows.values())
    return Claimed([_claim_of(row, token) for row in rows], contents.due.earliest(), contents.now)


def extend(
    contents: Contents, tokens: Sequence[Token], lease: int, stopping: bool, started: Sequence[JobId]
) -> Extended:
    """Keep the leases that are still there; mark them, and the suspects that begin to run."""
    missing: list[Token] = []
    cancel: list[JobId] = []
    for token in tokens:
        held = contents.leases.get(token)
        if held is None:
            missing.append(token)
            continue
        held.until = contents.now + lease
        held.stopping = held.stopping or stopping
        cancel += [row.id for row in held.rows.values() if row.cancelling]
        for job_id in started:
            if job_id in held.rows:
                held.rows[job_id].started = True
    return Extended(frozenset(missing), frozenset(cancel))


def settle(contents: Contents, settlements: Sequence[Settlement]) -> dict[JobId, Settled]:
    """End the attempts whose token still holds the job; say of each what became of it."""
    answers: dict[JobId, Settled] = {}
    for settlement in settlements:
        answer = _settle_one(contents, settlement)
        if settlement.then and answer is ACCEPTED:
            follow(contents, settlement)
        # Two endings of one job in a call: at most one is accepted, and that is the answer.
        if answer is ACCEPTED or answers.get(settlement.id) is not ACCEPTED:
            answers[settlement.id] = answer
    return answers


def follow(contents: Contents, settlement: Settlement) -> None:
    """Store what follows from an ending that was accepted."""
    for _, jobs in following([settlement]):
        store(contents, jobs)


def reclaim(contents: Contents, limit: int, tokens: Sequence[Token]) -> Reclaimed:
    """Take back the jobs of lapsed leases, the longest lapsed first, or of the given ones."""
    if tokens:
        leases = [lease for token in dict.fromkeys(tokens) if (lease := contents.leases.get(token)) is not None]
    else:
        lapsed = (lease for lease in contents.leases.values() if lease.until < contents.now)
        leases = nsmallest(limit, lapsed, key=lambda lease: lease.until)
    rows = [(row, lease) for lease in leases for row in lease.rows.values()]
    for row, lease in rows:
        _take_back(contents, row, lease)
    return _reclaimed(row for row, _ in rows)


def _first(
    contents: Contents, queue: str, names: frozenset[str], routes: frozenset[str], limit: int, oldest: bool
) -> list[Row]:
    if limit <= 0 or queue in contents.paused["queue"]:
        return []
    unpaused = names - contents.paused["name"].keys() if contents.paused["name"] else names
    lanes = contents.lanes.asked(queue, unpaused, routes)
    if oldest:
        return take_oldest(lanes, limit)
    return take_first(lanes, limit) if lanes else []


def lease_to(contents: Contents, rows: Iterable[Row], token: Token, worker: str, lease: int) -> Lease:
    """Let rows run under a token."""
    now = contents.now
    held = Lease(now + lease, worker)
    for row in rows:
        row.state = RUNNING
        row.token = token
        row.worker = worker
        row.starts += 1
        row.started_at = now
        row.cancelling = row.started = False
        if row.job.unique is not None:
            contents.slots.follow(row, row.job.unique, now)
        held.rows[row.id] = row
    return held


def _claim_of(row: Row, token: Token) -> Claim:
    job = row.job
    return Claim(
        row.id,
        token,
        job.name,
        job.queue,
        job.args,
        job.priority,
        row.max_attempts,
        row.starts,
        row.failures,
        row.crashes,
        row.snoozes,
        row.enqueued_at,
        row.run_at,
        job.meta if row.expires is None else with_expiry(job.meta, row.expires),
        job.keep,
        job.keep_failed,
        job.version,
        job.parent,
        job.root,
    )


def _settle_one(contents: Contents, settlement: Settlement) -> Settled:
    row = contents.rows.get(settlement.id)
    if row is None:
        return GONE
    if row.token != settlement.token or settlement.state is RUNNING:
        return LOST
    if row.state is not RUNNING:
        return REPEATED
    if settlement.duration:
        row.started_at = contents.now - settlement.duration
    if settlement.counts == "failure":
        row.failures += 1
    elif settlement.counts == "snooze":
        row.snoozes += 1
    if settlement.error is not None:
        contents.fail(row, settlement.error)
    _move(contents, row, settlement)
    return ACCEPTED


def _move(contents: Contents, row: Row, settlement: Settlement) -> None:
    state = settlement.state
    if state is COMPLETED or state in FINAL:
        row.result = settlement.result
        contents.to_final(row, state, settlement.keep)
    elif row.cancelling:
        contents.to_final(row, State.CANCELLED, row.job.keep_failed)
    else:
        due = settlement.due.resolve(contents.now)
        if state is not AVAILABLE:
            contents.to_later(row, state, due)
        elif due > contents.now:
            contents.to_later(row, State.SCHEDULED, due)
        else:
            contents.to_available(row, contents.now)


def _take_back(contents: Contents, row: Row, lease: Lease) -> None:
    """Decide for one job of a silent worker: cancelled, given back, or one crash more."""
    if row.cancelling:
        contents.to_final(row, State.CANCELLED, row.job.keep_failed)
    elif lease.stopping or (row.crashes > 0 and not row.started):
        contents.to_available(row, contents.now)
    else:
        _count_crash(contents, row, lease)
    row.token = None


def _count_crash(contents: Contents, row: Row, lease: Lease) -> None:
    attempt = row.failures + row.crashes + 1
    row.crashes += 1
    message = f"worker {lease.worker} went silent (crash {row.crashes} of {row.job.crash_limit})"
    contents.fail(row, AttemptFailure(attempt, 0, "LeaseExpired", message, worker=lease.worker))
    if row.crashes >= row.job.crash_limit:
        contents.to_final(row, State.DISCARDED, row.job.keep_failed)
    else:
        contents.to_available(row, contents.now)


def _reclaimed(rows: Iterable[Row]) -> Reclaimed:
    by_state: dict[State, list[JobId]] = {State.AVAILABLE: [], State.CANCELLED: [], State.DISCARDED: []}
    for row in rows:
        by_state[row.state].append(row.id)
    return Reclaimed(
        tuple(by_state[State.AVAILABLE]), tuple(by_state[State.CANCELLED]), tuple(by_state[State.DISCARDED])
    )
