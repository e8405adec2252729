"""How jobs get in: all or none, and each call once.

Jobs that differ in their arguments only share one header; their arguments follow as they are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from stoker.core.job import CallId, Enqueued, JobId, NewJob
from stoker.core.limits import written
from stoker.core.settlement import Settlement
from stoker.errors import BatchComplete, DuplicateJob, EnqueueError
from stoker.stores.grouping import differ_in_args_only
from stoker.stores.redis.commands import Arg
from stoker.stores.redis.wire import escaped, lane, order, static

_shared = attrgetter(
    "name",
    "queue",
    "route",
    "priority",
    "due",
    "max_attempts",
    "crash_limit",
    "labels",
    "meta",
    "keep",
    "keep_failed",
    "version",
    "parent",
    "root",
    "origin",
    "gates",
)


def plain_args(jobs: Sequence[NewJob], call: CallId) -> list[Arg]:
    """Give what `enqueue.lua` takes: a header for each group, then the arguments of its jobs."""
    groups = _sharing(jobs)
    args: list[Arg] = [receipt_name(call), len(jobs), len(groups)]
    for places in groups:
        one_stretch = places[-1] - places[0] + 1 == len(places)
        args += _header(jobs[places[0]])
        args += [len(places), places[0] if one_stretch else " ".join(map(str, places))]
        args += escaped([jobs[place].args for place in places])
    return args


def plain_answers(count: int) -> Callable[[Any], list[Enqueued]]:
    """Give the reader of such a call's reply, which is the first id."""

    def read(reply: bytes) -> list[Enqueued]:
        first = int(reply)
        return [Enqueued(JobId(str(id))) for id in range(first, first + count)]

    return read


def unique_args(jobs: Sequence[NewJob], call: CallId) -> list[Arg]:
    """Give what `unique.lua` takes: the headers, then all jobs in order, each with its header's number and its key."""
    groups, group_of = _headers(jobs)
    args: list[Arg] = [receipt_name(call), len(jobs), *groups]
    bodies = escaped([job.args for job in jobs])
    for place, job in enumerate(jobs):
        args += [group_of[place], bodies[place], "" if job.unique is None else job.unique.key]
    return args


def then_args(follow: Sequence[tuple[Settlement, tuple[NewJob, ...]]]) -> list[Arg]:
    """Give what `settle_then.lua` takes behind the endings: the headers, then each ending with what follows from it."""
    jobs = [job for _, jobs in follow for job in jobs]
    groups, group_of = _headers(jobs)
    bodies = escaped([job.args for job in jobs])
    args: list[Arg] = [*groups, len(follow)]
    place = 0
    for ending, its_jobs in follow:
        args += [f"{ending.id} {ending.token}", len(its_jobs)]
        for job in its_jobs:
            args += [group_of[place], bodies[place], "" if job.unique is None else job.unique.key]
            place += 1
    return args


def unique_answers(jobs: Sequence[NewJob]) -> Callable[[Any], list[Enqueued]]:
    """Give the reader of such a call's reply; it raises DuplicateJob where a job insisted in vain."""

    def read(reply: Any) -> list[Enqueued]:
        if isinstance(reply, list):
            place, holder = reply
            if int(place) < 0:
                raise BatchComplete(holder.decode())
            raise DuplicateJob(jobs[int(place)].name, holder.decode() or "another job of the same call")
        return [Enqueued(JobId(word.lstrip("=")), word.startswith("=")) for word in reply.decode().split()]

    return read


def receipt_name(call: CallId) -> bytes:
    """Give the field under which a call's receipt is kept: half as long where the call is what we make them."""
    try:
        return bytes.fromhex(call) or b"\0"
    except ValueError:
        return call.encode()


def _headers(jobs: Sequence[NewJob]) -> tuple[list[Arg], dict[int, int]]:
    """Give the headers of jobs, their number first, and for each job by its place the number of its header."""
    groups = _sharing(jobs)
    args: list[Arg] = [len(groups)]
    group_of: dict[int, int] = {}
    for number, places in enumerate(groups, 1):
        first = jobs[places[0]]
        within = None if first.unique is None else first.unique.within
        policy = "" if first.unique is None else first.unique.on_conflict
        tail = "" if first.batch is None else f"\n{first.batch}\n{first.node}"
        args += [*_header(first), first.version, policy, "" if within is None else within]
        args += [_gates_text(first), _expiry(first), tail]
        group_of |= dict.fromkeys(places, number)
    return args, group_of


def _gates_text(job: NewJob) -> bytes:
    """Write a job's gates; EnqueueError for a key that could not be told from others."""
    text = written(job.gates)
    if any(mark in text for mark in "\0\1\2") or text.count("\n") > len(job.gates):
        raise EnqueueError(f"{text!r}: the key of a gate may hold no control characters")
    return text.encode()


def _header(job: NewJob) -> list[Arg]:
    due = "" if job.due.at is None else job.due.at
    place = lane(job.queue, job.route, job.name)
    return [place, order(job.priority), static(job), job.max_attempts, due, job.due.delay]


def _expiry(job: NewJob) -> Arg:
    """Write an instant as it is and a delay behind a plus sign; nothing for a job that does not expire."""
    if job.expires is None:
        return ""
    return f"+{job.expires.delay}" if job.expires.at is None else job.expires.at


def _sharing(jobs: Sequence[NewJob]) -> list[list[int]]:
    """Group jobs, by their places, that differ in arguments and unique key only."""
    if differ_in_args_only(jobs):
        return [list(range(len(jobs)))]
    groups: dict[object, list[int]] = {}
    previous: object = None
    group: list[int] = []
    for place, job in enumerate(jobs):
        header: object = _shared(job)
        if job.unique is not None:
            header = (header, job.unique.states, job.unique.within, job.unique.on_conflict)
        if job.expires is not None:
            header = (header, job.expires)
        if job.batch is not None:
            header = (header, job.batch, job.node)
        if header != previous:  # to compare with the neighbour costs less than to hash
            previous = header
            group = groups.setdefault(header, [])
        group.append(place)
    return list(groups.values())
