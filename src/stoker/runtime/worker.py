"""A worker: the services of one store around one set of slots, from start to bounded stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, assert_never

from stoker.core.capability import Capability
from stoker.core.clock import Clock
from stoker.core.decide import Policy, decide, trace_of
from stoker.core.duration import SECOND
from stoker.core.job import Claim, Extended, JobId, NewJob, Order, Token
from stoker.core.limits import Rule
from stoker.core.outcome import CancelledByHandler, Failed, GivenBack, Outcome, Succeeded
from stoker.core.settlement import Settlement
from stoker.errors import StoreError
from stoker.jobs.context import Flag
from stoker.jobs.defined import DefinedJob
from stoker.jobs.middleware import Middleware
from stoker.jobs.options import Defaults
from stoker.runtime.admission import Admission
from stoker.runtime.advancing import SWEEP_INTERVAL, Advancer
from stoker.runtime.breakers import INTERVAL as BREAKER_INTERVAL
from stoker.runtime.breakers import Breakers
from stoker.runtime.budgets import Budgets
from stoker.runtime.children import ChildPlan, Children
from stoker.runtime.completing import unless_committed
from stoker.runtime.executor import Executor
from stoker.runtime.fetcher import Fetcher
from stoker.runtime.following import FollowUps, followed
from stoker.runtime.keeper import Keeper
from stoker.runtime.leases import Leases
from stoker.runtime.loop import Tick, cancelled, sleep, tick_for_ever
from stoker.runtime.maintenance import Maintenance
from stoker.runtime.notes import Notes
from stoker.runtime.overriding import INTERVAL as OVERRIDES_INTERVAL
from stoker.runtime.overriding import Overrides
from stoker.runtime.periodic import Periodic
from stoker.runtime.plan import PeriodicPlan, WorkerPlan
from stoker.runtime.presence import Busyness, Presence
from stoker.runtime.routes import Routes
from stoker.runtime.settler import Settler
from stoker.runtime.slots import Interruption, Pool, Slot, SuspectGate, Turn
from stoker.runtime.stacks import log_stacks
from stoker.runtime.threads import Threads
from stoker.runtime.trimming import INTERVAL as TRIM_INTERVAL
from stoker.runtime.trimming import Trimming
from stoker.runtime.usual import Usual
from stoker.stores.base import Store
from stoker.telemetry.board import Events
from stoker.telemetry.events import JobOverdue, JobSlow, LeaseLost, WorkerStarted, WorkerStopped, WorkerStopping

log = logging.getLogger("stoker")

CANCEL_LATENCY = 2.0
"""A cancel request reaches a running job within so many seconds."""
LAST_WORDS = 5.0
"""Seconds that cancelled handlers, and then the last endings, have after the grace period."""


class Worker:
    """Performs the jobs of one store until it is stopped, or until the store is empty."""

    def __init__(
        self,
        store: Store,
        store_name: str,
        definitions: Mapping[str, DefinedJob[Any]],
        plan: WorkerPlan,
        *,
        store_named: Callable[[str], Store],
        clock: Clock,
        events: Events,
        defaults: Defaults,
        state: object = None,
        middleware: Sequence[Middleware] = (),
        children: ChildPlan | None = None,
        periodic: PeriodicPlan | None = None,
        rules: Sequence[Rule] = (),
    ) -> None:
        self.id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self.plan = plan
        self.store = store
        self.store_name = store_name
        self._definitions = definitions
        self._clock = clock
        self._events = events
        self._leases = Leases()
        self._stop = asyncio.Event()
        self._finish = asyncio.Event()
        self._given_back = 0
        self._stopping = Flag()
        self._threads = Threads(plan.concurrency)
        self._notes = Notes(store, clock, events)
        self._children = None if children is None else Children(children, self._notes, clock)
        limited = [name for name, job in definitions.items() if job.rules.bounds]
        self._admission = Admission(store, clock, events, rules, limited, defaults.limits)
        self._overrides = Overrides(
            store,
            defaults,
            rules,
            self._admission.redefine,
            lambda: self._executor.relearn(),  # noqa: PLW0108 - it is made below, of these
        )
        self._usual = Usual(store, defaults)
        self._executor = Executor(
            definitions,
            state=state,
            defaults=defaults,
            threads=self._threads,
            clock=clock,
            events=events,
            middleware=middleware,
            stopping=self._stopping,
            store=store,
            notes=self._notes,
            follow=FollowUps(store, store_named, defaults, middleware).of,
            children=self._children,
            misfit_after=plan.misfit_after,
            mark_started=self._mark_started,
            timeout=self._overrides.timeout,
        )
        self._advancer = Advancer(store, events)
        self._settler = Settler(store, events, clock, self._leases.release, self._relieved, self._advancer.ended)
        self.gate = SuspectGate()
        turn = Turn(clock)
        self.pools = [
            Pool(pool.name, pool.queues, pool.concurrency, clock, self.gate, turn, self._perform, self._freed)
            for pool in plan.pools
        ]
        self.routes = Routes(store, plan, clock)
        breakers = {name: job.rules.breaker for name, job in definitions.items() if job.rules.breaker is not None}
        budgets = {name: job.rules.retry_budget for name, job in definitions.items() if job.rules.retry_budget}
        self._budgets = Budgets(budgets, clock) if budgets else None
        self._breakers = Breakers(store, self.id, plan.names, breakers, clock, events)
        self._breaking = self._breakers.wanted
        self._fetcher = self._make_fetcher()
        self._presence = Presence(
            store,
            self.id,
            plan,
            clock,
            self._busyness,
            lambda: None if self._finish.is_set() else periodic,
            self._ordered,
        )
        self.keeper = self._make_keeper()
        self._maintenance = Maintenance(store, self.id, clock, events, lease=plan.lease)
        most = {name: job.rules.keep_most for name, job in definitions.items() if job.rules.keep_most is not None}
        self._trimming = Trimming(store, self.id, clock, names=most, queues=plan.keep_most)
        self._periodic: Periodic | None = None
        if periodic is not None:
            self._periodic = Periodic(
                store, self.id, periodic, self._presence.announce, clock=clock, events=events, middleware=middleware
            )
        self._slow_after = {
            name: definition.slow_after_within(defaults) / SECOND for name, definition in definitions.items()
        }

    # -- life --------------------------------------------------------------------------------------------------------

    async def run(self, *, until_empty: bool = False) -> None:
        """Work until `stop`, or until nothing that this worker could perform is available, running or due.

        Cancelled, it stops without the grace period: what runs is cancelled too and goes back uncounted.
        """
        if until_empty:
            self.finish()
        services = self._start_services()
        fetching: asyncio.Future[Any] = asyncio.ensure_future(self._fetcher.run())
        endings: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(self._stop.wait()),
            asyncio.ensure_future(self._emptied()),
        ]
        try:
            try:
                ended, _ = await asyncio.wait([fetching, *services, *endings], return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                await self._shut_down(fetching, grace=0.0)
                raise
            await self._shut_down(fetching, grace=self.plan.grace)
            for task in ended:
                task.result()
        finally:
            self.keeper.stop()
            await cancelled(fetching, *services, *endings)
            self._threads.close()
            if self._children is not None:
                await self._children.close()

    def stop(self) -> None:
        """Claim no more, give running jobs the grace period; called on the worker's event loop."""
        self._stop.set()

    def finish(self) -> None:
        """Stop as soon as the store is empty; called on the worker's event loop."""
        self._finish.set()
        self._fetcher.finishing = True

    @property
    def performed(self) -> int:
        """How many attempts have ended here."""
        return sum(pool.performed for pool in self.pools)

    @property
    def busy(self) -> int:
        """How many jobs run; called from any thread."""
        return sum(1 for pool in self.pools for slot in tuple(pool.slots) if slot.claim is not None)

    @property
    def silent(self) -> float:
        """Seconds since the store answered last."""
        return self._clock.monotonic() - max(self._fetcher.answered, self.keeper.answered)

    def witness(self, told: Callable[[str, Token], None]) -> None:
        """Tell of each lease when it is asked for and when it is over."""
        self._leases.told = told

    def running(self) -> Iterator[Slot]:
        """Give the slots that perform a job just now."""
        for pool in self.pools:
            yield from pool.running()

    def _start_services(self) -> list[asyncio.Future[Any]]:
        plan = self.plan
        started = WorkerStarted(self.id, plan.queues, plan.names, plan.concurrency, plan.tags, plan.all_tags)
        self._events.emit(started)
        self.keeper.start()
        if not all(definition.is_async or definition.apart for definition in self._definitions.values()):
            self._threads.prestart()
        # At first one after the other, beside the first claim: each would open a connection of its own.
        turn = asyncio.Lock()
        services = [
            self._settler.run(),
            self._advancer.run(),
            *(tick_for_ever(*tick, self._clock, self._events, turn) for tick in self._upkeep()),
            *(tick_for_ever(*tick, self._clock, self._events) for tick in self._own_ticks()),
        ]
        if self._periodic is not None and not self._finish.is_set():
            services.append(self._periodic.run())
        if self.store.supports(Capability.LIMITS):
            services.append(self._admission.run())
        return [asyncio.ensure_future(service) for service in services]

    def _upkeep(self) -> list[Tick]:
        """Give what it does for the store, the quick things first."""
        upkeep: list[Tick] = []
        if self.store.supports(Capability.OVERRIDE):
            upkeep.append(("overrides", self._overrides.tick, OVERRIDES_INTERVAL))
        if self._advancer.possible:
            upkeep.append(("advance", self._advancer.sweep, SWEEP_INTERVAL))
        return [
            *upkeep,
            ("reclaim", self._maintenance.reclaim, min(5.0, self.plan.lease / SECOND / 3)),
            ("expire", self._maintenance.expire, 5.0),
            ("prune", self._maintenance.prune, 30.0),
        ]

    def _own_ticks(self) -> list[Tick]:
        """Give what it does for itself."""
        ticks: list[Tick] = [("return", self._fetcher.return_stale, 0.5), ("watch", self._watch, 5.0)]
        if self._breakers.wanted:
            ticks.append(("breakers", self._breakers.tick, BREAKER_INTERVAL))
        if self._trimming.wanted:
            ticks.append(("trim", self._trimming.tick, TRIM_INTERVAL))
        if self._children is not None:
            ticks.append(("tidy", self._children.tidy, 30.0))
        return ticks

    async def _emptied(self) -> None:
        await self._finish.wait()
        plan = self.plan
        while True:
            await self._fetcher.idle.wait()
            performed = self.performed
            await self._settler.flush()
            await self._advancer.flush()
            try:
                await self._advancer.sweep()
                await self.routes.learn()
                question = self.store.any(plan.queues, self._breakers.names, self.routes.known)
                empty = not await self.store.arun(question)
                # What ended here meanwhile may bring about more: a store looked empty before its workflow had moved on.
                if empty and self._fetcher.idle.is_set() and self.performed == performed:
                    return
            except StoreError:
                pass  # the fetcher reports it and waits longer each time
            await sleep(self._clock, 0.1)

    async def _shut_down(self, fetching: asyncio.Future[Any], *, grace: float) -> None:
        self.keeper.stopping = True
        self._events.emit(WorkerStopping(self.id, sum(1 for _ in self.running()), grace))
        await cancelled(fetching)
        self._stopping.up = True
        if self._children is not None:
            self._children.stop()
        self._return_waiting()
        await self._mark_stopping()
        await self._until(lambda: not any(pool.slots for pool in self.pools), grace)
        for slot in self.running():
            slot.interrupt(Interruption.STOPPED)
        await self._until(self._only_threads_left, LAST_WORDS)
        for slot in self.running():
            if slot.claim is not None:
                self._events.emit(JobOverdue(slot.claim, "its worker stops and the job goes back with its lease"))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._settler.flush(), LAST_WORDS)
        self.keeper.stop()
        with contextlib.suppress(StoreError):
            await self._maintenance.resign()
            await self._trimming.resign()
            await self._breakers.resign()
            if self._periodic is not None:
                await self._periodic.resign()
            await self._presence.leave()
        self._events.emit(WorkerStopped(self.id, self.performed, self._given_back))

    def _only_threads_left(self) -> bool:
        return all(slot.threaded for pool in self.pools for slot in pool.slots)

    async def _until(self, true: Callable[[], bool], longest: float) -> None:
        end = self._clock.monotonic() + longest
        while not true() and self._clock.monotonic() < end:
            await sleep(self._clock, 0.02)

    def _return_waiting(self) -> None:
        for claim in self._take_out(lambda claim: True):
            self._settle(claim, GivenBack("worker stopped"))

    def _take_out(self, chosen: Callable[[Claim], bool]) -> list[Claim]:
        """Take the chosen claims out of wherever they wait for their turn."""
        places: list[Pool | SuspectGate] = [*self.pools, self.gate]
        return [claim for place in places for claim in place.take_out(chosen)]

    async def _mark_stopping(self) -> None:
        """A second signal may follow at once: from here on the store counts no crash against these jobs."""
        if tokens := self._leases.tokens:
            with contextlib.suppress(StoreError):
                await self.store.arun(self.store.extend(tokens, self.plan.lease, stopping=True))

    # -- jobs --------------------------------------------------------------------------------------------------------

    async def _perform(self, claim: Claim, slot: Slot) -> None:
        if not claim.max_attempts:
            claim = self._usual.claim(claim, self._definitions[claim.name])
        try:
            outcome = await self._executor.attempt(claim, slot)
        except Exception as error:  # a fault of ours: without an ending the job would run as long as this worker
            outcome = Failed(error, trace_of(error))
        if self._notes:
            await self._notes.deliver(claim, self.plan.lease / SECOND)
        completed, slot.completed = slot.completed, None
        dropped = outcome.dropped if completed is None and isinstance(outcome, Succeeded) else slot.dropped
        if dropped:
            self._settler.note_dropped(claim, dropped)
            slot.dropped = ""
        then, slot.then = slot.then, ()
        if self._breaking:
            await self._breakers.ended(claim, outcome)
        self._settle(claim, unless_committed(outcome, completed), completed, then)

    def _settle(
        self, claim: Claim, outcome: Outcome, completed: Settlement | None = None, then: tuple[NewJob, ...] = ()
    ) -> None:
        if isinstance(outcome, GivenBack):
            self._given_back += 1
        definition = self._definitions[claim.name]
        if self._admission.active:
            self._admission.ending(claim)
        if self._overrides.said:
            claim = self._overrides.claim(claim, definition)
        policy = self._usual.policy(definition) if self._usual.curved else definition.policy
        try:
            settlement = decide(claim, outcome, policy, chance=random.random(), worker=self.id)
        except Exception as error:  # the user's backoff raised or gave nonsense
            settlement = decide(claim, Failed(error, "the job's backoff failed"), Policy(), worker=self.id)
        if self._budgets is not None:
            settlement = self._budgets.spread(claim.name, settlement)
        if then:
            settlement = followed(settlement, outcome, then)
        self._settler.add(claim, settlement, completed)

    def _freed(self) -> None:
        self._fetcher.freed()

    def _relieved(self) -> None:
        self._fetcher.freed()
        self._admission.settled(all_of_them=self._settler.unsettled == 0)

    async def _mark_started(self, claim: Claim) -> None:
        with contextlib.suppress(StoreError):
            await self.store.arun(self.store.extend([claim.token], self.plan.lease, started=[claim.id]))

    # -- leases ------------------------------------------------------------------------------------------------------

    def _extended(self, extended: Extended) -> None:
        if extended.missing:
            self._lose(extended.missing)
        for id in extended.cancel:
            self._cancel(id)

    def _lose(self, missing: frozenset[Token]) -> None:
        lost = {claim.token for claim in self._take_out(lambda claim: claim.token in missing)}
        for slot in self.running():
            if slot.claim is not None and slot.claim.token in missing:
                lost.add(slot.claim.token)
                slot.interrupt(Interruption.LOST)
        # A lease whose last job was settled while the heartbeat was on its way is over, not lost.
        for token in lost:
            self._leases.forget(token)
        if lost:
            self._events.emit(LeaseLost(tuple(lost)))

    def _cancel(self, id: JobId) -> None:
        for claim in self._take_out(lambda claim: claim.id == id):
            self._settle(claim, CancelledByHandler("cancelled on request"))
        for slot in self.running():
            if slot.claim is not None and slot.claim.id == id:
                slot.interrupt(Interruption.CANCELLED)

    async def _watch(self) -> None:
        now = self._clock.monotonic()
        for slot in self.running():
            claim = slot.claim
            if claim is not None and not slot.slow_reported and now - slot.started > self._slow_after[claim.name]:
                slot.slow_reported = True
                self._events.emit(JobSlow(claim, round((now - slot.started) * SECOND)))

    # -- orders ------------------------------------------------------------------------------------------------------

    def _ordered(self, order: Order) -> None:
        """Hear what somebody outside wants; called from the keeper's thread."""
        self.keeper.on_loop(self._obey, order)

    def _obey(self, order: Order) -> None:
        log.warning("%s was told: %s", self.id, order.value)
        match order:
            case Order.QUIET:
                self._fetcher.quiet = True
                self._return_waiting()
            case Order.STOP:
                self.stop()
            case Order.DUMP:
                log_stacks()
            case _:
                assert_never(order)

    # -- parts -------------------------------------------------------------------------------------------------------

    def _make_fetcher(self) -> Fetcher:
        return Fetcher(
            self.store,
            self.pools,
            self.plan,
            self.id,
            self.gate,
            self._leases,
            self.routes,
            self._breakers,
            self._clock,
            self._events,
            unsettled=lambda: self._settler.unsettled,
            give_back=self._settle,
            admission=self._admission,
        )

    def _make_keeper(self) -> Keeper:
        lease = self.plan.lease / SECOND
        return Keeper(
            self.store,
            self._leases,
            self._clock,
            self._events,
            lease=self.plan.lease,
            interval=min(lease / 3, CANCEL_LATENCY * 0.75),
            stuck_after=self.plan.stuck_after,
            deliver=self._extended,
            notes=self._notes,
            beat=self._presence.beat,
        )

    def _busyness(self) -> Busyness:
        return Busyness(self.busy, self.performed, self.keeper.stopping or self._fetcher.quiet)
