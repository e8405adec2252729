"""How jobs get in: all or none, and each call once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from stoker.core.job import CallId, Enqueued, JobId, NewJob, new_call
from stoker.core.settlement import Settlement
from stoker.stores.sidekiq.commands import Arg, Scripts
from stoker.stores.sidekiq.urls import SidekiqUrl
from stoker.stores.sidekiq.wire import heads, jids


class Intake(NamedTuple):
    """What `enqueue.lua` takes, and the answer."""

    args: list[Arg]
    keys: list[str]
    answer: list[Enqueued]


def intake(jobs: Sequence[NewJob], call: CallId, url: SidekiqUrl, scripts: Scripts) -> Intake:
    """Write jobs in groups of one queue and time, in their order."""
    ids = jids(call, len(jobs))
    written = heads(jobs, ids, url.envelope)
    args: list[Arg] = [url.stamps, 0]
    keys = [scripts.key(f"stoker:call:{call}")]
    groups, start = 0, 0
    for place, job in enumerate(jobs):
        last = place + 1 == len(jobs)
        if last or (jobs[place + 1].queue, jobs[place + 1].due) != (job.queue, job.due):
            at = "" if job.due.at is None else job.due.at
            args += [job.queue, at, job.due.delay, place + 1 - start, *written[start : place + 1]]
            keys.append(scripts.queue(job.queue))
            groups, start = groups + 1, place + 1
    args[1] = groups
    args += sorted({job.route for job in jobs} - {""})
    return Intake(args, keys, [Enqueued(JobId(jid)) for jid in ids])


def follow_args(ending: Settlement, url: SidekiqUrl, scripts: Scripts, keys: list[str]) -> list[Arg]:
    """Give what `settle.lua` takes of the jobs that follow an ending; adds the keys of their queues."""
    jobs = ending.then
    args: list[Arg] = [len(jobs)]
    for job, head in zip(jobs, heads(jobs, jids(new_call(), len(jobs)), url.envelope), strict=True):
        keys.append(scripts.queue(job.queue))
        args += [len(keys), job.queue, job.route, "" if job.due.at is None else job.due.at, job.due.delay, head]
    return args
