"""How the jobs of one call are put together, so that few statements carry many jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat
from operator import attrgetter, eq, itemgetter
from typing import Final

import msgspec
from msgspec.structs import astuple

from stoker.core.job import CallId, NewJob, name_of
from stoker.errors import DuplicateJob, EnqueueError
from stoker.stores.codes import encode

_NEW_STATES: Final = frozenset({"scheduled", "available"})

_BEHIND_ARGS: Final = itemgetter(slice(NewJob.__struct_fields__.index("args") + 1, None))

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
)


def differ_in_args_only(jobs: Sequence[NewJob]) -> bool:
    """Tell, in half of the time that grouping takes, whether the jobs of a call make one group, as mostly they do.

    False where they might: jobs with unique keys are for those to look at who group them.
    """
    if len(jobs) < 2 or jobs[0].unique is not None:
        return False
    first = astuple(jobs[0])
    names, others = map(name_of, jobs), map(_BEHIND_ARGS, map(astuple, jobs))
    return all(map(eq, names, repeat(jobs[0].name))) and all(map(eq, others, repeat(_BEHIND_ARGS(first))))


def sharing(jobs: Mapping[int, NewJob]) -> list[tuple[list[int], list[NewJob]]]:
    """Group jobs, by their places, that differ in arguments and unique key only."""
    if differ_in_args_only(alike := list(jobs.values())):
        return [(list(jobs), alike)]
    groups: dict[object, tuple[list[int], list[NewJob]]] = {}
    previous: object = None
    group: tuple[list[int], list[NewJob]] = ([], [])
    for place, job in jobs.items():
        header: object = _shared(job)
        if job.unique is not None:
            header = (header, job.unique.states, job.unique.within, job.unique.on_conflict)
        if header != previous:  # to compare with the neighbour costs less than to hash
            previous = header
            group = groups.setdefault(header, ([], []))
        group[0].append(place)
        group[1].append(job)
    return list(groups.values())


def by_place(places: list[int], group: list[NewJob]) -> dict[int, str]:
    """Give the arguments of a group by place."""
    return {place: job.args for place, job in zip(places, group, strict=True)}


def args_json(args: list[str] | dict[int, str]) -> str:
    """Write arguments for the database to take apart; EnqueueError for text that cannot be kept byte for byte."""
    try:
        text = encode(args)
    except UnicodeEncodeError as error:
        raise EnqueueError(f"arguments hold a lone surrogate, which is no text: {error}") from error
    if "\\u0000" in text and any("\0" in one for one in (args.values() if isinstance(args, dict) else args)):
        raise EnqueueError("arguments hold a bare NUL character: that is not JSON")
    return text


def checked_args(args: str) -> str:
    """Give arguments back if they can be kept byte for byte, else EnqueueError."""
    if not args.isascii() or "\0" in args:
        args_json([args])
    return args


def shared_params(job: NewJob, call: CallId) -> dict[str, str | int | None]:
    """Give the parameters that all jobs of a group share."""
    return {
        "call": call,
        "queue": job.queue,
        "route": job.route,
        "name": job.name,
        "priority": job.priority,
        "at": job.due.at,
        "delay": job.due.delay,
        "max_attempts": job.max_attempts,
        "crash_limit": job.crash_limit,
        "keep": job.keep,
        "keep_failed": job.keep_failed,
        "version": job.version,
        "parent": job.parent,
        "root": job.root,
        "origin": job.origin,
        "labels": encode(job.labels) if job.labels else "[]",
        "meta": job.meta,
    }


class Sorted(msgspec.Struct):
    """The jobs of a call, so that no step holds one key twice."""

    plain: dict[int, NewJob]
    layers: list[dict[int, NewJob]]
    """Unique jobs by place; a later layer sees what the earlier ones did."""
    folded: dict[int, int]
    """Jobs that change nothing beyond what the job at another place does: they share its answer."""


def sort_out(jobs: Sequence[NewJob]) -> Sorted:
    """Sort the jobs of a call; two jobs that both insist on one key raise DuplicateJob."""
    found = Sorted({}, [], {})
    latest: dict[str, tuple[int, int]] = {}
    """By key: layer and place of the latest job that is not folded."""
    for place, job in enumerate(jobs):
        if job.unique is None:
            found.plain[place] = job
            continue
        depth, earlier = latest.get(job.unique.key, (-1, -1))
        if depth >= 0 and _fold(found, depth, earlier, place, job):
            continue
        latest[job.unique.key] = (depth + 1, place)
        if depth + 1 == len(found.layers):
            found.layers.append({})
        found.layers[depth + 1][place] = job
    return found


def _fold(found: Sorted, depth: int, earlier: int, place: int, job: NewJob) -> bool:
    """Let an earlier job of the call with the same key do what this one asks for, if that comes to the same."""
    layer = found.layers[depth]
    first = layer[earlier]
    if job.unique is None or first.unique is None:
        return False
    policy = job.unique.on_conflict
    if policy == "raise":
        raise DuplicateJob(job.name, "another job of the same call")
    takes_key = first.unique.within is not None or _NEW_STATES.issubset(first.unique.states)
    if not takes_key or policy not in ("keep", first.unique.on_conflict):
        return False
    if policy == "replace":
        layer[earlier] = msgspec.structs.replace(first, args=job.args, version=job.version)
    elif policy == "reschedule":
        layer[earlier] = msgspec.structs.replace(first, due=job.due)
    found.folded[place] = earlier
    return True
