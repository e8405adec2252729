"""The fetcher: knows the free slots, claims for them, and sleeps when there is nothing to claim."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from stoker.core.clock import Clock
from stoker.core.duration import SECOND
from stoker.core.expiry import read, untried
from stoker.core.job import Claim, Claimed, new_token
from stoker.core.outcome import Expired, GivenBack
from stoker.errors import StoreError
from stoker.runtime.admission import Admission
from stoker.runtime.breakers import Breakers
from stoker.runtime.demand import split_of
from stoker.runtime.leases import Leases
from stoker.runtime.loop import first_of, sleep
from stoker.runtime.plan import WorkerPlan
from stoker.runtime.routes import Routes
from stoker.runtime.slots import Pool, SuspectGate
from stoker.stores.base import Store
from stoker.telemetry.board import Events
from stoker.telemetry.events import StoreBack, StoreFailed

MOST_PREFETCH = 2000
MOST_CLAIMED = 1000
"""In one call: while it is under way, as many again are at hand."""
PREFETCH_SECONDS = 0.1
"""Claims may wait for a slot as long as the recent rate will work them off within this time."""
BUFFER_LIFE = 1.0
"""Seconds after which a claim that found no slot goes back to the store."""
SUSPECT_DELAY = 10 * SECOND
PROMOTE_BATCH = 500
FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0


class Prefetch:
    """How many claims may wait beyond the free slots: none while jobs are slow, a tenth of a second's worth else."""

    def __init__(self, now: float) -> None:
        self._since = now
        self._performed = 0
        self.room = 0

    def update(self, performed: int, now: float) -> None:
        """Take the number of jobs performed so far, at a monotonic time."""
        passed = now - self._since
        if passed < 0.001:
            return
        rate = (performed - self._performed) / passed
        self.room = min(MOST_PREFETCH, int(rate * PREFETCH_SECONDS))
        self._since, self._performed = now, performed


