"""Slots: who runs what, within a pool's number.

A slot is a task that performs one job after another for as long as its pool has claims; a task per job would cost
several times what a small job does. What a job leaves behind in context variables must not reach the next one, so a
slot whose context changed is replaced.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextvars import copy_context
from enum import Enum

from stoker.core.clock import Clock, Timer
from stoker.core.job import Claim, NewJob
from stoker.core.settlement import Settlement
from stoker.jobs.carried import Carried
from stoker.jobs.context import Context, Flag

TURN = 0.001
"""Seconds for which the slots of a worker may go on together before the event loop has a turn."""


class Interruption(Enum):
    """Why a running attempt is asked to stop."""

    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    LOST = "lost"
    STOPPED = "stopped"


class Slot:
    """What one slot is doing; while it performs, ``claim`` is set."""

    __slots__ = (
        "cancelled",
        "carried",
        "claim",
        "completed",
        "context",
        "dropped",
        "interruption",
        "saved",
        "slow_reported",
        "started",
        "task",
        "then",
        "threaded",
        "timer",
    )

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self.claim: Claim | None = None
        self.completed: Settlement | None = None
        """The completion that the store accepted inside the handler's transaction, committed or not."""
        self.then: tuple[NewJob, ...] = ()
        """What the handler said shall follow."""
        self.dropped = ""
        """Why the result of that completion cannot be carried."""
        self.context: Context[object] | None = None
        self.cancelled: Flag | None = None
        self.saved: str | None = None
        """The checkpoint that the attempt began with, as JSON text."""
        self.carried: tuple[object, Carried] | None = None
        """What a handler in a process of its own returned, read for middleware, and as it came."""
        self.started = 0.0
        self.interruption: Interruption | None = None
        self.threaded = False
        self.timer: Timer | None = None
        self.slow_reported = False

    def interrupt(self, why: Interruption) -> None:
        """Ask the attempt to stop: a task is cancelled, a thread sees ``cancelled`` in its context.

        Of an attempt in a process of its own the task is what waits for it, and ends it.
        """
        if self.claim is None or self.interruption is not None:
            return
        self.interruption = why
        if self.cancelled is not None and why is not Interruption.STOPPED:
            self.cancelled.up = True
        if not self.threaded and self.task is not None:
            self.task.cancel()


class SuspectGate:
    """Lets one suspect run at a time in this process: a job whose worker has died before.

    So the next crash counts against the culprit and not against its neighbours.
    """

    def __init__(self) -> None:
        self.taken_at: float | None = None
        """Since when a suspect runs, in monotonic seconds; None while none does."""
        self.waiting: deque[tuple[Pool, Claim]] = deque()

    def enter(self, pool: Pool, claim: Claim, now: float) -> bool:
        """Take the gate, or leave the claim with it until the gate is free."""
        if self.taken_at is not None:
            self.waiting.append((pool, claim))
            pool.held += 1
            return False
        self.taken_at = now
        return True

    def leave(self) -> None:
        """Free the gate and send the next suspect to its pool."""
        self.taken_at = None
        self.admit()

    def admit(self) -> None:
        """Send a suspect to its pool if none runs: one that was sent before may have been taken out on its way."""
        if self.taken_at is None and self.waiting:
            pool, claim = self.waiting.popleft()
            pool.held -= 1
            pool.add([claim])

    def take_out(self, chosen: Callable[[Claim], bool]) -> list[Claim]:
        """Take out the chosen claims that wait here."""
        out = [(pool, claim) for pool, claim in self.waiting if chosen(claim)]
        for pool, _ in out:
            pool.held -= 1
        self.waiting = deque((pool, claim) for pool, claim in self.waiting if not chosen(claim))
        return [claim for _, claim in out]


class Turn:
    """The time since the event loop last had a turn, shared by all slots of a worker.

    If each slot had a time of its own, ten slots in a row would keep what came from the store waiting for ten of them.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since = clock.monotonic()
        self._ending = False

    @property
    def over(self) -> bool:
        """Whether a slot is to let others go first."""
        return self._clock.monotonic() - self._since > TURN

    def end(self) -> None:
        """Let the next one begin when the loop comes round."""
        if not self._ending:
            self._ending = True
            asyncio.get_running_loop().call_soon(self.begin)

    def begin(self) -> None:
        """Count from now on."""
        self._since = self._clock.monotonic()
        self._ending = False


class Pool:
    """A number of slots, the queues they serve and the claims that wait for a slot."""

    def __init__(
        self,
        name: str,
        queues: tuple[str, ...],
        concurrency: int,
        clock: Clock,
        gate: SuspectGate,
        turn: Turn,
        perform: Callable[[Claim, Slot], Awaitable[None]],
        freed: Callable[[], None],
    ) -> None:
        self.name = name
        self.queues = queues
        self.concurrency = concurrency
        self.waiting: deque[Claim] = deque()
        self.slots: set[Slot] = set()
        self.performed = 0
        self.held = 0
        """Suspects that wait at the gate."""
        self._clock = clock
        self._gate = gate
        self._turn = turn
        self._perform = perform
        self._freed = freed

    @property
    def busy(self) -> int:
        """How many claims it holds, running or waiting."""
        return len(self.slots) + len(self.waiting) + self.held

    def add(self, claims: list[Claim]) -> None:
        """Take claims in the order to run them."""
        self.waiting.extend(claims)
        self._spawn()

    def take_out(self, chosen: Callable[[Claim], bool]) -> list[Claim]:
        """Take out the chosen claims that wait for a slot."""
        out = [claim for claim in self.waiting if chosen(claim)]
        if out:
            self.waiting = deque(claim for claim in self.waiting if not chosen(claim))
        return out

    def running(self) -> Iterator[Slot]:
        """Give the slots that perform a job just now."""
        return (slot for slot in self.slots if slot.claim is not None)

    def _spawn(self) -> None:
        if self.waiting and len(self.slots) < self.concurrency:
            if not self.slots:
                self._turn.begin()
            slot = Slot()
            self.slots.add(slot)
            slot.task = asyncio.get_running_loop().create_task(self._serve(slot))

    async def _serve(self, slot: Slot) -> None:
        # Two by two, so that a pool of a thousand fills in ten turns of the loop, and one no-op job costs one task.
        self._spawn()
        self._spawn()
        untouched = copy_context()
        turn = self._turn
        try:
            while self.waiting:
                claim = self.waiting.popleft()
                if claim.crashes:
                    await self._perform_suspect(claim, slot)
                else:
                    await self._perform(claim, slot)
                    self.performed += 1
                if slot.interruption is not None or copy_context() != untouched:
                    break
                if turn.over:
                    # The next claim must be under way before the last one has been worked off.
                    self._freed()
                    turn.end()
                    await asyncio.sleep(0)
        finally:
            self.slots.discard(slot)
            self._spawn()
            self._freed()

    async def _perform_suspect(self, claim: Claim, slot: Slot) -> None:
        if not self._gate.enter(self, claim, self._clock.monotonic()):
            return
        try:
            await self._perform(claim, slot)
            self.performed += 1
        finally:
            self._gate.leave()
