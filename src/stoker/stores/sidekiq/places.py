"""Where jobs lie, and how each place is read: a part at a time, from the end that does not move under the reader."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final, NamedTuple

from stoker.core.command import Script
from stoker.core.duration import SECOND
from stoker.core.filters import Filter
from stoker.core.job import State
from stoker.stores.sidekiq.commands import Scripts
from stoker.stores.sidekiq.failing import held
from stoker.stores.sidekiq.records import Entry
from stoker.stores.walks import Course

SETS: Final = {"schedule": State.SCHEDULED, "retry": State.RETRYABLE, "dead": State.DISCARDED}
_FIRST_PART, _LARGEST_PART = 50, 500
_PART_BYTES: Final = 4 * 1024 * 1024
_MOST_HELD: Final = 100_000


class Place(NamedTuple):
    """A list or a sorted set of jobs that do not run."""

    kind: str
    key: str
    state: State
    queue: str
    """The one that a list is; of a set each job says its own."""


class Claim(NamedTuple):
    """What is known of a claim without looking at its jobs."""

    token: str
    at: int
    worker: str


class Part(NamedTuple):
    """Some entries of a place, and where they began."""

    now: int
    first: int
    size: int
    """Entries of the whole place."""
    entries: list[Entry]


def places(scripts: Scripts, only: Filter) -> Course[list[Place]]:
    """Give the places that may have jobs of a filter: the sets first, because jobs go from there into lists."""
    wanted = frozenset(only.states or State)
    found = [Place("set", scripts.key(name), state, "") for name, state in SETS.items() if state in wanted]
    if State.AVAILABLE in wanted:
        _, lists, _, _ = yield scripts.script("overview", [])
        names = sorted(name.decode(errors="replace") for name in lists)
        wanted_queues = [name for name in names if not only.queues or name in only.queues]
        found += [Place("list", scripts.queue(name), State.AVAILABLE, name) for name in wanted_queues]
    return found


def parts(scripts: Scripts, place: Place, first: int = 0) -> Generator[Script | Part, Any, None]:
    """Read a place; sent how many of a part's entries were taken away, because the next ones moved up by that."""
    size = _FIRST_PART
    while True:
        now, whole, found = yield scripts.script("page", [place.kind, first, first + size - 1], [place.key])
        step = 1 if place.kind == "list" else 2
        scores = [None] * len(found) if step == 1 else [round(float(score) * SECOND) for score in found[1::2]]
        entries = [
            Entry(payload, place.state, place.queue, score)
            for payload, score in zip(found[::step], scores, strict=True)
        ]
        taken = (yield Part(int(now), first, whole, entries)) or 0
        if len(entries) < size:
            return
        first += len(entries) - taken
        weight = sum(len(entry.payload) for entry in entries) // len(entries) + 1
        size = max(1, min(_LARGEST_PART, 4 * size, _PART_BYTES // weight))


def running(scripts: Scripts, *, lapsed: bool = False) -> Course[tuple[int, list[tuple[Claim, Entry]]]]:
    """Read what the claims hold, or those whose lease is over; with the store's time."""
    now, holders = yield scripts.script("holdings", [])
    claims = [_claim(token, said) for token, said in zip(holders[::2], holders[1::2], strict=True)]
    if lapsed:
        _, over = yield scripts.script("expired", [_MOST_HELD])
        silent = {token.decode() for token in over}
        claims = [claim for claim in claims if claim.token in silent]
    found: list[tuple[Claim, Entry]] = []
    for claim in claims:
        contents = yield scripts.script("contents", [_MOST_HELD], scripts.claim_keys(claim.token)[:1])
        for id, value in zip(contents[1::3], contents[2::3], strict=True):
            queue, payload = held(value)
            entry = Entry(payload, State.RUNNING, queue, None, id.decode(errors="replace"), claim.worker, claim.at)
            found.append((claim, entry))
    return int(now), found


def _claim(token: bytes, said: bytes) -> Claim:
    time, _, worker = said.decode(errors="replace").partition(" ")
    return Claim(token.decode(), int(time), worker)