class Fetcher:
    """Claims for the pools of one store; one claim call at a time."""

    def __init__(
        self,
        store: Store,
        pools: Sequence[Pool],
        plan: WorkerPlan,
        worker: str,
        gate: SuspectGate,
        leases: Leases,
        routes: Routes,
        breakers: Breakers,
        clock: Clock,
        events: Events,
        *,
        unsettled: Callable[[], int],
        give_back: Callable[[Claim, GivenBack | Expired], None],
        admission: Admission,
    ) -> None:
        self._store = store
        self._pools = pools
        self._plan = plan
        self._worker = worker
        self._gate = gate
        self._leases = leases
        self._routes = routes
        self._breakers = breakers
        self._clock = clock
        self._events = events
        self._unsettled = unsettled
        self._give_back = give_back
        self._admission = admission
        self._room = asyncio.Event()
        self._delay = FIRST_DELAY
        self._due: float | None = None
        self._splits = {pool.name: split_of(pool) for pool in plan.pools}
        self._since_oldest = 0
        self._prefetch = {pool.name: Prefetch(clock.monotonic()) for pool in pools}
        self._queues = tuple(dict.fromkeys(queue for pool in pools for queue in pool.queues))
        self._asked: asyncio.Task[Claimed] | None = None
        self._asked_of: set[str] = set()
        """The queues whose pool has room: some may have to wait for their turn to be asked."""
        self._dry: set[str] = set()
        """The queues that gave less than was asked of them since the last sleep."""
        self.answered = clock.monotonic()
        """When the store answered last, in monotonic seconds."""
        self.finishing = False
        """Whether the worker is to empty its store: then suspects wait here; given back they would look like later."""
        self.quiet = False
        """Whether nothing more is to be claimed, although the worker goes on."""
        self.idle = asyncio.Event()
        """Set while the last claim came back empty and nothing runs."""

    def freed(self) -> None:
        """Hear that a slot is free."""
        self._room.set()

    async def run(self) -> None:
        """Claim for ever; cancelled by the worker when it stops."""
        try:
            while True:
                try:
                    await self._round()
                    if self._delay > FIRST_DELAY:
                        self._delay = FIRST_DELAY
                        self._events.emit(StoreBack("claim"))
                except StoreError as error:
                    self._events.emit(StoreFailed("claim", error, self._delay))
                    await sleep(self._clock, self._delay * random.uniform(0.8, 1.2))
                    self._delay = min(self._delay * 2, LONGEST_DELAY)
        finally:
            await self._return_late_answer()

    async def _round(self) -> None:
        await self._promote_due()
        demand = self._demand()
        if not demand:
            self._room.clear()
            await self._room.wait()
            return
        if not self._routes.patience():
            await self._routes.learn()
        if self._breakers.wanted and await self._claim_probe(demand):
            return
        if self._plan.oldest_every and await self._claim_oldest(demand):
            return
        claimed = await self._claim(demand)
        self._remember_due(claimed.next_due, claimed.now)
        if claimed.claims:
            self._deal(self._in_time(claimed))
        self._remember_dry(demand, claimed.claims)
        if self._asked_of <= self._dry:
            await self._sleep(found=bool(claimed.claims))
            self._dry.clear()
        else:
            # A queue gave all that was asked of it, or was not asked yet: let the slots run before asking for more.
            await asyncio.sleep(0)

    async def _claim_probe(self, demand: dict[str, int]) -> bool:
        """Take one job of a name whose breaker is open and has rested, wherever one waits.

        It leaves the demand; tells whether that was all of it.
        """
        name = await self._breakers.probing()
        if name is None:
            return False
        for queue in [queue for queue, wanted in demand.items() if wanted]:
            claimed = await self._claim({queue: 1}, names=(name,))
            if claimed.claims:
                self._breakers.probes(name, claimed.claims)
                self._deal(self._in_time(claimed))
                demand[queue] -= 1
                break
        return not any(demand.values())

    async def _claim_oldest(self, demand: dict[str, int]) -> bool:
        """Take a part of the demand by age alone, so that low priorities wait no longer than for their turn.

        What was taken leaves the demand; tells whether that was all of it.
        """
        parts, rest = divmod(self._since_oldest, self._plan.oldest_every)
        if not parts:
            return False
        (queue,) = random.choices(list(demand), list(demand.values()))
        claimed = await self._claim({queue: min(parts, demand[queue])}, oldest=True)
        self._since_oldest = rest
        if claimed.claims:
            self._deal(self._in_time(claimed))
            demand[queue] -= len(claimed.claims)
        return not any(demand.values())

    async def _claim(
        self, demand: dict[str, int], *, oldest: bool = False, names: Sequence[str] | None = None
    ) -> Claimed:
        token = new_token()
        plan = self._plan
        names, routes = self._breakers.names if names is None else names, self._routes.known
        if oldest:
            command = self._store.claim(demand, names, routes, token, self._worker, plan.lease, oldest=True)
        else:
            command = self._store.claim(demand, names, routes, token, self._worker, plan.lease)
        self._leases.ask(token)
        self._asked = asyncio.ensure_future(self._store.arun(command))
        claimed = await asyncio.shield(self._asked)
        self._asked = None
        self.answered = self._clock.monotonic()
        self._leases.take(token, claimed.claims, self._clock.monotonic())
        self._since_oldest += len(claimed.claims)
        return claimed

    def _in_time(self, claimed: Claimed) -> list[Claim]:
        """End what has expired, and give the rest; of jobs without meta, which most are, nothing needs to be read."""
        if {claim.meta for claim in claimed.claims} <= {"{}"}:
            return claimed.claims
        kept: list[Claim] = []
        for claim, expires in map(read, claimed.claims):
            if expires is not None and expires <= claimed.now and untried(claim):
                self._give_back(claim, Expired())
            else:
                kept.append(claim)
        return kept

    async def _return_late_answer(self) -> None:
        """Hand back what a claim brings that was under way when the worker stopped: no crash may be counted for it."""
        if self._asked is None:
            return
        with contextlib.suppress(StoreError):
            for claim in (await self._asked).claims:
                self._give_back(claim, GivenBack("worker stopped"))

    def _demand(self) -> dict[str, int]:
        """Split each pool's room over its queues."""
        demand: dict[str, int] = {}
        if self.quiet:
            return demand
        if self._unsettled() > 2 * MOST_PREFETCH:
            return demand
        self._asked_of.clear()
        now = self._clock.monotonic()
        for pool in self._pools:
            prefetch = self._prefetch[pool.name]
            prefetch.update(pool.performed, now)
            room = self._room_in(pool)
            if not room:
                continue
            self._asked_of.update(pool.queues)
            demand |= self._splits[pool.name].share(room)
        return demand

    def _room_in(self, pool: Pool) -> int:
        """Tell how many claims a pool can take; 0 also where so few are not worth a call."""
        prefetch = self._prefetch[pool.name].room
        # No more than a settler's batch: ten endings beyond it would cost a commit of their own.
        room = min(MOST_CLAIMED, pool.concurrency + prefetch - pool.busy)
        # A call for a handful while hundreds wait costs as much as one for all of them.
        return 0 if room < prefetch // 2 else max(room, 0)

    def _deal(self, claims: list[Claim]) -> None:
        self._admission.started(claims)
        self.idle.clear()
        if len(self._pools) == 1:
            self._pools[0].add(claims)
            return
        for pool in self._pools:
            if mine := [claim for claim in claims if claim.queue in pool.queues]:
                pool.add(mine)

    async def _sleep(self, *, found: bool) -> None:
        if not found and not any(pool.busy for pool in self._pools):
            self.idle.set()
        jitter = self._plan.jitter
        timeout = (self._plan.poll_interval or self._store.poll_interval) * random.uniform(1 - jitter, 1 + jitter)
        if self._due is not None:
            timeout = max(0.0, min(timeout, self._due - self._clock.monotonic()))
        timeout = min(timeout, self._routes.patience())
        full = [pool for pool in self._pools if not self._asked_of.issuperset(pool.queues)]
        if full:
            await first_of(self._store.wait(self._queues, timeout), self._room_in_one_of(full))
        else:
            await self._store.wait(self._queues, timeout)
        self._routes.woken()
        self._admission.want()

    async def _room_in_one_of(self, full: Sequence[Pool]) -> None:
        """Wait for room in pools that had none: their queues may hold jobs, though those asked gave all they had."""
        while not any(map(self._room_in, full)):
            self._room.clear()
            await self._room.wait()

    def _remember_dry(self, demand: Mapping[str, int], claims: Sequence[Claim]) -> None:
        taken = Counter(claim.queue for claim in claims)
        for split in self._splits.values():
            split.answered(demand, taken)
        self._dry.difference_update(demand)
        self._dry.update(queue for queue, wanted in demand.items() if taken[queue] < wanted)

    def _remember_due(self, next_due: int | None, now: int) -> None:
        self._due = None if next_due is None else self._clock.monotonic() + (next_due - now) / SECOND

    async def _promote_due(self) -> None:
        if self._due is None or self._clock.monotonic() < self._due:
            return
        self._due = None
        await self._store.arun(self._store.promote(PROMOTE_BATCH))
        self._admission.want()

    async def return_stale(self) -> None:
        """Give back the claims that have waited too long: another worker may be free.

        Suspects that wait behind one that takes long go for longer, or they would hold the slots of jobs that could
        run; behind quick ones they have their turn soon.
        """
        oldest = self._clock.monotonic() - BUFFER_LIFE
        for pool in self._pools:
            while pool.waiting and self._leases.taken_at(pool.waiting[0].token) < oldest:
                self._give_back(pool.waiting.popleft(), GivenBack("no slot was free"))
        if self._gate.taken_at is not None and self._gate.taken_at < oldest and not self.finishing:
            for claim in self._gate.take_out(lambda claim: True):
                self._give_back(claim, GivenBack("another suspect runs", delay=SUSPECT_DELAY))
        self._gate.admit()
        self.freed()
