"""Performing jobs one by one, by the same executor and the same decisions as a worker's, without its loops."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from stoker.core.batch import MEMBER_VERSION, batch_of
from stoker.core.capability import Capability
from stoker.core.clock import Clock
from stoker.core.decide import decide
from stoker.core.duration import SECOND
from stoker.core.expiry import read
from stoker.core.filters import Filter
from stoker.core.job import Claim, NewJob, State, StoredJob, new_token
from stoker.core.outcome import (
    CancelledByHandler,
    DiscardedByHandler,
    Failed,
    GivenBack,
    Outcome,
    Snoozed,
    Succeeded,
    Unreadable,
)
from stoker.core.settlement import Settled
from stoker.errors import Corrupt, Misfit
from stoker.jobs.signals import Cancel, Discard, Signal, Snooze
from stoker.runtime.advancing import SWEPT, adrive, update
from stoker.runtime.executor import Executor
from stoker.runtime.following import FollowUps, followed
from stoker.runtime.slots import Slot
from stoker.telemetry.events import AttemptEnded, JobsReclaimed, ResultDropped
from stoker.testing.both_clocks import BothClocks
from stoker.testing.faults import Faults

if TYPE_CHECKING:
    from stoker.app.stoker import Stoker
    from stoker.runtime.threads import Threads
    from stoker.stores.base import Store

ADMITTED: Final = 100
LEASE: Final = 30 * SECOND
WORKER: Final = "sandbox"


@dataclass(frozen=True)
class Drained:
    """How the attempts of a drain ended: the number for each state that they left their job in."""

    completed: int = 0
    retryable: int = 0
    scheduled: int = 0
    """Snoozed."""
    available: int = 0
    """Given back; a job whose worker died counts here too."""
    cancelled: int = 0
    discarded: int = 0

    @property
    def attempts(self) -> int:
        """How many attempts were made."""
        return sum(vars(self).values())


class Tally:
    """Counts how attempts end."""

    def __init__(self) -> None:
        self._states: Counter[str] = Counter()

    @property
    def attempts(self) -> int:
        """How many have ended."""
        return self._states.total()

    def add(self, state: State) -> None:
        """Count one."""
        self._states[state.value] += 1

    def drained(self) -> Drained:
        """Give the numbers."""
        return Drained(**self._states)


class Performer:
    """Performs claims of one application, within one run of its lifespan."""

    def __init__(self, app: Stoker[Any], state: object, threads: Threads, clock: Clock, faults: Faults) -> None:
        self._app = app
        self._state = state
        self._threads = threads
        self._clock = BothClocks(clock)
        self._faults = faults
        self.deleted: list[StoredJob] = []
        """Jobs that their endings deleted, as they were then."""
        self._served: dict[Store, tuple[list[str], tuple[str, ...]]] = {}

    async def perform_next(self, store: Store, queue: str | None) -> tuple[State, Outcome] | None:
        """Perform the next job of a store, settle it, and say what became of it; None if nothing can be performed."""
        claim = await self._claim(store, queue)
        if claim is None and await self._advanced(store):
            claim = await self._claim(store, queue)
        if claim is None:
            return None
        slot = Slot()
        outcome = await self.attempt(claim, slot, store)
        if self._faults.crashes(claim.name):
            return await self._crash(store, claim), outcome
        if slot.completed is not None:
            self._app.events.emit(AttemptEnded(claim, slot.completed))
            return State.COMPLETED, outcome
        return await self._settle(store, claim, outcome, slot.then), outcome

    async def attempt(self, claim: Claim, slot: Slot, store: Store | None = None) -> Outcome:
        """Run one attempt and say how it ended."""

        async def mark_started(claim: Claim) -> None:
            if store is not None:
                await store.arun(store.extend([claim.token], LEASE, started=[claim.id]))

        slot.task = asyncio.current_task()
        executor = Executor(
            self._app.performable,
            state=self._state,
            defaults=self._app.defaults,
            threads=self._threads,
            clock=self._clock,
            events=self._app.events,
            middleware=(*self._app.middleware, self._faults),
            store=store,
            follow=None if store is None else self._follow_ups(store).of,
            mark_started=mark_started,
        )
        outcome = await executor.attempt(claim, slot)
        if slot.interruption is not None and slot.task is not None:
            slot.task.uncancel()  # a timeout is the job's matter: whoever drains goes on
        return outcome

    def _follow_ups(self, store: Store) -> FollowUps:
        return FollowUps(store, self._app.store, self._app.defaults, self._app.middleware)

    async def _claim(self, store: Store, queue: str | None) -> Claim | None:
        await store.arun(store.promote(1000))
        await store.arun(store.expire(1000))
        # Counting takes as long as there are jobs: only when what was served last has nothing more.
        found = await self._claim_served(store)
        if found is None:
            counts = await store.arun(store.count(() if queue is None else (queue,)))
            waiting = [row for row in counts if row.state is State.AVAILABLE]
            self._served[store] = sorted({row.queue for row in waiting}), tuple({row.route for row in waiting})
            found = await self._claim_served(store)
        return found

    async def _advanced(self, store: Store) -> bool:
        """See to batches of which a member ended otherwise than by `_settle`; tell whether there were any."""
        if not store.supports(Capability.BATCH):
            return False
        behind = await store.arun(store.batches([], SWEPT))
        for batch in behind:
            await adrive(store, update(store, batch.id))
        return bool(behind)

    async def _claim_served(self, store: Store) -> Claim | None:
        queues, routes = self._served.get(store, ([], ()))
        names = tuple(self._app.performable)
        await store.arun(store.admit(ADMITTED))
        for queue in queues:
            claimed = await store.arun(store.claim({queue: 1}, names, routes, new_token(), WORKER, LEASE))
            if claimed.claims:
                return read(claimed.claims[0])[0]
        return None

    async def _settle(self, store: Store, claim: Claim, outcome: Outcome, then: tuple[NewJob, ...]) -> State:
        policy = self._app.performable[claim.name].policy
        settlement = decide(claim, outcome, policy, worker=WORKER)
        if then:
            settlement = followed(settlement, outcome, then)
        (before,) = await store.arun(store.find(_only(claim), 1))
        answers = await store.arun(store.settle([settlement]))
        if answers[claim.id] is Settled.ACCEPTED:
            self._app.events.emit(AttemptEnded(claim, settlement))
        if claim.version >= MEMBER_VERSION and (batch := batch_of(claim.meta)) is not None:
            await adrive(store, update(store, batch))
            if isinstance(outcome, Succeeded) and outcome.dropped:
                self._app.events.emit(ResultDropped(claim, outcome.dropped))
        after = await store.arun(store.find(_only(claim), 1))
        if after:
            return after[0].state
        self.deleted.append(msgspec.structs.replace(before, state=settlement.state, result=settlement.result))
        return settlement.state

    async def _crash(self, store: Store, claim: Claim) -> State:
        taken = await store.arun(store.reclaim(1, [claim.token]))
        self._app.events.emit(JobsReclaimed(taken.available, taken.cancelled, taken.discarded))
        (after,) = await store.arun(store.find(_only(claim), 1))
        return after.state


def _only(claim: Claim) -> Filter:
    return Filter(ids=(claim.id,))


def fault_in(outcome: Outcome) -> BaseException | None:
    """Give the error that an attempt ended with, if it did not mean to end so."""
    match outcome:
        case Failed(error):
            return None if isinstance(error, Signal) else error
        case Unreadable(reason):
            return Corrupt(reason)
        case GivenBack(reason):
            return Misfit(reason)
        case _:
            return None


def raised_by(outcome: Outcome) -> BaseException | None:
    """Give what a handler raised, a signal included."""
    match outcome:
        case Succeeded():
            return None
        case Failed(error):
            return error
        case Snoozed(delay):
            return Snooze(delay / SECOND)
        case CancelledByHandler(reason):
            return Cancel(reason)
        case DiscardedByHandler(reason):
            return Discard(reason)
        case _:
            return fault_in(outcome)
