"""How jobs leave for another store: out of lists and sets into a hash, from which nobody's workers take them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from stoker.core.duration import SECOND
from stoker.core.filters import Filter
from stoker.core.job import WAITING, State, StoredJob, Token
from stoker.core.moving import HELD_FOR
from stoker.stores.sidekiq.commands import Arg, Scripts
from stoker.stores.sidekiq.failing import held as parts_of
from stoker.stores.sidekiq.places import SETS, Place, places
from stoker.stores.sidekiq.records import Entry, Seen, seen, stored
from stoker.stores.sidekiq.wire import UNREADABLE, read_payload
from stoker.stores.walks import Course

_PART: Final = 500
"""Jobs looked at by one script."""
_SETS: Final = {state: name for name, state in SETS.items()}


def hold(
    scripts: Scripts, only: Filter, limit: int, token: Token, worker: str
) -> Callable[[], Course[list[StoredJob]]]:
    """Look for jobs, take what is still there, and show what is held."""
    keys = scripts.claim_keys(token)
    waiting = msgspec.structs.replace(only, states=tuple(sorted(WAITING & frozenset(only.states or WAITING))))

    def course() -> Course[list[StoredJob]]:
        now, fields, crashes = yield scripts.script("held", [], keys[:1])
        if not fields and limit and waiting.states:
            args: list[Arg] = [token, worker, HELD_FOR]
            lists: list[str] = []
            count = 0
            for place in (yield from places(scripts, waiting)):
                if place.kind == "list":
                    lists.append(place.key)
                found = yield from _first_of(scripts, waiting, limit - count, place)
                count += len(found)
                for one in found:
                    source = str(len(lists) + 2) if place.kind == "list" else _SETS[place.state]
                    args += [source, one.entry.queue or _queue_of(one), one.entry.score or "", one.entry.payload]
            if count:
                yield scripts.script("hold", args, [*keys, *lists])
                now, fields, crashes = yield scripts.script("held", [], keys[:1])
        return list(_held(fields, crashes, int(now)))

    return course


def _first_of(scripts: Scripts, only: Filter, limit: int, place: Place) -> Course[list[Seen]]:
    """Give the oldest of a place that match; what is no job stays where it is."""
    found: list[Seen] = []
    first = 0
    while len(found) < limit:
        now, page = yield scripts.script("stretch", [place.kind, first, first + _PART - 1], [place.key])
        step = 1 if place.kind == "list" else 2
        scores = [None] * len(page) if step == 1 else [round(float(score) * SECOND) for score in page[1::2]]
        for payload, score in zip(page[::step], scores, strict=True):
            one = seen(only, Entry(payload, place.state, place.queue, score), int(now))
            if one is not None and _is_job(payload):
                found.append(one)
        if len(scores) < _PART:
            break
        first += _PART
    return found[:limit]


def _held(fields: list[bytes], crashes: list[bytes], now: int) -> Iterator[StoredJob]:
    told = dict(zip(fields[::2], fields[1::2], strict=True))
    died = dict(zip(fields[::2], map(int, crashes), strict=True))
    ids = [id for id, value in told.items() if not (id.startswith(b"\0") or value.startswith(b"\0"))]
    for id in sorted(ids, key=lambda id: int(told[id].partition(b" ")[0])):
        queue, payload = parts_of(told[id])
        source, _, due = told.get(b"\0due" + id, b"list ").decode().partition(" ")
        state, name = SETS.get(source, State.AVAILABLE), id.decode(errors="replace")
        entry = Entry(payload, state, queue, int(due) if due else None, name)
        yield stored(Seen(0, name, entry), died[id], now)


def _is_job(payload: bytes) -> bool:
    try:
        read_payload(payload)
    except UNREADABLE:
        return False
    return True


def _queue_of(found: Seen) -> str:
    return read_payload(found.entry.payload).queue


def last_due(reply: Any) -> int | None:
    """Read the latest due time of both sets."""
    return max((round(float(entry[1]) * SECOND) for entry in reply if entry), default=None)
