"""What is asked of many jobs at once: find, cancel, retry, promote, requeue, delete.

All of it by looking through the places one after the other, as Sidekiq's own API does; no script takes long.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Final

import msgspec

from stoker.core.command import Script
from stoker.core.filters import Filter
from stoker.core.job import WAITING, Changed, JobId, State, StoredJob
from stoker.stores.sidekiq.commands import Arg, Scripts
from stoker.stores.sidekiq.failing import granted, pushed
from stoker.stores.sidekiq.marks import Marks, Reached
from stoker.stores.sidekiq.places import Claim, Part, Place, parts, places, running
from stoker.stores.sidekiq.records import Entry, Seen, moment_in, seen, stored
from stoker.stores.sidekiq.urls import Stamps
from stoker.stores.sidekiq.wire import UNREADABLE, read_payload
from stoker.stores.walks import Course

STATES: Final[Mapping[str, frozenset[State]]] = {
    "cancel": WAITING,
    "delete": WAITING | {State.DISCARDED},
    "promote_now": frozenset({State.SCHEDULED, State.RETRYABLE}),
    "retry": frozenset({State.SCHEDULED, State.RETRYABLE, State.DISCARDED}),
}
"""From which states a verb takes jobs."""

# -- find --------------------------------------------------------------------------------------------------------------


def find(
    scripts: Scripts, marks: Marks, only: Filter, limit: int, before: JobId | None
) -> Callable[[], Course[list[StoredJob]]]:
    """Give a page of jobs, newest first."""

    def course() -> Course[list[StoredJob]]:
        bound: tuple[int, str] | None = None
        if before is not None:
            moment = yield from _moment_of(scripts, marks, before)
            if moment is None:
                return []
            bound = (moment, before)
        newest = _Newest(only, limit, bound)
        for place in (yield from places(scripts, only)):
            yield from _each(parts(scripts, place), newest.take)
        if not only.states or State.RUNNING in only.states:
            now, held = yield from running(scripts)
            newest.take(Part(now, 0, len(held), [entry for _, entry in held]))
        found = newest.found()
        if found:
            marks.note(found[-1])
        crashes = (yield scripts.script("crashes", [one.id for one in found])) if found else []
        return [stored(one, int(died), newest.now) for one, died in zip(found, crashes, strict=True)]

    return course


class _Newest:
    """The newest of what was seen so far, and no more than are asked for."""

    def __init__(self, only: Filter, limit: int, before: tuple[int, str] | None) -> None:
        self.now = 0
        self._only = only
        self._limit = limit
        self._before = before
        self._seen: dict[tuple[int, str, bytes], Seen] = {}

    def take(self, part: Part) -> int:
        """Look at a part; nothing is taken away."""
        self.now = part.now
        for entry in part.entries:
            one = seen(self._only, entry, part.now)
            if one is not None and (self._before is None or one[:2] < self._before):
                self._seen[one.moment, one.id, entry.payload] = one
        if len(self._seen) > 2 * self._limit + 1000:
            self._seen = {(one.moment, one.id, one.entry.payload): one for one in self.found()}
        return 0

    def found(self) -> list[Seen]:
        """Give them, newest first."""
        return sorted(self._seen.values(), key=lambda one: one[:2], reverse=True)[: self._limit]


def _moment_of(scripts: Scripts, marks: Marks, id: JobId) -> Course[int | None]:
    """Tell by which time a job is listed: as it was shown, else as it lies there, else as its id says."""
    moment = marks.moment(id)
    if moment is not None:
        return moment
    looking = _Newest(Filter(ids=(id,)), 1, None)
    for place in (yield from places(scripts, Filter())):
        yield from _each(parts(scripts, place), looking.take)
    found = looking.found()
    return found[0].moment if found else moment_in(id)


def _each(reading: Generator[Script | Part, Any, None], take: Callable[[Part], int]) -> Course[None]:
    """Hand on the parts of a place."""
    try:
        step = next(reading)
        while True:
            step = reading.send(take(step) if isinstance(step, Part) else (yield step))
    except StopIteration:
        return


# -- change ------------------------------------------------------------------------------------------------------------


def change(
    scripts: Scripts, marks: Marks, verb: str, only: Filter, limit: int, stamps: Stamps
) -> Callable[[], Course[Changed]]:
    """Take jobs from where they wait, for good or into their lists; no more than ``limit``."""
    wanted = STATES[verb] & frozenset(only.states or State)
    chosen = msgspec.structs.replace(only, states=tuple(wanted))

    def course() -> Course[Changed]:
        ids: list[JobId] = []
        if not wanted:
            return Changed(0)
        reached = marks.reached(verb, only)
        # Who asks the same again goes on where it ended; whether that was all is seen from the beginning.
        for start in (reached, None) if reached else (None,):
            on = yield from _changed(scripts, verb, chosen, limit, stamps, start, ids)
            if on is not None:
                marks.reach(verb, only, on)
                return Changed(len(ids), True, tuple(ids))
        return Changed(len(ids), False, tuple(ids))

    return course


def _changed(
    scripts: Scripts, verb: str, only: Filter, limit: int, stamps: Stamps, start: Reached | None, ids: list[JobId]
) -> Course[Reached | None]:
    """Go through the places, adding to ``ids`` what was changed; tell where there is more than ``limit``."""
    there = yield from places(scripts, only)
    if start is not None:
        keys = [place.key for place in there]
        there = there[keys.index(start.key) :] if start.key in keys else there
    for place in there:
        reading = parts(scripts, place, start.first if start is not None and start.key == place.key else 0)
        step = next(reading, None)
        while step is not None:
            answer: Any = 0
            if isinstance(step, Part):
                matching = _matching(only, step)
                taking = matching[: limit - len(ids)]
                taken = yield from _take(scripts, verb, place, step, taking, stamps)
                ids += taken
                if len(matching) > len(taking):
                    return Reached(place.key, step.first)
                answer = len(taken)
            else:
                answer = yield step
            step = _next(reading, answer)
    return None


def _matching(only: Filter, part: Part) -> list[tuple[int, Seen]]:
    """Give what a filter asks for, each with its place."""
    looked = ((part.first + place, seen(only, entry, part.now)) for place, entry in enumerate(part.entries))
    return [(place, one) for place, one in looked if one is not None]


def _next(reading: Generator[Script | Part, Any, None], answer: Any) -> Script | Part | None:
    try:
        return reading.send(answer)
    except StopIteration:
        return None


def _take(
    scripts: Scripts, verb: str, place: Place, part: Part, taking: Sequence[tuple[int, Seen]], stamps: Stamps
) -> Course[list[JobId]]:
    if not taking:
        return []
    args: list[Arg] = [place.kind, part.size]
    keys = [place.key]
    for at, one in taking:
        args += [one.id, at, one.entry.payload, *_whither(scripts, verb, one.entry, part.now, stamps, keys)]
    gone = yield scripts.script("take", args, keys)
    if gone and verb != "promote_now":
        yield scripts.script("pardon", gone)
    return [JobId(id.decode()) for id in gone]


def _whither(
    scripts: Scripts, verb: str, entry: Entry, now: int, stamps: Stamps, keys: list[str]
) -> tuple[int, str, bytes]:
    if verb in ("cancel", "delete"):
        return 0, "", b""
    try:
        job = read_payload(entry.payload)
        payload = granted(job, entry.payload) if verb == "retry" else entry.payload
        queue, payload = job.queue, pushed(job, payload, now, now, stamps)
    except UNREADABLE:
        # It comes back as what it is, and a worker says what is wrong with it.
        queue, payload = "default", entry.payload
    keys.append(scripts.queue(queue))
    return len(keys), queue, payload


# -- requeue -----------------------------------------------------------------------------------------------------------


def requeue(scripts: Scripts, only: Filter, limit: int, *, force: bool) -> Callable[[], Course[Changed]]:
    """Take jobs back from their workers: from silent ones, or by force."""

    def course() -> Course[Changed]:
        now, held = yield from running(scripts, lapsed=not force)
        matching = [(claim, one) for claim, entry in held if (one := seen(only, entry, now)) is not None]
        args: list[Arg] = [int(force)]
        keys: list[str] = []
        for claim, one in matching[:limit]:
            args += _back(scripts, claim, one, keys)
        gone = (yield scripts.script("requeue", args, keys)) if keys else []
        return Changed(len(gone), len(matching) > limit, tuple(JobId(id.decode()) for id in gone))

    return course


def _back(scripts: Scripts, claim: Claim, one: Seen, keys: list[str]) -> list[Arg]:
    place = len(keys) + 1
    keys += [*scripts.claim_keys(claim.token), scripts.queue(one.entry.queue)]
    return [place, claim.token, one.id, place + 2]
