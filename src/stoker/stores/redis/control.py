"""What is asked of many jobs at once: find, cancel, retry, promote, requeue, delete.

Never more than a few milliseconds of the server's time at a stretch, so one call may take several scripts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from stoker.core.filters import Filter
from stoker.core.job import Changed, JobId, StoredJob
from stoker.stores.redis.commands import Scripts
from stoker.stores.redis.match import filter_args, matches, needs_reading, usable
from stoker.stores.redis.wire import read_jobs
from stoker.stores.walks import Course

PAGE = 500
"""Jobs that are read at a time where each must be looked at here."""


def find(scripts: Scripts, only: Filter, limit: int, before: JobId | None) -> Callable[[], Course[list[StoredJob]]]:
    """Give a page of jobs, newest first."""
    bound = "" if before is None else next(iter(usable((before,))), "0")

    def course() -> Course[list[StoredJob]]:
        found: list[StoredJob] = []
        onward = bound
        while len(found) < limit:
            rows, onward = yield from page(scripts, only, limit - len(found), onward, newest=True)
            found += rows
            if not onward:
                break
        return found[:limit]

    return course


def change(scripts: Scripts, verb: str, only: Filter, limit: int, *, force: bool) -> Callable[[], Course[Changed]]:
    """Give the course of a verb that changes many jobs."""
    if not needs_reading(only):
        return lambda: _change(scripts, verb, only, limit, force=force)

    def course() -> Course[Changed]:
        ids: list[JobId] = []
        onward, more = "", False
        while True:
            rows, onward = yield from page(scripts, only, PAGE, onward, newest=False)
            if rows:
                chosen = msgspec.structs.replace(only, ids=tuple(job.id for job in rows))
                changed = yield from _change(scripts, verb, chosen, limit - len(ids), force=force)
                ids += changed.ids
                more = changed.more
            if more or not onward:
                return Changed(len(ids), more, tuple(ids))

    return course


def _change(scripts: Scripts, verb: str, only: Filter, limit: int, *, force: bool) -> Course[Changed]:
    ids: list[JobId] = []
    onward = b""
    while True:
        reply: Any = yield scripts.script("change", *filter_args(only), verb, limit - len(ids), onward, int(force))
        changed, more, following = reply
        ids += [JobId(id.decode()) for id in changed]
        if more or following is None:
            return Changed(len(ids), bool(more), tuple(ids))
        onward = following


def page(
    scripts: Scripts, only: Filter, limit: int, bound: str, *, newest: bool
) -> Course[tuple[list[StoredJob], str]]:
    """Read on from a bound; give the jobs that match, and where to go on, '' when there is nothing more."""
    most = PAGE if needs_reading(only) else limit
    reply: Any = yield scripts.script("find", *filter_args(only), most, bound, int(newest))
    rows, onward = reply
    jobs = [job for job in read_jobs(rows) if matches(only, job)] if rows else []
    return jobs, "" if onward is None else onward.decode()
