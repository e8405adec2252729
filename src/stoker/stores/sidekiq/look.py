"""How the store is looked at: any and count."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stoker.core.command import Command
from stoker.core.job import QueueCount, State
from stoker.stores.sidekiq.commands import Arg, Scripts
from stoker.stores.walks import Course

_PART = 1000
"""Jobs looked at by one script."""


def any_of(scripts: Scripts, queues: Sequence[str], names: Sequence[str], routes: Sequence[str]) -> Command[bool]:
    """Ask whether there is something for a worker."""
    args: list[Arg] = [len(names), len(routes), *names, *routes, *queues]
    return scripts.command("any", args, bool, more=[*map(scripts.queue, queues)])


def count(scripts: Scripts, queues: Sequence[str]) -> Callable[[], Course[list[QueueCount]]]:
    """Count by queue, name and state, a part at a time: lists have no counters."""

    def course() -> Course[list[QueueCount]]:
        now, lists, busy, _ = yield scripts.script("overview", [])
        tally = Tally(queues)
        for lane, number in zip(busy[::2], busy[1::2], strict=True):
            tally.add(lane, State.RUNNING, int(number), int(now))
        for queue in sorted(name.decode() for name in lists):
            if not queues or queue in queues:
                yield from _counted(scripts, tally, State.AVAILABLE, "list", scripts.queue(queue), queue)
        for key, state in (("schedule", State.SCHEDULED), ("retry", State.RETRYABLE), ("dead", State.DISCARDED)):
            yield from _counted(scripts, tally, state, "set", scripts.key(key), "")
        return tally.counts()

    return course


def _counted(scripts: Scripts, tally: Tally, state: State, kind: str, key: str, queue: str) -> Course[None]:
    first = 0
    while True:
        args: list[Arg] = [kind, first, first + _PART - 1, queue]
        found, groups = yield scripts.script("tally", args, [key])
        for lane, number, oldest in zip(groups[::3], groups[1::3], groups[2::3], strict=True):
            tally.add(lane, state, number, int(oldest))
        if found < _PART:
            return
        first += _PART


class Tally:
    """Sums of parts."""

    def __init__(self, queues: Sequence[str]) -> None:
        self._queues = queues
        self._found: dict[tuple[str, str, str, State], tuple[int, int]] = {}

    def add(self, lane: bytes, state: State, number: int, oldest: int) -> None:
        """Add jobs of one queue, name and route."""
        queue, name, route = lane.decode(errors="replace").split("\n")
        if self._queues and queue not in self._queues:
            return
        before, earliest = self._found.get((queue, name, route, state), (0, oldest))
        self._found[queue, name, route, state] = before + number, min(earliest, oldest)

    def counts(self) -> list[QueueCount]:
        """Give the sums in order."""
        return [
            QueueCount(queue, name, route, state, number, oldest)
            for (queue, name, route, state), (number, oldest) in sorted(self._found.items())
        ]
