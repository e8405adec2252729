"""The settler: gathers endings and sends them in batches; what it cannot send it keeps and sends again."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

from stoker.core.batch import MEMBER_VERSION
from stoker.core.clock import Clock
from stoker.core.job import Claim, JobId, State, Token
from stoker.core.settlement import Settled, Settlement
from stoker.errors import NotCommitted, StoreError, StoreUnavailable
from stoker.runtime.loop import sleep
from stoker.stores.base import Store
from stoker.telemetry.board import Events
from stoker.telemetry.events import AttemptEnded, LateEnding, ResultDropped, SettleRefused, StoreBack, StoreFailed

BATCH = 1000
FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0
COMPLETED = State.COMPLETED
ACCEPTED, REPEATED, GONE = Settled.ACCEPTED, Settled.REPEATED, Settled.GONE
"""Bound once: in Python 3.11 looking up a member of an enumeration costs as much as a small function."""

log = logging.getLogger("stoker")


class Settler:
    """Sends settlements; ``released`` is told the token of each claim that is over, however it ended.

    ``relieved`` is called after each batch: a fetcher that paused because too much was unsettled may go on.
    ``member_ended`` is told the claims of jobs that belong to a batch of the application's.
    """

    def __init__(
        self,
        store: Store,
        events: Events,
        clock: Clock,
        released: Callable[[Token], None],
        relieved: Callable[[], None],
        member_ended: Callable[[Claim], None],
    ) -> None:
        self._store = store
        self._events = events
        self._clock = clock
        self._released = released
        self._relieved = relieved
        self._member_ended = member_ended
        self._pending: list[tuple[Claim, Settlement]] = []
        self._aside: set[asyncio.Future[None]] = set()
        self._completed: dict[tuple[JobId, Token], Settlement] = {}
        """The attempts that completed their job in a transaction, and may have rolled that back."""
        self._dropped: dict[tuple[JobId, Token], str] = {}
        """Why the results of some attempts cannot be carried: said once their endings are accepted."""
        self._sending = 0
        self._wanted = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()

    @property
    def unsettled(self) -> int:
        """How many endings the store has not answered yet."""
        return len(self._pending) + self._sending

    def add(self, claim: Claim, settlement: Settlement, completed: Settlement | None = None) -> None:
        """Take one ending; it is sent with whatever else has gathered by then.

        With ``completed`` it counts only if that completion, which a transaction was to bring, is not there.
        """
        if completed is not None:
            self._completed[claim.id, claim.token] = completed
            # By itself: if that transaction is still open, no other ending has to wait for it.
            sending = asyncio.ensure_future(self._send([(claim, settlement)]))
            self._aside.add(sending)
            sending.add_done_callback(self._told_aside)
            return
        if not self._pending:
            self._wanted.set()
            self._drained.clear()
        self._pending.append((claim, settlement))

    def note_dropped(self, claim: Claim, reason: str) -> None:
        """Say why an attempt's result cannot be carried, before its ending is added."""
        self._dropped[claim.id, claim.token] = reason

    def _told_aside(self, sending: asyncio.Future[None]) -> None:
        self._aside.discard(sending)
        self._relieved()

    async def run(self) -> None:
        """Send for ever; cancelled by the worker after `flush`."""
        try:
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                while self._pending:
                    batch, self._pending = self._pending[:BATCH], self._pending[BATCH:]
                    self._sending = len(batch)
                    await self._send(batch)
                    self._sending = 0
                    self._relieved()
                self._drained.set()
        finally:
            self._drained.set()  # nobody may wait for what nobody sends any more
            for sending in self._aside:
                sending.cancel()

    async def flush(self) -> None:
        """Wait until everything taken so far has been answered."""
        await self._drained.wait()
        if self._aside:
            await asyncio.wait(self._aside)

    async def _send(self, batch: list[tuple[Claim, Settlement]]) -> None:
        """Send a batch; what a store cannot even be asked must cost neither the others nor the worker."""
        if len({settlement.id for _, settlement in batch}) < len(batch):
            # Stores answer by id: a lost attempt must not hear what was said of the next one of the same job.
            await self._send_one_by_one(batch)
            return
        try:
            await self._send_until_answered(batch)
        except Exception:
            if len(batch) > 1:
                await self._send_one_by_one(batch)
                return
            claim = batch[0][0]
            log.exception("%s %s: its ending cannot be stored; it runs again after its lease", claim.name, claim.id)
            self._released(claim.token)

    async def _send_one_by_one(self, batch: list[tuple[Claim, Settlement]]) -> None:
        for one in batch:
            await self._send([one])

    async def _send_until_answered(self, batch: list[tuple[Claim, Settlement]]) -> None:
        command = self._store.settle([settlement for _, settlement in batch])
        delay, uncertain = FIRST_DELAY, False
        while True:
            try:
                answers = await self._store.arun(command)
            except StoreError as error:
                uncertain = uncertain or (isinstance(error, StoreUnavailable) and error.uncertain)
                self._events.emit(StoreFailed("settle", error, delay))
                await sleep(self._clock, delay * random.uniform(0.8, 1.2))
                delay = min(delay * 2, LONGEST_DELAY)
                continue
            if delay > FIRST_DELAY:
                self._events.emit(StoreBack("settle"))
            for claim, settlement in batch:
                self._report(claim, settlement, answers.get(settlement.id, GONE), uncertain)
            return

    def _report(self, claim: Claim, settlement: Settlement, answer: Settled, uncertain: bool) -> None:
        self._released(claim.token)
        if claim.version >= MEMBER_VERSION:
            self._member_ended(claim)
        completed = self._completed.pop((claim.id, claim.token), None) if self._completed else None
        dropped = self._dropped.pop((claim.id, claim.token), "") if self._dropped else ""
        if completed is not None and (answer is REPEATED or answer is GONE):
            self._events.emit(AttemptEnded(claim, completed))
            if settlement.error is None or settlement.error.type != NotCommitted.__name__:
                self._events.emit(LateEnding(claim, settlement))
        elif answer is ACCEPTED or answer is REPEATED:
            self._events.emit(AttemptEnded(claim, settlement))
        else:
            self._events.emit(SettleRefused(claim, settlement, answer, uncertain))
            return
        if dropped and (completed or settlement).state is COMPLETED:
            self._events.emit(ResultDropped(claim, dropped))
