"""What is still to come in a store: whether it is empty, what is on its way elsewhere, and until when jobs are due."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from stoker.core.capability import Capability
from stoker.core.finding import Finding
from stoker.core.job import State
from stoker.core.moving import Hold
from stoker.stores.base import Store


class Outlook(msgspec.Struct, frozen=True):
    """What a store has left to do."""

    waiting: int
    """Available jobs, and those for later."""
    running: int
    """Without those that are held."""
    later: int
    """How many of the waiting ones are scheduled or to be retried."""
    last_due: int | None
    """When the last of those is due; None where there is none, or the store cannot tell."""
    moving: tuple[Hold, ...]
    """Jobs that a move holds, or has left behind when it was killed."""

    @property
    def empty(self) -> bool:
        """Whether nothing in it is still to be performed."""
        return not (self.waiting or self.running or self.moving)


def outlook(store: Store, counted: Mapping[State, int]) -> Outlook:
    """Say what a store has left to do; ``counted`` are its jobs by state."""
    told = store.supports(Capability.HOLD)
    moving = tuple(store.run(store.holds())) if told else ()
    later = counted[State.SCHEDULED] + counted[State.RETRYABLE]
    running = counted[State.RUNNING] - sum(hold.jobs for hold in moving)
    last_due = store.run(store.last_due()) if told and later else None
    return Outlook(later + counted[State.AVAILABLE], max(running, 0), later, last_due, moving)


def findings(name: str, seen: Outlook, *, retiring: bool) -> Iterator[Finding]:
    """Say what an examination has to say of it."""
    for hold in seen.moving:
        text = f"{hold.jobs} jobs are on their way to {hold.target}"
        yield Finding("warn", "move", text, f"if no move runs: stoker queues move --from-store {name}")
    if retiring and seen.empty:
        yield Finding("ok", "retiring", "empty", f"take {name} out of retiring and stores")
    elif retiring:
        yield Finding("ok", "retiring", f"{seen.waiting} waiting, {seen.running} running")
