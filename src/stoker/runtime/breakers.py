"""Circuit breakers: names whose jobs keep failing wait, and one job at a time probes whether they work again.

Which names wait is kept with the store's pauses, under a kind of its own, so all its workers know. A claim leaves such
a name out; who leads the breaker's role may claim one job of it as a probe. Does nothing where no job has a breaker.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from stoker.core.clock import Clock
from stoker.core.duration import SECOND
from stoker.core.job import Claim, JobId
from stoker.core.outcome import Failed, Outcome, Succeeded
from stoker.errors import StoreError
from stoker.jobs.breaker import Breaker
from stoker.stores.base import Store
from stoker.telemetry.board import Events
from stoker.telemetry.events import BreakerClosed, BreakerOpened

KIND: Final = "breaker"
INTERVAL: Final = 1.0
"""Seconds between two looks at what the other workers opened and closed."""
PROBE_TTL: Final = 30 * SECOND


class Breakers:
    """The breakers of one worker's names."""

    def __init__(
        self,
        store: Store,
        worker: str,
        names: Sequence[str],
        rules: Mapping[str, Breaker],
        clock: Clock,
        events: Events,
    ) -> None:
        self.names = tuple(names)
        """What to claim: all names but those that wait."""
        self._all = tuple(names)
        self._store = store
        self._worker = worker
        self._rules = rules
        self._clock = clock
        self._events = events
        self._failed: dict[str, deque[float]] = {name: deque(maxlen=rule.failures) for name, rule in rules.items()}
        self._open: dict[str, tuple[int, float]] = {}
        """Since when a name waits: by the store's clock, which tells one pause from the next, and by ours."""
        self._probes: dict[str, JobId] = {}
        """The job that probes for a name, of those that do so here."""
        self._tried: dict[str, float] = {}
        """When this worker last asked for the right to probe."""

    @property
    def wanted(self) -> bool:
        """Whether any job has one."""
        return bool(self._rules)

    async def tick(self) -> None:
        """Learn which names wait, and stay the one to probe where a probe is under way; StoreError."""
        paused = await self._store.arun(self._store.paused())
        now = self._clock.monotonic()
        known, self._open = self._open, {}
        for pause in paused:
            if pause.kind == KIND and pause.value in self._rules:
                before = known.get(pause.value)
                seen = before[1] if before is not None and before[0] == pause.since else now
                self._open[pause.value] = (pause.since, seen)
        self._choose()
        for name in [name for name in self._probes if name in self._open]:
            await self._lead(name, PROBE_TTL)

    async def probing(self) -> str | None:
        """Give a name of which one job may be claimed now, as a probe; StoreError."""
        now = self._clock.monotonic()
        for name, (_, since) in self._open.items():
            rested = now - since >= self._rules[name].rest / SECOND
            if not rested or name in self._probes or now - self._tried.get(name, -INTERVAL) < INTERVAL:
                continue
            self._tried[name] = now
            if await self._lead(name, PROBE_TTL):
                return name
        return None

    def probes(self, name: str, claims: Sequence[Claim]) -> None:
        """Take note of the job that probes; without one somebody else may try."""
        if claims:
            self._probes[name] = claims[0].id

    async def ended(self, claim: Claim, outcome: Outcome) -> None:
        """Hear how an attempt went; what the store cannot be told now it is told by the next failure."""
        if claim.name not in self._rules:
            return
        with contextlib.suppress(StoreError):
            if self._probes.get(claim.name) == claim.id:
                await self._probed(claim.name, outcome)
            elif isinstance(outcome, Failed) and claim.name not in self._open and self._too_many(claim.name):
                await self._open_now(claim.name)

    async def resign(self) -> None:
        """Let others probe; StoreError."""
        for name in list(self._probes):
            await self._lead(name, 0)

    async def _probed(self, name: str, outcome: Outcome) -> None:
        del self._probes[name]
        if isinstance(outcome, Succeeded):
            await self._store.arun(self._store.pause(KIND, [name], False))
            self._open.pop(name, None)
            self._failed[name].clear()
            self._choose()
            self._events.emit(BreakerClosed(name))
            await self._lead(name, 0)
        elif isinstance(outcome, Failed):
            # Nobody else probes either until the name has rested again.
            self._open[name] = (self._open.get(name, (0, 0.0))[0], self._clock.monotonic())
            await self._lead(name, self._rules[name].rest)
        else:
            await self._lead(name, 0)

    def _too_many(self, name: str) -> bool:
        failed, rule = self._failed[name], self._rules[name]
        failed.append(self._clock.monotonic())
        return len(failed) == rule.failures and failed[-1] - failed[0] <= rule.window / SECOND

    async def _open_now(self, name: str) -> None:
        self._failed[name].clear()
        opened = (await self._store.arun(self._store.pause(KIND, [name], True))).count
        self._open[name] = (0, self._clock.monotonic())
        self._choose()
        if opened:
            self._events.emit(BreakerOpened(name, self._rules[name].rest))

    def _choose(self) -> None:
        self.names = tuple(name for name in self._all if name not in self._open)

    async def _lead(self, name: str, ttl: int) -> bool:
        return await self._store.arun(self._store.lead(f"breaker {name}", self._worker, ttl))
