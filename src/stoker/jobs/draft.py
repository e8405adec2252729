"""A job bound to arguments, not yet enqueued."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from operator import attrgetter, is_not
from typing import Any, Generic, TypeVar

import msgspec

from stoker.core.job import Enqueued, JobId, NewJob
from stoker.errors import ArgumentsError, EnqueueError
from stoker.jobs.defined import DefinedJob
from stoker.jobs.handle import JobHandle
from stoker.jobs.messages import too_large
from stoker.jobs.options import Defaults, EnqueueTerms, queue_gates

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
_definition = attrgetter("definition")


class Draft(msgspec.Struct, Generic[R_co], frozen=True, eq=False, gc=False):
    """What ``job.draft(…)`` gives: for `enqueue_many`, or to be enqueued later."""

    definition: DefinedJob[R_co]
    args: str
    """The arguments as JSON text, validated."""
    terms: EnqueueTerms

    @property
    def name(self) -> str:
        """The job's name."""
        return self.definition.name

    @property
    def store(self) -> str:
        """Name of the store that it goes to."""
        return self.definition.store

    def new_job(self, defaults: Defaults, parent: JobId | None = None, root: JobId | None = None) -> NewJob:
        """Give the job as a store takes it; ArgumentsError when its arguments are larger than ``max_args``."""
        return new_jobs([self], defaults, parent, root)[0]

    def handle(self, enqueued: Enqueued) -> JobHandle[R_co]:
        """Give the handle of the job that the store made of it."""
        return self.definition.handle(enqueued.id, duplicate=enqueued.duplicate)

    def check_size(self, most: int) -> None:
        """Refuse arguments of more bytes than that; ArgumentsError says what to do instead."""
        if (size := len(self.args.encode())) > most:
            raise ArgumentsError(too_large(self.name, size, most))

    def checked_again(self, job: NewJob, changed: NewJob, defaults: Defaults) -> NewJob:
        """Check what middleware made of this draft's job, and give it a key that fits; raises as a new draft does."""
        if changed.name != job.name:
            raise EnqueueError(
                f"{job.name}: middleware made a job named {changed.name!r} of it: "
                "the name says which handler it is for; veto it, and enqueue the other"
            )
        if changed.queue != job.queue and changed.gates is job.gates:
            bounds = len(self.definition.rules.bounds)
            changed = changed.changed(gates=(*job.gates[:bounds], *queue_gates(changed.queue, defaults)))
        if changed.args == job.args:
            return changed
        again = msgspec.structs.replace(self, args=self.definition.checked_args(changed.args))
        if not self.definition.codecs:
            again.check_size(defaults.max_args)
        said = self.definition.merged(defaults)
        if said.bounds:
            own = self.definition.gates(said, again.args)[: len(said.bounds)]
            changed = changed.changed(gates=(*own, *changed.gates[len(own) :]))
        unique = said.unique
        if unique is None or changed.unique is not job.unique:
            return changed
        return changed.changed(unique=self.definition.unique_key(unique, again.args, changed.priority))

    def __repr__(self) -> str:
        return f"<draft of {self.name} {'(sealed)' if self.definition.codecs else self.args[:200]}>"


def new_jobs(
    drafts: Sequence[Draft[Any]], defaults: Defaults, parent: JobId | None = None, root: JobId | None = None
) -> list[NewJob]:
    """Give jobs (one at least) as a store takes them; ArgumentsError when arguments are larger than ``max_args``."""
    jobs: list[NewJob] = []
    job = drafts[0].definition
    said = job.merged(defaults)
    for draft in drafts:
        if job is not draft.definition:  # mostly the same for all of a call, so its options are looked up once
            job = draft.definition
            said = job.merged(defaults)
        args = draft.args
        # A character has four bytes at most; what goes through codecs is measured behind them.
        if 4 * len(args) > defaults.max_args and not job.codecs:
            draft.check_size(defaults.max_args)
        key = None if said.unique is None else job.unique_key(said.unique, args, said.priority)
        gates = job.gates(said, args) if said.bounds else said.gates
        jobs.append(
            NewJob(  # by position: names would cost a fiftieth of a bulk enqueue
                job.name,
                args,
                said.queue,
                said.route,
                said.priority,
                said.due,
                said.max_attempts,
                said.crash_limit,
                key,
                said.labels,
                said.meta,
                said.keep,
                said.keep_failed,
                1,
                parent,
                root,
                None,
                gates,
                said.expires,
            )
        )
    return jobs


def handles(drafts: Sequence[Draft[R]], answers: Sequence[Enqueued]) -> list[JobHandle[R]]:
    """Give the handles of the jobs that the store made of drafts."""
    first = drafts[0].definition
    if any(map(is_not, map(_definition, drafts), repeat(first))):
        return [draft.handle(answer) for draft, answer in zip(drafts, answers, strict=True)]
    return first.handles(answers)
