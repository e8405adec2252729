"""Back-pressure: a queue with ``max_waiting`` refuses jobs while that many wait (`QueueFull`).

Soft, because nobody counts exactly on the way in: a process asks the store how many wait, goes by the answer for a
while, and adds what it has enqueued itself. Several processes may exceed the bound by what each enqueues in that time.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Final
from weakref import WeakKeyDictionary

from stoker.core.command import Command
from stoker.core.job import WAITING, NewJob, QueueCount
from stoker.errors import QueueFull
from stoker.stores.base import Store

LONGEST_TRUST: Final = 1.0
"""Seconds for which a count is gone by while there seems to be room."""
SHORTEST_TRUST: Final = 0.1
"""The same while the queue seems full: room is found soon, and still nobody counts for each refusal."""
COUNT_SHARE: Final = 20
"""Counting may take a twentieth of the time, however long a queue is."""


class Pressure:
    """How many jobs wait in the bounded queues of an application, as far as this process knows. For any thread."""

    def __init__(self, most: Mapping[str, int]) -> None:
        self.bounds = most
        """How many may wait in which queue; where none is bounded nobody needs to ask."""
        self._lock = threading.Lock()
        self._known: WeakKeyDictionary[Store, dict[str, _Count]] = WeakKeyDictionary()

    def question(self, store: Store, jobs: Sequence[NewJob]) -> Command[list[QueueCount]] | None:
        """Give the command that counts, if jobs go to bounded queues of which too little is known; else None."""
        asked = [queue for queue, number in self._bounded(jobs).items() if self._doubtful(store, queue, number)]
        return store.count(asked) if asked else None

    def answered(self, store: Store, jobs: Sequence[NewJob], counts: Sequence[QueueCount], took: float) -> None:
        """Take note of what waits now; ``took`` are the seconds that it took to count."""
        waiting = Counter[str]()
        for row in counts:
            if row.state in WAITING:
                waiting[row.queue] += row.count
        now = monotonic()
        with self._lock:
            known = self._known.setdefault(store, {})
            for queue in self._bounded(jobs):
                known[queue] = _Count(waiting[queue], now, COUNT_SHARE * took)

    def enter(self, store: Store, jobs: Sequence[NewJob]) -> None:
        """Count jobs in, all or none; QueueFull."""
        bounded = self._bounded(jobs)
        with self._lock:
            known = self._known.get(store, {})
            for queue, number in bounded.items():
                count = known[queue]
                if count.waiting + number > self.bounds[queue]:
                    raise QueueFull(queue, count.waiting, self.bounds[queue], number)
            for queue, number in bounded.items():
                known[queue].waiting += number

    def _bounded(self, jobs: Sequence[NewJob]) -> Counter[str]:
        return Counter(job.queue for job in jobs if job.queue in self.bounds)

    def _doubtful(self, store: Store, queue: str, number: int) -> bool:
        with self._lock:
            count = self._known.get(store, {}).get(queue)
        if count is None:
            return True
        seems_full = count.waiting + number > self.bounds[queue]
        trust = max(SHORTEST_TRUST if seems_full else LONGEST_TRUST, count.rest)
        return monotonic() > count.at + trust


class _Count:
    """What was counted, and when; ``rest`` are the seconds for which it may not be counted again."""

    def __init__(self, waiting: int, at: float, rest: float) -> None:
        self.waiting = waiting
        self.at = at
        self.rest = rest
