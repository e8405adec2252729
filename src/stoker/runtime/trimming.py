"""Keeping the archive short: of some names and queues only so many finished jobs are kept, the oldest go first."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from typing import Final

import msgspec

from stoker.core.clock import Clock
from stoker.core.duration import SECOND
from stoker.core.filters import Filter
from stoker.core.job import FINAL
from stoker.runtime.loop import sleep
from stoker.stores.base import Store

INTERVAL: Final = 60.0
"""Seconds between two counts: each reads as much as the store has jobs."""
BATCH: Final = 500
_FINISHED: Final = tuple(sorted(FINAL))


class Trimming:
    """The trimming of one store by one worker, by the numbers that its application gives by name and by queue.

    One worker of those with the same numbers does it; workers with others do theirs.
    """

    def __init__(
        self, store: Store, worker: str, clock: Clock, *, names: Mapping[str, int], queues: Mapping[str, int]
    ) -> None:
        self._store = store
        self._worker = worker
        self._clock = clock
        self._names = names
        self._queues = queues
        numbers = msgspec.json.encode([sorted(names.items()), sorted(queues.items())])
        self._role = f"trim {hashlib.sha256(numbers).hexdigest()[:16]}"

    @property
    def wanted(self) -> bool:
        """Whether anything is to be trimmed at all."""
        return bool(self._names or self._queues)

    async def tick(self) -> None:
        """Count, and delete what is too much, if this worker leads."""
        ttl = round(2 * INTERVAL * SECOND)
        if not await self._store.arun(self._store.lead(self._role, self._worker, ttl)):
            return
        counts = [row for row in await self._store.arun(self._store.count()) if row.state.final]
        for name, most in self._names.items():
            held = sum(row.count for row in counts if row.name == name)
            await self._delete(Filter(names=(name,), states=_FINISHED), held - most)
        for queue, most in self._queues.items():
            held = sum(row.count for row in counts if row.queue == queue)
            await self._delete(Filter(queues=(queue,), states=_FINISHED), held - most)

    async def resign(self) -> None:
        """Give the leadership up."""
        if self.wanted:
            await self._store.arun(self._store.lead(self._role, self._worker, 0))

    async def _delete(self, only: Filter, surplus: int) -> None:
        while surplus > 0:
            deleted = await self._store.arun(self._store.delete(only, min(BATCH, surplus)))
            surplus -= deleted.count
            if not deleted.count:
                return
            await sleep(self._clock, random.uniform(0.01, 0.05))
