"""The one way from drafts to jobs that a store is given: options, middleware, the check of what that made, codecs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stoker.core.job import JobId, NewJob
from stoker.jobs.draft import Draft, new_jobs
from stoker.jobs.middleware import Middleware, through
from stoker.jobs.options import Defaults


def prepared(
    drafts: Sequence[Draft[Any]],
    defaults: Defaults,
    middleware: Sequence[Middleware],
    parent: JobId | None = None,
    root: JobId | None = None,
) -> list[NewJob]:
    """Give drafts (one at least) as a store takes them; raises what middleware raises, and ArgumentsError."""
    jobs = new_jobs(drafts, defaults, parent, root)
    if middleware:
        jobs = [_reviewed(middleware, draft, job, defaults) for draft, job in zip(drafts, jobs, strict=True)]
    if any(job.codecs for job in {draft.definition for draft in drafts}):
        jobs = [_sealed(draft, job, defaults) for draft, job in zip(drafts, jobs, strict=True)]
    return jobs


def _sealed(draft: Draft[Any], job: NewJob, defaults: Defaults) -> NewJob:
    """Send a job's arguments through its codecs: the last step, so that middleware sees what was said."""
    return draft.definition.sealed(job, defaults.max_args) if draft.definition.codecs else job


def by_position(drafts: Sequence[Draft[Any]], jobs: Sequence[NewJob]) -> list[NewJob]:
    """Give jobs with their arguments by position, for a store whose readers know no names; sealed ones stay."""
    return [job.changed(args=draft.definition.by_position(job.args)) for draft, job in zip(drafts, jobs, strict=True)]


def _reviewed(middleware: Sequence[Middleware], draft: Draft[Any], job: NewJob, defaults: Defaults) -> NewJob:
    """Let the middleware have a job, and check what it made of it as if a caller had."""
    changed = through(middleware, job)
    return changed if changed is job else draft.checked_again(job, changed, defaults)
