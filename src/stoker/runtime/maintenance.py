"""What keeps a store in order: taking back the jobs of silent workers, deleting what was kept long enough.

Every worker may do all of it at any time; the leader of a store deletes so that the others need not.
"""

from __future__ import annotations

import asyncio
import random

from stoker.core.capability import Capability
from stoker.core.clock import Clock
from stoker.core.duration import SECOND
from stoker.core.job import Reclaimed, new_token
from stoker.runtime.loop import sleep
from stoker.stores.base import Store
from stoker.telemetry.board import Events
from stoker.telemetry.events import JobsExpired, JobsPruned, JobsReclaimed

RECLAIM_BATCH = 100
PRUNE_BATCH = 1000
EXPIRE_BATCH = 500
LEADER_TTL = 60 * SECOND
JUMP = 5.0


class Maintenance:
    """The upkeep of one store by one worker; each method is one tick."""

    def __init__(self, store: Store, worker: str, clock: Clock, events: Events, *, lease: int) -> None:
        self._store = store
        self._worker = worker
        self._clock = clock
        self._events = events
        self._lease = lease / SECOND
        self._offset = self._clock_offset()
        self._store_offset: tuple[float, float] | None = None
        """Between what the difference of the store's clock and the monotonic one is: its answer took some time."""
        self._trusted_from = 0.0

    async def reclaim(self) -> None:
        """Take back the jobs of leases that ended.

        When the clock jumped, the store's or ours, every lease seems over at once; then nothing is taken back for the
        length of one lease.
        """
        offset, previous = self._clock_offset(), self._offset
        self._offset = offset
        if await self._store_jumped() or abs(offset - previous) > JUMP:
            self._trusted_from = self._clock.monotonic() + self._lease
        if self._clock.monotonic() < self._trusted_from:
            return
        while (back := await self._store.arun(self._store.reclaim(RECLAIM_BATCH))) != Reclaimed():
            self._events.emit(JobsReclaimed(back.available, back.cancelled, back.discarded))
            await asyncio.sleep(0)

    async def expire(self) -> None:
        """Cancel what was not started in time."""
        if not self._store.supports(Capability.EXPIRY):
            return
        more = True
        while more:
            expired = await self._store.arun(self._store.expire(EXPIRE_BATCH))
            if expired.count:
                self._events.emit(JobsExpired(expired.ids))
            more = expired.more
            await asyncio.sleep(0)

    async def prune(self) -> None:
        """Delete finished jobs whose time is over, in batches with pauses, if this worker leads."""
        if not await self._store.arun(self._store.lead("maintenance", self._worker, LEADER_TTL)):
            return
        while True:
            pruned = await self._store.arun(self._store.prune(PRUNE_BATCH))
            if pruned.ids:
                self._events.emit(JobsPruned(pruned.ids))
            if not pruned.more:
                return
            await sleep(self._clock, random.uniform(0.01, 0.05))

    async def resign(self) -> None:
        """Give the leadership up."""
        await self._store.arun(self._store.lead("maintenance", self._worker, 0))

    def _clock_offset(self) -> float:
        return self._clock.now() / SECOND - self._clock.monotonic()

    async def _store_jumped(self) -> bool:
        """Ask the store for the time, by a claim of nothing, and hold it against the time that passed meanwhile."""
        before = self._clock.monotonic()
        nothing = self._store.claim({}, (), (), new_token(), self._worker, 0)
        now = (await self._store.arun(nothing)).now / SECOND
        earliest, latest = now - self._clock.monotonic(), now - before
        previous, self._store_offset = self._store_offset, (earliest, latest)
        return previous is not None and (earliest > previous[1] + JUMP or latest < previous[0] - JUMP)
