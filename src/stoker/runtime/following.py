"""What a handler says shall follow: taken from `Context.then`, sent with the attempt's ending."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from stoker.core.capability import Capability
from stoker.core.job import Claim, NewJob, State
from stoker.core.outcome import (
    CancelledByHandler,
    DiscardedByHandler,
    Outcome,
    Snoozed,
    Succeeded,
)
from stoker.core.settlement import Settlement
from stoker.errors import EnqueueError, NotSupported
from stoker.jobs.draft import Draft
from stoker.jobs.following import Following
from stoker.jobs.middleware import Middleware
from stoker.jobs.options import Defaults
from stoker.jobs.preparing import by_position, prepared
from stoker.runtime.slots import Slot
from stoker.stores.base import Store

_OPTIONS: Final = (
    Capability.PRIORITY | Capability.UNIQUE | Capability.LIMITS | Capability.EXPIRY | Capability.TAGS | Capability.BATCH
)
"""What the options of a job may ask of a store."""


class FollowUps:
    """Makes jobs of what handlers give to ``ctx.then``, for the workers of one store."""

    def __init__(
        self,
        store: Store,
        store_named: Callable[[str], Store],
        defaults: Defaults,
        middleware: Sequence[Middleware],
    ) -> None:
        self._store = store
        self._store_named = store_named
        self._defaults = defaults
        self._middleware = middleware

    def of(self, claim: Claim, slot: Slot) -> Callable[[Following], None]:
        """Give what takes the drafts of one attempt; they gather in the slot."""
        return functools.partial(self._take, claim, slot)

    def _take(self, claim: Claim, slot: Slot, following: Following) -> None:
        draft = checked_draft(following)
        if not self._store.supports(Capability.ATOMIC):
            raise NotSupported(
                f"{self._store.url} cannot store an ending and what follows from it in one unit: it lacks ATOMIC; "
                f"enqueue {draft.name} in the handler",
                store=self._store.url,
                verb="settle",
            )
        if self._store_named(draft.store) is not self._store:
            raise EnqueueError(
                f"ctx.then: {draft.name} waits in the store {draft.store!r}, which is not the one of {claim.name}, and "
                "two stores have no unit in common; enqueue it in the handler"
            )
        if slot.completed is not None:
            raise EnqueueError(
                f"ctx.then: {claim.name} was completed in its transaction before; say first what follows"
            )
        (job,) = prepared([draft], self._defaults, self._middleware, claim.id, claim.root or claim.id)
        if self._store.positional:
            (job,) = by_position([draft], [job])
        if not self._store.supports(_OPTIONS):
            # Building the command refuses what the store cannot keep: here the handler hears it, later nobody would.
            self._store.settle([Settlement(claim.id, claim.token, State.COMPLETED, then=(job,))])
        slot.then = (*slot.then, job)


def checked_draft(draft: object) -> Draft[Any]:
    """Refuse what an ending cannot bring; EnqueueError says what to write instead."""
    if not isinstance(draft, Draft):
        raise EnqueueError(f"ctx.then takes a draft, not {draft!r}: write ctx.then(job.draft(…))")
    if draft.terms.transaction is not None:
        raise EnqueueError(
            f"ctx.then: {draft.name} has a transaction of its own; leave it out, or enqueue the job in that transaction"
        )
    unique = draft.definition.merged(Defaults()).unique
    if unique is not None and unique.on_conflict == "raise":
        raise EnqueueError(
            f"ctx.then: {draft.name} is unique with on_conflict='raise', but nobody is there to catch it when the "
            "ending is stored; write .using(unique=Unique(…, on_conflict='keep'))"
        )
    return draft


def followed(settlement: Settlement, outcome: Outcome, then: tuple[NewJob, ...]) -> Settlement:
    """Give a settlement with what follows from it: only an ending that the handler chose brings anything."""
    match outcome:
        case Succeeded() | Snoozed() | DiscardedByHandler():
            chosen = True
        case CancelledByHandler():
            chosen = not outcome.requested
        case _:
            chosen = False
    return msgspec.structs.replace(settlement, then=then) if chosen else settlement
