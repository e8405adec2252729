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
_MOST_STEPS: Final = 200_000
"""Entries of lists that one script may pass over; it takes a few milliseconds."""


class Ends:
    """Where the latest pages of lists ended: the next one keeps its place though that job be gone."""

    _MOST = 256

    def __init__(self) -> None:
        self._moments: dict[str, int] = {}

    def note(self, last: Seen) -> None:
        """Remember the last job of a page."""
        self._moments.pop(last.id, None)
        self._moments[last.id] = last.moment
        if len(self._moments) > self._MOST:
            del self._moments[next(iter(self._moments))]

    def moment(self, id: JobId) -> int | None:
        """Give the time by which a job is listed, if it is known without looking."""
        return self._moments.get(id)


# -- find --------------------------------------------------------------------------------------------------------------


def find(
    scripts: Scripts, ends: Ends, only: Filter, limit: int, before: JobId | None
) -> Callable[[], Course[list[StoredJob]]]:
    """Give a page of jobs, newest first."""

    def course() -> Course[list[StoredJob]]:
        bound: tuple[int, str] | None = None
        if before is not None:
            moment = yield from _moment_of(scripts, ends, before)
            if moment is None:
                return []
            bound = (moment, before)
        newest = _Newest(only, limit, bound)
        for place in (yield from places(scripts, only)):
            yield from _each(parts(scripts, place), newest.take)
        if not only.states or State.RUNNING in only.states:
            now, held = yield from running(scripts)
            newest.take(Part(now, 0, [entry for _, entry in held]))
        found = newest.found()
        if found:
            ends.note(found[-1])
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


def _moment_of(scripts: Scripts, ends: Ends, id: JobId) -> Course[int | None]:
    """Tell by which time a job is listed: as it was shown, else as it lies there, else as its id says."""
    moment = ends.moment(id)
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


def change(scripts: Scripts, verb: str, only: Filter, limit: int, stamps: Stamps) -> Callable[[], Course[Changed]]:
    """Take jobs from where they wait, for good or into their lists; no more than ``limit``."""
    wanted = STATES[verb] & frozenset(only.states or State)

    def course() -> Course[Changed]:
        ids: list[JobId] = []
        if not wanted:
            return Changed(0)
        chosen = msgspec.structs.replace(only, states=tuple(wanted))
        for place in (yield from places(scripts, chosen)):
            reading = parts(scripts, place)
            step = next(reading, None)
            while step is not None:
                answer: Any = 0
                if isinstance(step, Part):
                    matching = [one for entry in step.entries if (one := seen(only, entry, step.now)) is not None]
                    taking = matching[: limit - len(ids)]
                    taken = yield from _take(scripts, verb, place, step, taking, stamps)
                    ids += taken
                    if len(matching) > len(taking):
                        return Changed(len(ids), True, tuple(ids))
                    answer = len(taken)
                else:
                    answer = yield step
                step = _next(reading, answer)
        return Changed(len(ids), False, tuple(ids))

    return course


def _next(reading: Generator[Script | Part, Any, None], answer: Any) -> Script | Part | None:
    try:
        return reading.send(answer)
    except StopIteration:
        return None


def _take(
    scripts: Scripts, verb: str, place: Place, part: Part, taking: Sequence[Seen], stamps: Stamps
) -> Course[list[JobId]]:
    taken: list[JobId] = []
    left = list(taking)
    while left:
        args: list[Arg] = []
        keys = [place.key]
        # An entry of a list is found by going there from its end.
        most = len(left) if place.kind == "set" else max(1, _MOST_STEPS // (part.first + len(part.entries)))
        for one in left[:most]:
            args += [
                one.id,
                place.kind,
                1,
                one.entry.payload,
                *_whither(scripts, verb, one.entry, part.now, stamps, keys),
            ]
        left = left[most:]
        gone = yield scripts.script("take", args, keys)
        if gone and verb != "promote_now":
            yield scripts.script("pardon", gone)
        taken += [JobId(id.decode()) for id in gone]
    return taken


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
