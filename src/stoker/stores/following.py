"""What follows from endings: the jobs of a settle call that go in with the endings they belong to."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stoker.core.job import NewJob, State
from stoker.core.settlement import Settlement


def following(settlements: Sequence[Settlement]) -> list[tuple[Settlement, tuple[NewJob, ...]]]:
    """Give the endings that have follow-ups, with these; of two for the same attempt the first counts."""
    found: dict[tuple[str, str], tuple[Settlement, tuple[NewJob, ...]]] = {}
    seen: set[tuple[str, str]] = set()
    for ending in settlements:
        attempt = (ending.id, ending.token)
        if ending.then and attempt not in seen and ending.state is not State.RUNNING:
            found[attempt] = (ending, tuple(map(modest, ending.then)))
        seen.add(attempt)
    return list(found.values())


def modest(job: NewJob) -> NewJob:
    """Let a job that insists on a free key step back where it is taken: nobody is there to be told."""
    if job.unique is None or job.unique.on_conflict != "raise":
        return job
    return msgspec.structs.replace(job, unique=msgspec.structs.replace(job.unique, on_conflict="keep"))
