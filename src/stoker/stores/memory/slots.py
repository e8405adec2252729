"""Unique keys: who holds which (contract §2)."""

from __future__ import annotations

from heapq import heappop, heappush

import msgspec

from stoker.core.job import JobId, State
from stoker.core.unique import UniqueKey
from stoker.stores.memory.row import Row


class Slot(msgspec.Struct, eq=False):
    """One taken key: by its holder's state (``held``), until an instant, or both."""

    holder: JobId
    held: bool
    until: int | None = None

    def taken(self, now: int) -> bool:
        """Tell whether the key is still refused to others."""
        return self.held or (self.until is not None and now < self.until)


class Slots:
    """The taken keys of one store, across all its queues."""

    def __init__(self) -> None:
        self._slots: dict[str, Slot] = {}
        self._windows: list[tuple[int, str]] = []

    def holder(self, unique: UniqueKey, now: int) -> JobId | None:
        """Give the job that has a key, None when it is free."""
        slot = self._slots.get(unique.key)
        return slot.holder if slot is not None and slot.taken(now) else None

    def acquire(self, row: Row, unique: UniqueKey, now: int) -> None:
        """Give a key to a job that is being enqueued, with its window of time; whoever had it goes on without."""
        until = None if unique.within is None else now + unique.within
        slot = Slot(row.id, row.state in unique.states, until)
        if slot.taken(now):
            self._slots[unique.key] = slot
        if until is not None:
            heappush(self._windows, (until, unique.key))

    def follow(self, row: Row, unique: UniqueKey, now: int) -> None:
        """Take or give up a job's key as its present state asks for; a key that another has is left to it."""
        if row.state not in unique.states:
            self.release(row, unique, now)
            return
        slot = self._slots.get(unique.key)
        if slot is None or not slot.taken(now):
            self._slots[unique.key] = Slot(row.id, True)
        elif slot.holder == row.id:
            slot.held = True

    def release(self, row: Row, unique: UniqueKey, now: int) -> None:
        """Give up a job's key, if it has it; a window that is still open keeps it taken."""
        slot = self._slots.get(unique.key)
        if slot is not None and slot.holder == row.id:
            slot.held = False
            if not slot.taken(now):
                del self._slots[unique.key]

    def free_for(self, row: Row, state: State, now: int) -> bool:
        """Tell whether a job may enter a state without a clash with another holder of its key."""
        unique = row.job.unique
        return unique is None or state not in unique.states or self.holder(unique, now) in (None, row.id)

    def prune(self, now: int) -> None:
        """Forget windows that have closed."""
        while self._windows and self._windows[0][0] <= now:
            _, key = heappop(self._windows)
            slot = self._slots.get(key)
            if slot is not None and not slot.taken(now):
                del self._slots[key]
