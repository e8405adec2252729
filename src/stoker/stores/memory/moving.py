"""How jobs leave for another store, and come from one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from stoker.core.filters import Filter
from stoker.core.job import WAITING, AttemptFailure, CallId, Enqueued, State, StoredJob, Token
from stoker.core.moving import HELD_FOR, MOVING, Hold, as_it_was, as_new, carried
from stoker.stores.memory.contents import Contents
from stoker.stores.memory.intake import answered, store
from stoker.stores.memory.look import matching
from stoker.stores.memory.row import Row, stored
from stoker.stores.memory.work import lease_to


def hold(contents: Contents, only: Filter, limit: int, token: Token, worker: str) -> list[StoredJob]:
    """Take waiting jobs out of reach, or give those that the token holds already."""
    lease = contents.leases.get(token)
    if lease is None:
        fit = (row for row in matching(contents, only) if row.state in WAITING and row.job.batch is None)
        rows = list(islice(fit, limit))
        for row in rows:
            contents.withdraw(row)
        if not rows:
            return []
        lease = contents.leases[token] = lease_to(contents, rows, token, worker, HELD_FOR)
    return [as_it_was(stored(row)) for row in lease.rows.values()]


def holds(contents: Contents) -> list[Hold]:
    """Give what is held, the longest first."""
    found = [
        Hold(token, lease.worker, lease.until - HELD_FOR, len(lease.rows))
        for token, lease in contents.leases.items()
        if lease.worker.startswith(MOVING)
    ]
    return sorted(found, key=lambda one: (one.at, one.token))


def last_due(contents: Contents) -> int | None:
    """Give the latest instant for which something is planned."""
    later = (State.SCHEDULED, State.RETRYABLE)
    return max((row.run_at for row in contents.rows.values() if row.state in later), default=None)


def receive(contents: Contents, jobs: Sequence[StoredJob], call: CallId) -> list[Enqueued]:
    """Take jobs in, or give the answers of the first time; the receipt stays."""
    if (known := answered(contents, call)) is not None:
        return known
    answers = store(contents, [as_new(job) for job in jobs])
    for job, answer in zip(jobs, answers, strict=True):
        if not answer.duplicate:
            _carry(contents, contents.rows[answer.id], job)
    contents.receipts[call] = tuple(answers)
    return answers


def _carry(contents: Contents, row: Row, job: StoredJob) -> None:
    what = carried(job)
    row.starts, row.failures, row.crashes, row.snoozes = what.starts, what.failures, what.crashes, what.snoozes
    row.enqueued_at, row.checkpoint = what.enqueued_at, what.checkpoint
    row.errors = tuple(AttemptFailure(*error) for error in what.errors)
    if row.state is State.SCHEDULED and (row.failures or row.crashes):
        contents.wait_for_retry(row)
