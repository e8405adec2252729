"""Rows by the instant at which something is to be done with them."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import count
from typing import TypeAlias

from stoker.stores.memory.row import Row

Entry: TypeAlias = tuple[int, int, Row]


class Agenda:
    """A heap of (instant, turn, row). An entry whose row was removed or noted anew is stale, and skipped."""

    def __init__(self) -> None:
        self._heap: list[Entry] = []
        self._noted: dict[int, int] = {}
        """The turn of a row's valid entry, by the row's number."""
        self._turns = count()

    def add(self, at: int, row: Row) -> bool:
        """Note a row for an instant; tell whether it is now the first."""
        turn = self._noted[row.number] = next(self._turns)
        heappush(self._heap, (at, turn, row))
        return self._heap[0][2] is row

    def remove(self, row: Row) -> None:
        """Forget a row, if it is noted."""
        if self._noted.pop(row.number, None) is not None and len(self._heap) > 2 * len(self._noted) + 64:
            self._heap = [entry for entry in self._heap if self._stands(entry)]
            heapify(self._heap)

    def earliest(self) -> int | None:
        """Give the first instant for which something is noted."""
        while self._heap and not self._stands(self._heap[0]):
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, now: int, limit: int) -> list[Row]:
        """Take out up to ``limit`` rows whose instant has come, in order."""
        taken: list[Row] = []
        while len(taken) < limit and self._heap and self._heap[0][0] <= now:
            entry = heappop(self._heap)
            if self._stands(entry):
                taken.append(entry[2])
                del self._noted[entry[2].number]
        return taken

    def due(self, now: int) -> Iterator[Row]:
        """Give the rows whose instant has come and leave them; looks at no others."""
        heap, visit = self._heap, [0]
        while visit:
            index = visit.pop()
            if index < len(heap) and heap[index][0] <= now:
                if self._stands(heap[index]):
                    yield heap[index][2]
                # The children of an entry are never earlier than itself.
                visit += (2 * index + 1, 2 * index + 2)

    def _stands(self, entry: Entry) -> bool:
        return self._noted.get(entry[2].number) == entry[1]
