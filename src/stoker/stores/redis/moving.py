"""How jobs leave for another store, and come from one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from stoker.core.filters import Filter
from stoker.core.job import WAITING, CallId, JobId, NewJob, StoredJob, Token
from stoker.core.moving import HELD_FOR, Hold, as_it_was, carried
from stoker.stores.redis.commands import Arg, Scripts
from stoker.stores.redis.control import page
from stoker.stores.redis.intake import unique_args
from stoker.stores.redis.wire import printable
from stoker.stores.walks import Course

_PAGE: Final = 500
"""Jobs that are taken by one script."""


def hold(
    scripts: Scripts, only: Filter, limit: int, token: Token, worker: str
) -> Callable[[], Course[list[StoredJob]]]:
    """Look for jobs, take those that still wait, and show what is held; a few scripts, of which one takes."""

    def course() -> Course[list[StoredJob]]:
        held: Any = yield scripts.script("hold", token, printable(worker), HELD_FOR)
        if not held and limit:
            candidates = yield from _candidates(scripts, only, limit)
            held = yield scripts.script("hold", token, printable(worker), HELD_FOR, *candidates)
        jobs: list[StoredJob] = []
        ids = [JobId(id.decode()) for id in held]
        onward = ""
        while ids:
            rows, onward = yield from page(scripts, Filter(ids=tuple(ids)), len(ids), onward, newest=False)
            jobs += rows
            if not onward:
                break
        return [as_it_was(job) for job in jobs]

    return course


def _candidates(scripts: Scripts, only: Filter, limit: int) -> Course[list[JobId]]:
    """Find the oldest that match and may be taken."""
    states = tuple(state for state in only.states or sorted(WAITING) if state in WAITING)
    if not states:
        return []
    wanted = msgspec.structs.replace(only, states=states)
    found: list[JobId] = []
    onward = ""
    while True:
        rows, onward = yield from page(scripts, wanted, _PAGE, onward, newest=False)
        found += [job.id for job in rows if '"stoker.batch"' not in job.meta]
        if len(found) >= limit or not onward:
            return found[:limit]


def holds(reply: Any) -> list[Hold]:
    """Read the holds."""
    found = [
        Hold(Token(token.decode()), msgspec.json.decode(b'"%s"' % worker, type=str), int(until) - HELD_FOR, int(jobs))
        for token, worker, until, jobs in reply
    ]
    return sorted(found, key=lambda one: (one.at, one.token))


def receive_args(jobs: Sequence[StoredJob], new: Sequence[NewJob], call: CallId) -> list[Arg]:
    """Give what `receive.lua` takes: what `unique.lua` does, and for each job what it brings along."""
    args = unique_args(new, call)
    for job in jobs:
        what = carried(job)
        errors = [
            b'[%d,%d,"%s"]' % (attempt, at, b'","'.join(map(printable, texts))) for attempt, at, *texts in what.errors
        ]
        numbers = (what.starts, what.failures, what.crashes, what.snoozes, what.enqueued_at)
        checkpoint = b"" if what.checkpoint is None else printable(what.checkpoint)
        args += [" ".join(map(str, numbers)), b"\n".join(errors), checkpoint]
    return args
