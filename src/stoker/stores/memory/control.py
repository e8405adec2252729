"""What operators and code ask of many jobs at once: cancel, retry, promote, requeue, delete, pause."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from stoker.core.filters import Filter
from stoker.core.job import WAITING, Changed, JobId, Pause, State
from stoker.stores.admission import paused_gate
from stoker.stores.memory.contents import Contents
from stoker.stores.memory.look import matching
from stoker.stores.memory.row import Row

RETRIED = frozenset({State.CANCELLED, State.DISCARDED, State.RETRYABLE, State.SCHEDULED})
PLANNED = frozenset({State.SCHEDULED, State.RETRYABLE})


def cancel(contents: Contents, only: Filter, limit: int) -> Changed:
    """End waiting jobs, flag running ones; those flagged already are not counted again."""

    def may(row: Row) -> bool:
        return row.state in WAITING or (row.state is State.RUNNING and not row.cancelling)

    def change(row: Row) -> None:
        if row.state is State.RUNNING:
            row.cancelling = True
        else:
            contents.to_final(row, State.CANCELLED, row.job.keep_failed)

    return _change(contents, only, limit, may, change)


def retry(contents: Contents, only: Filter, limit: int) -> Changed:
    """Give ended and waiting jobs another attempt, now."""

    def may(row: Row) -> bool:
        return row.state in RETRIED and contents.slots.free_for(row, State.AVAILABLE, contents.now)

    def change(row: Row) -> None:
        row.max_attempts = max(row.max_attempts, row.failures + 1)
        row.crashes = 0
        row.result = row.finished_at = None
        contents.to_available(row, contents.now)

    return _change(contents, only, limit, may, change)


def promote_now(contents: Contents, only: Filter, limit: int) -> Changed:
    """Make waiting jobs available before their time."""
    return _change(
        contents, only, limit, lambda row: row.state in PLANNED, lambda row: contents.to_available(row, contents.now)
    )


def requeue(contents: Contents, only: Filter, limit: int, force: bool) -> Changed:
    """Take running jobs from their workers, uncounted; jobs that were asked to stop end cancelled."""

    def may(row: Row) -> bool:
        if row.state is not State.RUNNING:
            return False
        lease = contents.lease_of(row)
        return force or lease is None or lease.until < contents.now

    def change(row: Row) -> None:
        if row.cancelling:
            contents.to_final(row, State.CANCELLED, row.job.keep_failed)
        else:
            contents.to_available(row, contents.now)
        row.token = None

    return _change(contents, only, limit, may, change)


def delete(contents: Contents, only: Filter, limit: int) -> Changed:
    """Delete jobs that do not run."""
    return _change(contents, only, limit, lambda row: row.state is not State.RUNNING, contents.remove)


def pause(contents: Contents, kind: str, values: Sequence[str], paused: bool) -> Changed:
    """Pause or resume queues or names; what is as wished already is not counted."""
    standing = contents.paused[kind]
    changed = [value for value in dict.fromkeys(values) if (value in standing) is not paused]
    for value in changed:
        if paused:
            standing[value] = contents.now
        else:
            del standing[value]
            contents.gates.stir(paused_gate(kind, value))
            contents.rung.update([value] if kind == "queue" else _queues_of(contents, value))
    return Changed(len(changed))


def _queues_of(contents: Contents, name: str) -> set[str]:
    """Give the queues in which jobs of a name are available."""
    gated = (row.job.queue for row in contents.gates.waiting() if row.job.name == name)
    return {*contents.lanes.queues_of(name), *gated}


def paused(contents: Contents) -> list[Pause]:
    """Give what is paused, queues first."""
    return [
        Pause(kind, value, since) for kind, standing in contents.paused.items() for value, since in standing.items()
    ]


def _change(
    contents: Contents, only: Filter, limit: int, may: Callable[[Row], bool], change: Callable[[Row], None]
) -> Changed:
    """Change up to ``limit`` matching rows, the oldest first, and see whether there was one more."""
    rows = list(islice(filter(may, matching(contents, only)), limit + 1))
    changed: list[JobId] = []
    for row in rows[:limit]:
        # Asked again, because a change may rule out a later one: two jobs of one unique key.
        if may(row):
            change(row)
            changed.append(row.id)
    return Changed(len(changed), len(rows) > limit, tuple(changed))
