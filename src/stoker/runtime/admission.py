"""Letting jobs that wait at their gates in: when somebody joined, when a place became free, when a gate opens.

Every worker does so for the whole store. One that knows of no limits looks every few seconds only, for others'.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection, Sequence

from stoker.core.clock import Clock
from stoker.core.duration import SECOND
from stoker.core.job import Claim
from stoker.core.limits import Admitted, Rule
from stoker.errors import StoreError
from stoker.runtime.loop import sleep
from stoker.stores.base import Store
from stoker.telemetry.board import Events
from stoker.telemetry.events import StoreBack, StoreFailed

BATCH = 500
SWEEP = 5.0
"""Seconds between two looks where nothing calls for one."""
BUSY = 0.02
"""Seconds until another look while somebody else admits."""
FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0


class Admission:
    """Admits for one store: ``rules`` are the application's, ``names`` and ``queues`` what they limit."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        events: Events,
        rules: Sequence[Rule],
        names: Collection[str],
        queues: Collection[str],
    ) -> None:
        self._store = store
        self._clock = clock
        self._events = events
        self._rules = tuple(rules)
        self._names = frozenset(names)
        self._queues = frozenset(queues)
        self._wanted = asyncio.Event()
        self._ending = False
        self.active = bool(rules)
        """Whether anything is limited, as far as is known: otherwise nobody needs to tell of claims and endings."""
        self._defined = not rules

    def redefine(self, rules: Sequence[Rule]) -> None:
        """Take other rules, and tell the store."""
        self._rules, self._defined = tuple(rules), False
        self._wanted.set()

    def want(self) -> None:
        """Look soon: jobs may have come."""
        if self.active:
            self._wanted.set()

    def started(self, claims: Sequence[Claim]) -> None:
        """Hear of claims: the starts of a rate are counted when somebody looks."""
        if self.active and any(map(self._is_limited, claims)):
            self._wanted.set()

    def ending(self, claim: Claim) -> None:
        """Hear of an attempt that is about to be settled."""
        if self.active and self._is_limited(claim):
            self._ending = True

    def settled(self, *, all_of_them: bool) -> None:
        """Hear that endings were stored: places may be free."""
        if self._ending:
            self._wanted.set()
            self._ending = not all_of_them

    async def run(self) -> None:
        """Say what the rules are, then admit for ever; cancelled by the worker when it stops."""
        delay = FIRST_DELAY
        while True:
            try:
                if not self._defined:
                    self._defined = True
                    try:
                        await self._store.arun(self._store.define(self._rules, replace=True))
                    except BaseException:
                        self._defined = False
                        raise
                self._wanted.clear()
                pause = self._pause_after(await self._store.arun(self._store.admit(BATCH)))
                if delay > FIRST_DELAY:
                    delay = FIRST_DELAY
                    self._events.emit(StoreBack("admit"))
            except StoreError as error:
                self._events.emit(StoreFailed("admit", error, delay))
                pause, delay = delay, min(delay * 2, LONGEST_DELAY)
            await self._rest(pause * random.uniform(0.9, 1.1))

    def _pause_after(self, admitted: Admitted) -> float:
        if admitted.count or admitted.next_at is not None:
            self.active = True
        if admitted.more:
            return 0.0 if admitted.count else BUSY
        if admitted.next_at is None:
            return SWEEP
        # Randomness must not come before the gate opens.
        return min(SWEEP, max(0.0, admitted.next_at - admitted.now) / SECOND / 0.9)

    async def _rest(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waking = asyncio.ensure_future(sleep(self._clock, seconds))
        wanted = asyncio.ensure_future(self._wanted.wait())
        try:
            await asyncio.wait((waking, wanted), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waking.cancel()
            wanted.cancel()

    def _is_limited(self, claim: Claim) -> bool:
        return claim.name in self._names or claim.queue in self._queues
