"""How a worker announces itself, so that others see who serves what."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import NamedTuple

from stoker.core.capability import Capability
from stoker.core.clock import Clock
from stoker.core.duration import SECOND
from stoker.core.job import Order, WorkerInfo
from stoker.runtime.plan import PeriodicPlan, WorkerPlan
from stoker.stores.base import Store

TTL = 30 * SECOND
"""Microseconds after which a worker that has gone silent is no longer listed."""


class Busyness(NamedTuple):
    """What a worker is doing just now."""

    running: int
    performed: int
    stopping: bool


class Presence:
    """The announcements of one worker; does nothing on a store without PRESENCE."""

    def __init__(
        self,
        store: Store,
        worker: str,
        plan: WorkerPlan,
        clock: Clock,
        busyness: Callable[[], Busyness],
        periodic: Callable[[], PeriodicPlan | None] = lambda: None,
        obey: Callable[[Order], None] = lambda order: None,
    ) -> None:
        self._store = store
        self._worker = worker
        self._plan = plan
        self._clock = clock
        self._busyness = busyness
        self._periodic = periodic
        self._obey = obey
        self._started_at = clock.now()
        self._rated = (clock.monotonic(), 0)
        self._next = 0.0

    def beat(self) -> None:
        """Hear what the worker was told, and announce it when it is time again; called from the keeper's thread."""
        if not self._store.supports(Capability.PRESENCE):
            return
        told = self._store.run(self._store.orders(self._worker)) if self._store.supports(Capability.SIGNALS) else []
        for order in told:
            self._obey(order)
        if told or self._clock.monotonic() >= self._next:
            self._store.run(self._store.beat(self._info(), TTL))
            # Who gave an order looks for what became of it: the next beat tells that.
            self._next = 0.0 if told else self._clock.monotonic() + TTL / SECOND / 4

    async def announce(self) -> None:
        """Announce the worker now."""
        if self._store.supports(Capability.PRESENCE):
            await self._store.arun(self._store.beat(self._info(), TTL))

    async def leave(self) -> None:
        """Take the worker off the list."""
        if self._store.supports(Capability.PRESENCE):
            await self._store.arun(self._store.beat(self._info(), 0))

    def _info(self) -> WorkerInfo:
        plan, (running, performed, stopping) = self._plan, self._busyness()
        periodic = self._periodic()
        return WorkerInfo(
            self._worker,
            socket.gethostname(),
            os.getpid(),
            self._started_at,
            plan.queues,
            plan.names,
            plan.concurrency,
            running=running,
            performed=performed,
            rate=self._rate(performed),
            stopping=stopping,
            tags=plan.tags,
            all_tags=plan.all_tags,
            application="" if periodic is None else periodic.application,
            periodic=() if periodic is None else periodic.names,
        )

    def _rate(self, performed: int) -> float:
        now = self._clock.monotonic()
        (since, before), self._rated = self._rated, (now, performed)
        return round((performed - before) / (now - since), 1) if now > since else 0.0
