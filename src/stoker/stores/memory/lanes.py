"""Available jobs, in the order in which they are to run."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from heapq import heapify, heappop, heapreplace
from typing import TypeAlias

from stoker.core.job import NewJob
from stoker.stores.memory.row import Row

Place: TypeAlias = tuple[int, int]
"""(minus priority, pos): the smallest runs first."""


class Lane:
    """The available jobs of one queue, route and name: per priority first in, first out.

    Places only ever grow, so a deque per priority is in order by itself and costs less than a heap. Entries of rows
    that left by another door than `take` stay behind, stale, and are skipped.
    """

    __slots__ = ("_levels", "_order", "ready")

    def __init__(self) -> None:
        self._levels: dict[int, deque[tuple[int, Row]]] = {}
        self._order: list[int] = []
        self.ready = 0
        """How many jobs are available in it."""

    def add(self, row: Row) -> None:
        """Put a row behind those of its priority."""
        level = self._levels.get(row.job.priority)
        if level is None:
            level = self._levels[row.job.priority] = deque()
            self._order = sorted(self._levels, reverse=True)
        level.append((row.pos, row))
        self.ready += 1

    def leave(self, row: Row) -> None:
        """Let a row go that is no longer available, though nobody took it."""
        row.pos = 0
        self.ready -= 1
        if sum(map(len, self._levels.values())) > 2 * self.ready + 64:
            self._clean()

    def first(self) -> Place | None:
        """Give the place of the row that is to run next."""
        for priority in self._order:
            if (pos := self._head(priority)) is not None:
                return -priority, pos
        return None

    def take(self, limit: int) -> list[Row]:
        """Take out up to ``limit`` rows in order."""
        taken: list[Row] = []
        for priority in self._order:
            level = self._levels[priority]
            while level and len(taken) < limit:
                pos, row = level.popleft()
                if row.pos == pos:
                    row.pos = 0
                    taken.append(row)
        self.ready -= len(taken)
        return taken

    def oldest(self) -> int | None:
        """Give the smallest place in the lane, whatever the priority."""
        places = [place for priority in self._order if (place := self._head(priority)) is not None]
        return min(places, default=None)

    def take_oldest(self) -> Row:
        """Take out the row at the smallest place; there must be one."""
        heads = [(place, priority) for priority in self._order if (place := self._head(priority)) is not None]
        _, row = self._levels[min(heads)[1]].popleft()
        row.pos = 0
        self.ready -= 1
        return row

    def _head(self, priority: int) -> int | None:
        level = self._levels[priority]
        while level:
            pos, row = level[0]
            if row.pos == pos:
                return pos
            level.popleft()
        return None

    def _clean(self) -> None:
        for priority, level in list(self._levels.items()):
            alive = deque((pos, row) for pos, row in level if row.pos == pos)
            self._levels[priority] = alive
            if not alive:
                del self._levels[priority]
        self._order = sorted(self._levels, reverse=True)


class Lanes:
    """All lanes, by queue and then by (route, name); a lane that nobody asks for costs nobody anything."""

    def __init__(self) -> None:
        self._queues: dict[str, dict[tuple[str, str], Lane]] = {}

    def of(self, job: NewJob) -> Lane:
        """Give the lane of a job."""
        try:
            return self._queues[job.queue][job.route, job.name]
        except KeyError:
            return self._queues.setdefault(job.queue, {}).setdefault((job.route, job.name), Lane())

    def asked(self, queue: str, names: Collection[str], routes: Collection[str]) -> list[Lane]:
        """Give the lanes of a queue that have jobs of the given names and routes."""
        return [
            lane
            for (route, name), lane in self._queues.get(queue, {}).items()
            if lane.ready and name in names and route in routes
        ]

    def queues_of(self, name: str) -> Iterator[str]:
        """Give the queues in which jobs of a name are available."""
        for queue, lanes in self._queues.items():
            if any(lane.ready and lane_name == name for (_, lane_name), lane in lanes.items()):
                yield queue

    def tidy(self) -> None:
        """Forget the lanes without jobs."""
        for queue, lanes in list(self._queues.items()):
            self._queues[queue] = {key: lane for key, lane in lanes.items() if lane.ready}
            if not self._queues[queue]:
                del self._queues[queue]


def take_first(lanes: list[Lane], limit: int) -> list[Row]:
    """Take up to ``limit`` rows out of several lanes, in the order of all their places."""
    if len(lanes) == 1:
        return lanes[0].take(limit)
    heads = [(place, index) for index, lane in enumerate(lanes) if (place := lane.first()) is not None]
    heapify(heads)
    taken: list[Row] = []
    while heads and len(taken) < limit:
        index = heads[0][1]
        taken += lanes[index].take(1)
        following = lanes[index].first()
        if following is None:
            heappop(heads)
        else:
            heapreplace(heads, (following, index))
    return taken


def take_oldest(lanes: list[Lane], limit: int) -> list[Row]:
    """Take up to ``limit`` rows in the order in which they became available, over several lanes and all priorities."""
    taken: list[Row] = []
    while len(taken) < limit:
        heads = [(place, index) for index, lane in enumerate(lanes) if (place := lane.oldest()) is not None]
        if not heads:
            break
        taken.append(lanes[min(heads)[1]].take_oldest())
    return taken
