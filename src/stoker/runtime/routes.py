"""Which routes a worker takes: those of its tags, as far as the store has shown them to it."""

from __future__ import annotations

from math import inf
from typing import Final

from stoker.core.clock import Clock
from stoker.core.routes import UNTAGGED, takes
from stoker.runtime.plan import WorkerPlan
from stoker.stores.base import Store

SELDOM: Final = 1.0
"""Seconds after which a busy worker looks for new routes."""
OFTEN: Final = 0.1
"""Seconds after which a woken worker does: what woke it may be the first job of a route."""


class Routes:
    """The routes of one worker. Without tags there is one, and the store is never asked."""

    def __init__(self, store: Store, plan: WorkerPlan, clock: Clock) -> None:
        self.known: tuple[str, ...] = (UNTAGGED,) if plan.all_tags or not plan.tags else ()
        self._store = store
        self._plan = plan
        self._clock = clock
        self._fixed = not (plan.tags or plan.all_tags)
        self._next = 0.0
        self._learned = -inf

    def woken(self) -> None:
        """Hear that there may be something new."""
        self._next = self._learned + OFTEN

    def patience(self) -> float:
        """Tell how many seconds may pass until `learn` is due; 0 when it is."""
        return inf if self._fixed else max(0.0, self._next - self._clock.monotonic())

    async def learn(self) -> None:
        """Ask the store which routes it has; StoreError."""
        if self._fixed:
            return
        plan = self._plan
        found = await self._store.arun(self._store.routes())
        self._learned = self._clock.monotonic()
        self._next = self._learned + max(SELDOM, plan.poll_interval or self._store.poll_interval)
        self.known = tuple(route for route in (UNTAGGED, *found) if takes(route, plan.tags, all_tags=plan.all_tags))
