"""How jobs get in: all or none, and each call once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from stoker.core.job import CallId, Enqueued, JobId, NewJob, new_call
from stoker.core.settlement import Settlement
from stoker.stores.gocraft.commands import DEFAULT_QUEUE, Scripts, name_of
from stoker.stores.gocraft.wire import head, ids_of, tails
from stoker.stores.holding.commands import Arg


class Intake(NamedTuple):
    """What `enqueue.lua` takes, and the answer."""

    args: list[Arg]
    keys: list[str]
    answer: list[Enqueued]


def intake(jobs: Sequence[NewJob], call: CallId, scripts: Scripts) -> Intake:
    """Write jobs in groups of one list and time, in their order."""
    ids = ids_of(call, len(jobs))
    written = tails(jobs)
    args: list[Arg] = [0]
    keys = [scripts.key(f"stoker:call:{call}")]
    groups, start = 0, 0
    for place, job in enumerate(jobs):
        last = place + 1 == len(jobs)
        after = None if last else jobs[place + 1]
        if after is None or (after.queue, after.name, after.due) != (job.queue, job.name, job.due):
            args += [*where(job), place + 1 - start, head(job)]
            args += [id + tail for id, tail in zip(ids[start : place + 1], written[start : place + 1], strict=True)]
            keys.append(scripts.jobs(name_of(job.queue, job.name)))
            groups, start = groups + 1, place + 1
    args[0] = groups
    return Intake(args, keys, [Enqueued(JobId(id)) for id in ids])


def follow_args(ending: Settlement, scripts: Scripts, keys: list[str], before: int) -> list[Arg]:
    """Give what `settle.lua` takes of the jobs that follow an ending; adds the keys of their lists.

    ``before`` is how many keys stand before ``keys``.
    """
    jobs = ending.then
    args: list[Arg] = [len(jobs)]
    for job, id, tail in zip(jobs, ids_of(new_call(), len(jobs)), tails(jobs), strict=True):
        keys.append(scripts.jobs(name_of(job.queue, job.name)))
        args += [before + len(keys), *where(job), head(job), id + tail]
    return args


def where(job: NewJob) -> list[Arg]:
    """Give gocraft's name, the lane where that does not say it, and the time."""
    lane = "" if job.queue == DEFAULT_QUEUE else f"{job.queue}\n{job.name}"
    return [name_of(job.queue, job.name), lane, "" if job.due.at is None else job.due.at, job.due.delay]
