"""How the store is looked at: any and count."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stoker.core.command import Command
from stoker.core.job import QueueCount, State
from stoker.stores.gocraft.commands import DEFAULT_QUEUE, MOVING_POOL, Scripts, name_of, speakable
from stoker.stores.holding.commands import Arg
from stoker.stores.walks import Course

_PART = 1000
"""Jobs looked at by one script."""


class Lanes:
    """What `pools.lua` says: which names there are, of which queue and name each is, and which pools."""

    def __init__(self, reply: Any) -> None:
        now, pools, names, lanes, holders = reply
        self.now = int(now)
        self.pools = sorted(pool.decode(errors="replace") for pool in pools)
        self.holders = {holder.decode(errors="replace").partition(" ")[2] for holder in holders}
        self.of: dict[str, tuple[str, str]] = {}
        for name in names:
            known = name.decode(errors="replace")
            self.of[known] = (DEFAULT_QUEUE, known)
        for name, lane in zip(lanes[::2], lanes[1::2], strict=True):
            queue, _, own = lane.decode(errors="replace").partition("\n")
            self.of[name.decode(errors="replace")] = (queue, own)


def any_of(scripts: Scripts, queues: Sequence[str], names: Sequence[str]) -> Callable[[], Course[bool]]:
    """Ask whether there is something for a worker."""

    def course() -> Course[bool]:
        found = yield scripts.script("pools", [])
        lanes = [(queue, name) for queue in queues for name in names if speakable(queue, name)]
        args: list[Arg] = [len(lanes)]
        keys: list[str] = []
        for queue, name in lanes:
            keys += _entrance(scripts, queue, name)
            args += [queue, name, name_of(queue, name)]
        running = [
            scripts.in_progress(name_of(*lane), pool) for lane in lanes for pool in (*Lanes(found).pools, MOVING_POOL)
        ]
        return bool((yield scripts.script("any", args, [*keys, *running])))

    return course


def _entrance(scripts: Scripts, queue: str, name: str) -> list[str]:
    jobs = scripts.jobs(name_of(queue, name))
    return [jobs, f"{jobs}:paused", f"{jobs}:lock", f"{jobs}:max_concurrency"]


def is_open(scripts: Scripts, queues: Sequence[str], asked: Mapping[str, Sequence[str]]) -> Command[bool]:
    """Ask whether a claim of these queues, with the names that were last ``asked`` for there, would take something."""
    args: list[Arg] = []
    keys: list[str] = []
    for queue in queues:
        for name in asked.get(queue, ()):
            if speakable(queue, name):
                keys += _entrance(scripts, queue, name)
                args += [queue, name]
    return scripts.command("wait", args, bool, more=keys, script="open")


def count(scripts: Scripts, queues: Sequence[str]) -> Callable[[], Course[list[QueueCount]]]:
    """Count by queue, name and state; of Go's pools, too, what they perform."""

    def course() -> Course[list[QueueCount]]:
        lanes = Lanes((yield scripts.script("pools", [])))
        tally = _Tally(lanes, queues)
        names = sorted(lanes.of)
        keys = [scripts.jobs(name) for name in names]
        keys += [scripts.in_progress(name, pool) for pool in (*lanes.pools, MOVING_POOL) for name in names]
        now, found = yield scripts.script("lists", [], keys)
        for place, (number, since) in enumerate(zip(found[::2], found[1::2], strict=True)):
            state = State.AVAILABLE if place < len(names) else State.RUNNING
            tally.add(names[place % len(names)], state, number, int(since) or int(now))
        for key, state in (
            ("scheduled", State.SCHEDULED),
            ("retry", State.RETRYABLE),
            ("dead", State.DISCARDED),
        ):
            yield from _counted(scripts, tally, state, scripts.key(key))
        return tally.counts()

    return course


def _counted(scripts: Scripts, tally: _Tally, state: State, key: str) -> Course[None]:
    first = 0
    while True:
        args: list[Arg] = [first, first + _PART - 1]
        found, groups = yield scripts.script("tally", args, [key])
        for name, number, oldest in zip(groups[::3], groups[1::3], groups[2::3], strict=True):
            tally.add(name.decode(errors="replace"), state, number, int(oldest))
        if found < _PART:
            return
        first += _PART


class _Tally:
    """Sums of parts."""

    def __init__(self, lanes: Lanes, queues: Sequence[str]) -> None:
        self._lanes = lanes
        self._queues = queues
        self._found: dict[tuple[str, str, State], tuple[int, int]] = {}

    def add(self, known_as: str, state: State, number: int, oldest: int) -> None:
        """Add jobs that gocraft has under one name."""
        queue, name = self._lanes.of.get(known_as, (DEFAULT_QUEUE, known_as))
        if not number or (self._queues and queue not in self._queues):
            return
        before, earliest = self._found.get((queue, name, state), (0, oldest))
        self._found[queue, name, state] = before + number, min(earliest, oldest)

    def counts(self) -> list[QueueCount]:
        """Give the sums in order."""
        return [
            QueueCount(queue, name, "", state, number, oldest)
            for (queue, name, state), (number, oldest) in sorted(self._found.items())
        ]
