"""What one may ask of the store: find, result, count, any, workers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import msgspec

from stoker.core.filters import Filter
from stoker.core.job import Ending, JobId, QueueCount, State, StoredJob, WorkerInfo
from stoker.stores.matching import tests_of
from stoker.stores.memory.contents import Contents
from stoker.stores.memory.row import Row, stored


def matching(contents: Contents, only: Filter, *, newest_first: bool = False) -> Iterator[Row]:
    """Give the rows that a filter asks for, in the order in which they were enqueued, or against it."""
    rows: Iterable[Row]
    if only.ids:
        found = [row for job_id in dict.fromkeys(only.ids) if (row := contents.rows.get(job_id)) is not None]
        rows = sorted(found, key=lambda row: row.number, reverse=newest_first)
    else:
        rows = reversed(contents.rows.values()) if newest_first else contents.rows.values()
    tests = tests_of(only)
    return (row for row in rows if all(test(row) for test in tests))


def find(contents: Contents, only: Filter, limit: int, before: JobId | None) -> list[StoredJob]:
    """Give a page of jobs, newest first."""
    rows = matching(contents, only, newest_first=True)
    if before is not None:
        bound = int(before) if before.isdecimal() else 0
        rows = (row for row in rows if row.number < bound)
    return [stored(row) for row in islice(rows, limit)]


def result(contents: Contents, id: JobId) -> Ending | None:
    """Give what somebody needs who waits for a job."""
    row = contents.rows.get(id)
    return None if row is None else Ending(row.state, row.result, row.errors[-1] if row.errors else None)


def count(contents: Contents, queues: frozenset[str]) -> list[QueueCount]:
    """Count jobs by queue, name, route and state."""
    groups: dict[tuple[str, str, str, State], tuple[int, int, int]] = {}
    for row in contents.rows.values():
        job = row.job
        if not queues or job.queue in queues:
            group = (job.queue, job.name, job.route, row.state)
            number, oldest, gated = groups.get(group, (0, row.run_at, 0))
            groups[group] = (number + 1, min(oldest, row.run_at), gated + row.gated)
    return [QueueCount(*group, *numbers) for group, numbers in sorted(groups.items())]


def any_work(contents: Contents, queues: Sequence[str], names: frozenset[str], routes: frozenset[str]) -> bool:
    """Tell whether something that could be performed is available or due, or runs. Paused jobs cannot be performed."""
    asked = frozenset(queues)
    open_queues = asked - contents.paused["queue"].keys()
    open_names = names - contents.paused["name"].keys()
    if any(contents.lanes.asked(queue, open_names, routes) for queue in open_queues):
        return True
    if any(_fits(row, asked, names, routes) for lease in contents.leases.values() for row in lease.rows.values()):
        return True
    if any(_fits(row, open_queues, open_names, routes) for row in contents.gates.waiting()):
        return True
    return any(_fits(row, open_queues, open_names, routes) for row in contents.due.due(contents.now))


def beat(contents: Contents, worker: WorkerInfo, ttl: int) -> None:
    """Put a worker on the list, or take it off."""
    if ttl == 0:
        contents.announced.pop(worker.id, None)
    else:
        announced = msgspec.structs.replace(worker, beat_at=contents.now)
        contents.announced[worker.id] = (contents.now + ttl, announced)


def workers(contents: Contents) -> list[WorkerInfo]:
    """Give the workers whose time is not over, and forget the others."""
    contents.announced = {name: entry for name, entry in contents.announced.items() if contents.now < entry[0]}
    return [worker for _, worker in contents.announced.values()]


def _fits(row: Row, queues: frozenset[str], names: frozenset[str], routes: frozenset[str]) -> bool:
    return row.job.queue in queues and row.job.name in names and row.job.route in routes
