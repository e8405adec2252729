"""How the room of a pool is split over its queues: in turn, by weight, or strictly in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from stoker.runtime.plan import PoolPlan

MOST_QUEUES: Final = 64
"""Queues of one pool in one claim: a store looks at each of them while it keeps others from writing."""
MOST_OWED: Final = 100.0
"""Jobs."""


class Split(Protocol):
    """The split of one pool's room."""

    def share(self, room: int) -> dict[str, int]:
        """Say how much to ask of which queues: ``room`` jobs, which is at least one."""

    def answered(self, asked: Mapping[str, int], taken: Mapping[str, int]) -> None:
        """Hear what was asked of all queues in a claim, and what they gave."""


def split_of(pool: PoolPlan) -> Split:
    """Give the split that a pool's plan asks for."""
    if pool.strict:
        return InOrder(pool.queues)
    return ByWeight(pool.queues, pool.weights) if pool.weights else InTurn(pool.queues)


class InTurn:
    """Equal parts, the odd ones to a different queue each time."""

    def __init__(self, queues: tuple[str, ...]) -> None:
        self._queues = queues
        self._turn = 0

    def share(self, room: int) -> dict[str, int]:
        """Split the room evenly."""
        queues = self._queues
        asked = min(room, len(queues), MOST_QUEUES)
        share, odd = divmod(room, asked)
        turn = self._turn
        self._turn += odd if asked == len(queues) else asked
        return {queues[(place + turn) % len(queues)]: share + (place < odd) for place in range(asked)}

    def answered(self, asked: Mapping[str, int], taken: Mapping[str, int]) -> None:
        """Learn nothing from it."""


class ByWeight:
    """Parts in the proportion of the weights, also over many claims of a single job each.

    A queue that gave less than was asked of it counts little and is asked for one job only, until it gives that: else
    the slots that an empty queue has a right to would be filled in many small claims.
    """

    def __init__(self, queues: tuple[str, ...], weights: tuple[int, ...]) -> None:
        self._weights = dict(zip(queues, weights, strict=True))
        self._least = min(weights)
        self._credit = dict.fromkeys(queues, 0.0)
        self._short: set[str] = set()

    def share(self, room: int) -> dict[str, int]:
        """Split the room by weight; what is too little to be split is owed."""
        credit, short = self._credit, self._short if len(self._short) < len(self._weights) else set[str]()
        weights = {queue: self._least if queue in short else weight for queue, weight in self._weights.items()}
        whole = sum(weights.values())
        for queue, weight in weights.items():
            credit[queue] += room * weight / whole
        owed = sorted(credit, key=credit.__getitem__, reverse=True)[:MOST_QUEUES]
        demand: dict[str, int] = {}
        left = room
        for queue in owed:
            demand[queue] = min(left, max(0, int(credit[queue])), 1 if queue in short else left)
            left -= demand[queue]
        for queue in sorted(owed, key=lambda queue: credit[queue] - demand[queue], reverse=True):
            if left and not (queue in short and demand[queue]):
                demand[queue] += 1
                left -= 1
        if left:
            demand[next(queue for queue in owed if queue not in short)] += left
        for queue, part in demand.items():
            # Bounded, so that nobody is owed more than a claim can give after a long time of none.
            credit[queue] = max(-MOST_OWED, min(MOST_OWED, credit[queue] - part))
        return {queue: part for queue, part in demand.items() if part}

    def answered(self, asked: Mapping[str, int], taken: Mapping[str, int]) -> None:
        """Learn which queues have less than their part."""
        for queue in self._weights.keys() & asked.keys():
            if taken.get(queue, 0) < asked[queue]:
                self._short.add(queue)
            elif queue in self._short:
                # What it did not use is not owed to it.
                self._short.remove(queue)
                self._credit = dict.fromkeys(self._credit, 0.0)


class InOrder:
    """All of the room to the first queue, and to the next only when the one before has no job left."""

    def __init__(self, queues: tuple[str, ...]) -> None:
        self._queues = queues
        self._at = 0

    def share(self, room: int) -> dict[str, int]:
        """Ask one queue for everything."""
        return {self._queues[self._at]: room}

    def answered(self, asked: Mapping[str, int], taken: Mapping[str, int]) -> None:
        """Go on to the next queue if this one gave less than was asked, else begin anew."""
        queue = self._queues[self._at]
        if queue in asked:
            short = taken.get(queue, 0) < asked[queue]
            self._at = (self._at + 1) % len(self._queues) if short else 0
