"""Where claims begin to look (contract §5): a hint in this process's memory, never stored and never needed for safety.

A claim reads the head of an index in which every claimed job leaves a dead entry; while somebody's snapshot keeps those
from being cleaned up, each claim would walk over all of them. So a claim begins at the place in line that the previous
one reached, and from time to time (a sweep) at the very beginning, where late commits and rolled-back claims may be.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import inf
from threading import Lock
from time import monotonic
from typing import Final, NamedTuple, TypeAlias

import msgspec

HIGHEST: Final = 2**31 - 1
LOWEST: Final = -(2**31)
START: Final = -(2**63)
MOST_PRIORITIES: Final = 8
"""Priorities of one lane whose places are remembered; more are seldom, and each costs a look at the index."""
SWEEP_SHARE: Final = 20
"""Sweeps may take a twentieth of the time."""
LONGEST_WITHOUT: Final = 30.0
"""Seconds after which a queue is swept whatever the last sweep took: a server that stalled is not a long dead head."""


class Lane(NamedTuple):
    """Jobs that wait in one line for each priority."""

    queue: str
    route: str
    name: str


class Range(msgspec.Struct, array_like=True, frozen=True):
    """A part of a lane to look into: priorities from ``high`` down to ``low``, places from ``start`` on."""

    queue: str
    route: str
    name: str
    high: int
    low: int
    start: int
    wanted: int


Stand: TypeAlias = tuple[str, str, str, int]
"""Queue, route, name and priority: where a job stood in line."""
Reached: TypeAlias = dict[int, int]
"""The place in line reached, by priority."""


class Marks:
    """The places that the claims of this process have reached. Used from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._reached: dict[Lane, Reached] = {}
        self._sweep_at: dict[str, float] = {}
        self._owed: set[str] = set()
        """The queues that were looked into since their last sweep, but not from the beginning."""
        self.due_from = START
        """Where the line of scheduled jobs begins; what is due earlier came late, and the next sweep finds it."""
        self.expired_from = START
        self.taken_from = START
        """Where the next batch of a round of pruning begins, among finished jobs and among receipts."""

    def sweeping(self, queues: Collection[str]) -> frozenset[str]:
        """Tell into which of the queues the next claim should look from the very beginning."""
        now = monotonic()
        with self._lock:
            return frozenset(queue for queue in queues if now >= self._sweep_at.get(queue, 0.0))

    def swept(self, queues: Collection[str], duration: float) -> None:
        """Take note of how long a sweep took, in seconds; queues that are swept by themselves share the time."""
        with self._lock:
            known = len(self._sweep_at.keys() | queues)
            at = monotonic() + min(SWEEP_SHARE * duration * known / len(queues), LONGEST_WITHOUT)
            self._sweep_at.update(dict.fromkeys(queues, at))
            self._owed.difference_update(queues)

    def patience(self, queues: Collection[str]) -> float:
        """Tell how long one may sleep, in seconds, until a sweep shows what a bounded look cannot have seen."""
        with self._lock:
            owed = [self._sweep_at.get(queue, 0.0) for queue in self._owed.intersection(queues)]
        return max(0.0, min(owed) - monotonic()) if owed else inf

    def forget(self) -> None:
        """Begin anew: somebody else may have been at work meanwhile."""
        with self._lock:
            self._sweep_at.clear()

    def ranges(self, lanes: Sequence[Lane], demand: Mapping[str, int], sweeping: Collection[str]) -> list[Range]:
        """Give what a claim is to look into, the highest priorities first.

        A new priority is found at once: what lies between the known ones is looked into from the beginning.
        """
        found: list[Range] = []
        with self._lock:
            for lane in lanes:
                wanted = demand[lane.queue]
                high = HIGHEST
                if lane.queue not in sweeping:
                    for priority, start in sorted(self._reached.get(lane, {}).items(), reverse=True):
                        if priority < high:
                            found.append(Range(*lane, high, priority + 1, START, wanted))
                        found.append(Range(*lane, priority, priority, start, wanted))
                        high = priority - 1
                found.append(Range(*lane, high, LOWEST, START, wanted))
        return found

    def reached(self, last: Mapping[Stand, int], full: Collection[str], sweeping: Collection[str]) -> None:
        """Take note of the last place that a claim took in each line; ``full`` are the queues that gave all it wanted.

        The mark goes back where a sweep filled up before it: there is more between. Where a sweep went all the way, or
        a claim was bounded, it only goes forward.
        """
        with self._lock:
            for (queue, route, name, priority), pos in last.items():
                marks = self._reached.setdefault(Lane(queue, route, name), {})
                lowest = min(stand[3] for stand in last if stand[:3] == (queue, route, name))
                back = queue in sweeping and queue in full and priority == lowest
                marks[priority] = pos if back else max(pos, marks.get(priority, pos))
                while len(marks) > MOST_PRIORITIES:
                    del marks[next(iter(marks))]

    def looked(self, queues: Collection[str], next_due: int | None, now: int) -> None:
        """Take note of a claim that looked into the queues at the instant ``now`` and saw when the next job is due."""
        with self._lock:
            self._owed.update(queues)
            # What is scheduled from now on is due later than now, if its transaction commits and the clock stays right.
            self.due_from = now if next_due is None else min(next_due, now)
