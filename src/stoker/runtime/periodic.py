"""How a worker plans the periodic jobs of its application.

Every worker plans, and may tick at any time: the store lets one of them (`Store.tick`). The leader ticks on time; the
others look a little later whether it did, so that they are quiet while it does.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeVar

from stoker.core.clock import Clock
from stoker.core.duration import SECOND
from stoker.core.job import CallId, NewJob, WorkerInfo, new_call
from stoker.core.periodic import Entry, Tick
from stoker.errors import StoreError
from stoker.jobs.middleware import Middleware, through
from stoker.runtime.loop import sleep
from stoker.runtime.plan import PeriodicPlan
from stoker.schedule.planner import Plan, plan, plan_start
from stoker.schedule.spec import Spec, read_spec
from stoker.stores.base import Store
from stoker.telemetry.board import Events
from stoker.telemetry.events import EntriesRemoved, EntryFailed, EntryTicked, StoreFailed

T = TypeVar("T")
LEADER_TTL: Final = 15 * SECOND
LAG: Final = 2 * SECOND
"""How long the others leave a tick to the leader."""
LOOK_AGAIN: Final = 10.0
"""Seconds after which an entry that was added, changed or resumed is noticed."""
PAUSE_AFTER_FAILURE: Final = 2.0


class Periodic:
    """The periodic jobs of one application in one store, as one worker sees to them."""

    def __init__(
        self,
        store: Store,
        worker: str,
        said: PeriodicPlan,
        announce: Callable[[], Awaitable[None]],
        *,
        clock: Clock,
        events: Events,
        middleware: Sequence[Middleware] = (),
    ) -> None:
        self._store = store
        self._worker = worker
        self._said = said
        self._clock = clock
        self._events = events
        self._announce = announce
        self._middleware = middleware
        self._role = f"periodic {said.application}"
        self._leads = False
        self._lead_until = 0.0
        self._specs: dict[tuple[str, int], Spec | None] = {}
        self._due: dict[str, tuple[tuple[int, int, int | None], int | None]] = {}
        """When an entry is due next, as long as it stands as it did when that was worked out: cron takes its time."""

    async def run(self) -> None:
        """Register what is declared, then tick whatever is due, until cancelled."""
        begun = False
        while True:
            try:
                if not begun:
                    await self.begin()
                    begun = True
                pause = await self.turn()
            except StoreError as error:
                pause = PAUSE_AFTER_FAILURE
                self._events.emit(StoreFailed("tick", error, pause))
            await sleep(self._clock, pause)

    async def begin(self) -> None:
        """Register the entries, remove stale ones, and run what is to run on start, if this worker is the first."""
        application = self._said.application
        await self._announce()  # first, so that others that start now leave its entries alone
        entries = self._said.entries
        registering = self._store.register(application, entries, declared=True, call=new_call())
        known = await self._store.arun(registering if entries else self._store.entries(application))
        mine = [(entry, spec) for entry in known.entries if self._minds(entry) and (spec := self._spec_of(entry))]
        starting = [(entry, spec) for entry, spec in mine if spec.run_on_start and entry.paused_at is None]
        stale = [entry for entry in known.entries if not self._minds(entry)] if self._said.removes_stale else []
        others = await self._others() if stale or starting else []
        await self._remove(entry for entry in stale if not any(entry.name in other.periodic for other in others))
        if starting and not others and await self._lead():
            for entry, spec in starting:
                due = plan_start(entry, spec, known.now)
                await self._guarded(entry, self._tick(entry, spec, due, known.now))

    async def turn(self) -> float:
        """Tick what is due; give the seconds until it is worthwhile to look again."""
        known = await self._store.arun(self._store.entries(self._said.application))
        mine = [(entry, spec) for entry in known.entries if self._minds(entry) and (spec := self._spec_of(entry))]
        if not mine:
            return LOOK_AGAIN
        leads = await self._lead()
        now = known.now if leads else known.now - LAG
        soonest = now + round(LOOK_AGAIN * SECOND)
        for entry, spec in mine:
            following = await self._guarded(entry, self._see_to(entry, spec, now))
            soonest = soonest if following is None else min(soonest, following)
        return max(0.0, (soonest - now) / SECOND) + (0.0 if leads else random.uniform(0.0, 0.5))

    async def _guarded(self, entry: Entry, doing: Awaitable[T]) -> T | None:
        """Do something for one entry; if it cannot be done, the entry is left alone until it is another."""
        try:
            return await doing
        except StoreError:
            raise
        except Exception as error:
            self._specs[entry.name, entry.version] = None
            self._events.emit(EntryFailed(entry.application, entry.name, f"{type(error).__name__}: {error}"))
            return None

    async def _see_to(self, entry: Entry, spec: Spec, now: int) -> int | None:
        """Tick an entry if it is due, and tell when it is due next."""
        seen = entry.version, entry.last, entry.paused_at
        known, following = self._due.get(entry.name, (None, None))
        if known == seen and (following is None or following > now):
            return following
        due = plan(entry, spec, now)
        if due.following is not None:
            await self._tick(entry, spec, due, now)
            self._due.pop(entry.name, None)
        else:
            self._due[entry.name] = (seen, due.next)
        return due.next

    async def resign(self) -> None:
        """Let another lead."""
        if self._leads:
            await self._store.arun(self._store.lead(self._role, self._worker, 0))

    async def _lead(self) -> bool:
        now = self._clock.monotonic()
        if now >= self._lead_until:
            self._leads = await self._store.arun(self._store.lead(self._role, self._worker, LEADER_TTL))
            self._lead_until = now + LEADER_TTL / SECOND / 3
        return self._leads

    async def _others(self) -> list[WorkerInfo]:
        """Give the other living workers that see to this application's entries."""
        workers = await self._store.arun(self._store.workers())
        return [other for other in workers if other.application == self._said.application and other.id != self._worker]

    async def _remove(self, stale: Iterable[Entry]) -> None:
        if entries := tuple(stale):
            await self._store.arun(self._store.remove_entries(entries))
            self._events.emit(EntriesRemoved(self._said.application, tuple(entry.name for entry in entries)))

    def _minds(self, entry: Entry) -> bool:
        # What only others declare is theirs to tick: they know its job, and it ends with the last of them.
        return not entry.declared or entry.name in self._said.names

    def _spec_of(self, entry: Entry) -> Spec | None:
        key = entry.name, entry.version
        if key not in self._specs:
            self._specs = {other: spec for other, spec in self._specs.items() if other[0] != entry.name}
            try:
                self._specs[key] = read_spec(entry.spec)
            except ValueError as error:
                self._specs[key] = None
                self._events.emit(EntryFailed(entry.application, entry.name, str(error)))
        return self._specs[key]

    async def _tick(self, entry: Entry, spec: Spec, due: Plan, now: int) -> None:
        following = now if due.following is None else due.following
        jobs = self._jobs(entry, spec, due)
        step = Tick(entry.application, entry.name, entry.version, entry.last, following)
        call: CallId = new_call()
        if await self._store.arun(self._store.tick(step, jobs, call)):
            self._events.emit(EntryTicked(entry.application, entry.name, following, len(jobs)))

    def _jobs(self, entry: Entry, spec: Spec, due: Plan) -> list[NewJob]:
        jobs: list[NewJob] = []
        for tick in due.ticks:
            job = spec.job_at(tick, round(random.uniform(0, spec.jitter)), due.next)
            try:
                jobs.append(through(self._middleware, job))
            except Exception as error:  # a veto, or a fault: the tick goes by without its job, as an enqueue would
                self._events.emit(EntryFailed(entry.application, entry.name, f"middleware raised {error!r}"))
        return jobs
