"""How an attempt completes its job inside its handler's transaction."""

from __future__ import annotations

from typing import Any, Final

from stoker.core.clock import Clock
from stoker.core.command import Command
from stoker.core.duration import SECOND
from stoker.core.job import Claim, State
from stoker.core.outcome import Failed, Outcome, Succeeded
from stoker.core.settlement import Settled, Settlement
from stoker.errors import ClaimLost, NotCommitted
from stoker.jobs.defined import DefinedJob
from stoker.runtime.slots import Slot
from stoker.stores.base import Store
from stoker.telemetry.board import Events

_CHECK: Final[Command[None]] = Command("complete", (), lambda _: None, joins=True, writes=False)


_NOT_COMMITTED: Final = "the transaction given to ctx.completing() had not been committed when the handler returned"


def unless_committed(outcome: Outcome, completed: Settlement | None) -> Outcome:
    """Give what an attempt comes to if its completion in a transaction, of which only the store knows, is not there."""
    if completed is None or not isinstance(outcome, Succeeded):
        return outcome
    return Failed(NotCommitted(_NOT_COMMITTED), duration=outcome.duration, asked=True)


class AttemptFinisher:
    """The `Finisher` of one attempt; what the store accepted is left with the slot."""

    def __init__(
        self, store: Store, definition: DefinedJob[Any], claim: Claim, slot: Slot, clock: Clock, events: Events
    ) -> None:
        self._store = store
        self._definition = definition
        self._claim = claim
        self._slot = slot
        self._clock = clock
        self._events = events

    def check(self, transaction: object) -> None:
        """Refuse what cannot be joined, and a store that joins nothing."""
        self._store.complete(self._ending(None))
        self._store.run(_CHECK, on=transaction)

    async def acheck(self, transaction: object) -> None:
        """Do the same without blocking the event loop."""
        self._store.complete(self._ending(None))
        await self._store.arun(_CHECK, on=transaction)

    def finish(self, transaction: object, result: object) -> None:
        """Complete the job."""
        ending = self._ending(result)
        self._finished(ending, self._store.run(self._store.complete(ending), on=transaction))

    async def afinish(self, transaction: object, result: object) -> None:
        """Do the same without blocking the event loop."""
        ending = self._ending(result)
        self._finished(ending, await self._store.arun(self._store.complete(ending), on=transaction))

    def _ending(self, value: object) -> Settlement:
        result = self._definition.sealed_result(self._definition.encode_result(value))
        self._slot.dropped = result.reason
        duration = round((self._clock.monotonic() - self._slot.started) * SECOND)
        claim = self._claim
        ending = Settlement(
            claim.id,
            claim.token,
            State.COMPLETED,
            keep=claim.keep,
            result=result.text,
            duration=duration,
            then=self._slot.then,
        )
        rule = self._definition.policy.keep
        return ending if rule is None else rule(claim, ending)

    def _finished(self, ending: Settlement, answer: Settled) -> None:
        if answer is not Settled.ACCEPTED:
            raise ClaimLost(
                f"{self._claim.name} {self._claim.id}: the store answered {answer} when this attempt was to complete "
                "inside its transaction: roll that back"
            )
        self._slot.completed = ending
