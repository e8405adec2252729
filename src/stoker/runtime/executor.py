"""Running one attempt: from a claim to an outcome, and nothing else."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from stoker.core.batch import MEMBER_VERSION, refusal_of
from stoker.core.capability import Capability
from stoker.core.clock import Clock
from stoker.core.decide import trace_of
from stoker.core.duration import SECOND, as_datetime, in_words
from stoker.core.hiding import blanked
from stoker.core.job import Claim, NewJob
from stoker.core.outcome import (
    CancelledByHandler,
    DiscardedByHandler,
    ElsewhereRaised,
    Failed,
    GivenBack,
    Outcome,
    Snoozed,
    Succeeded,
    Unreadable,
)
from stoker.errors import Corrupt, JobTimeout, Locked, Misfit, ProcessDied, StoreError
from stoker.jobs.carried import Carried
from stoker.jobs.context import Context, Flag
from stoker.jobs.defined import DefinedJob
from stoker.jobs.following import Following
from stoker.jobs.middleware import Middleware, OnlyOnce, forgotten, through
from stoker.jobs.options import Defaults
from stoker.jobs.signals import Cancel, Discard, Retry, Snooze
from stoker.runtime.channel import Ended, Perform, Place, Raised, Returned, Signalled
from stoker.runtime.children import Children
from stoker.runtime.completing import AttemptFinisher
from stoker.runtime.current import Performing, performing
from stoker.runtime.lines import Keeping, keeping_for
from stoker.runtime.notes import Notes
from stoker.runtime.slots import Interruption, Slot
from stoker.runtime.threads import Threads
from stoker.stores.base import Store
from stoker.telemetry.board import Events
from stoker.telemetry.events import AttemptStarted, JobMisfit, JobOverdue

BODY_VERSION = MEMBER_VERSION
"""The newest format of a stored job that this worker reads."""
MISFIT_DELAY = 30 * SECOND
UNREAD_DELAY = 5 * SECOND
"""Until a job is tried again whose checkpoint the store did not give."""


class _Way:
    """How the attempts of one definition go here: found out once, because it is asked for each of them."""

    __slots__ = ("apart", "contextual", "definition", "gives_context", "keeping", "secretive", "threaded", "timeout")

    def __init__(
        self,
        definition: DefinedJob[Any],
        *,
        timeout: int | None,
        apart: bool,
        middleware: bool,
        keeping: Keeping | None,
    ) -> None:
        self.definition = definition
        self.apart = definition.apart and apart
        self.threaded = not definition.is_async and not self.apart
        self.gives_context = definition.wants_context
        self.contextual = self.gives_context or middleware or self.threaded or self.apart
        """Whether anybody needs a context: the handler, middleware, or whoever stops a thread or a process."""
        self.secretive = definition.secretive
        self.timeout = timeout
        self.keeping = keeping


class Executor:
    """Performs claims by the definitions of one application, for one worker."""

    def __init__(
        self,
        definitions: Mapping[str, DefinedJob[Any]],
        *,
        state: object,
        defaults: Defaults,
        threads: Threads,
        clock: Clock,
        events: Events,
        middleware: Sequence[Middleware] = (),
        stopping: Flag | None = None,
        store: Store | None = None,
        notes: Notes | None = None,
        follow: Callable[[Claim, Slot], Callable[[Following], None]] | None = None,
        children: Children | None = None,
        misfit_after: int | None = 86_400 * SECOND,
        mark_started: Callable[[Claim], Awaitable[None]] | None = None,
        timeout: Callable[[DefinedJob[Any]], int | None] | None = None,
    ) -> None:
        self._definitions = definitions
        self._state = state
        self._defaults = defaults
        self._threads = threads
        self._clock = clock
        self._events = events
        self._middleware = tuple(middleware)
        self._stopping = stopping
        self._store = store
        self._notes = notes
        self._keeping = keeping_for(definitions, store, notes)
        self._follow = follow
        self._children = children
        self._misfit_after = misfit_after
        self._mark_started = mark_started
        self._timeout = timeout or (lambda definition: definition.timeout_within(defaults))
        self._ways: dict[str, _Way] = {}
        self._heard = events.heard

    def relearn(self) -> None:
        """Ask again for the timeouts of attempts that begin from now on."""
        self._ways.clear()

    async def attempt(self, claim: Claim, slot: Slot) -> Outcome:
        """Run one attempt and say how it ended; never raises for what a job does."""
        if claim.defect is not None:
            return Unreadable(claim.defect)
        if claim.version >= MEMBER_VERSION and (refused := refusal_of(claim.meta)) is not None:
            return DiscardedByHandler(refused)
        way = self._ways.get(claim.name) or self._learn(claim.name)
        definition = way.definition
        try:
            args = claim.args if claim.version == 1 else _opened(definition, claim)
            arguments = definition.decode(args)
        except Corrupt as error:
            return Unreadable(str(error))
        except Misfit as error:
            return self._misfit(claim, error)
        if claim.crashes and self._mark_started is not None:
            await self._mark_started(claim)
        saved = None
        if claim.starts > 1 and self._notes is not None and (way.gives_context or self._middleware):
            try:
                saved = await self._notes.saved(claim)
            except StoreError as error:
                return GivenBack(f"its checkpoint could not be read: {error}", delay=UNREAD_DELAY)
        # Of what was opened already: to open it once more may fail, and then a job that has done its work would too.
        hidden = definition.secrets_in(args) if way.secretive else ()
        attempt = self._guarded(way, arguments, claim, slot, saved)
        outcome = await (attempt if way.keeping is None else way.keeping.around(claim, hidden, attempt))
        return _without_secrets(outcome, hidden) if hidden else outcome

    def _learn(self, name: str) -> _Way:
        definition = self._definitions[name]
        self._ways[name] = way = _Way(
            definition,
            timeout=self._timeout(definition),
            apart=self._children is not None,
            middleware=bool(self._middleware),
            keeping=None if self._keeping is None else self._keeping.of(name),
        )
        return way

    def _misfit(self, claim: Claim, error: Misfit) -> Outcome:
        waited = self._clock.now() - claim.enqueued_at
        if self._misfit_after is not None and waited > self._misfit_after and not isinstance(error, Locked):
            return DiscardedByHandler(f"misfit for more than {in_words(self._misfit_after)}: {error}")
        self._events.emit(JobMisfit(claim, str(error)))
        return GivenBack(f"misfit: {error}", delay=MISFIT_DELAY)

    async def _guarded(self, way: _Way, arguments: Any, claim: Claim, slot: Slot, saved: str | None) -> Outcome:
        started = self._begin(way, claim, slot, saved)
        current = performing.set(Performing(claim.id, claim.root or claim.id))
        try:
            if self._middleware:
                value = await self._wrapped(way, arguments, slot)
            else:
                value = await self._call(way, arguments, slot)
        except BaseException as error:  # whatever a handler raises is the attempt's ending, SystemExit included
            return self._raised(error, claim, slot, started)
        else:
            return self._returned(way.definition, value, slot, started)
        finally:
            performing.reset(current)
            self._end(slot)

    def _begin(self, way: _Way, claim: Claim, slot: Slot, saved: str | None) -> float:
        slot.claim = claim
        slot.threaded = way.threaded
        slot.started = started = self._clock.monotonic()
        if AttemptStarted in self._heard:
            self._events.emit(AttemptStarted(claim))
        timeout = way.timeout
        if way.contextual:
            deadline = None if timeout is None else as_datetime(self._clock.now() + timeout)
            slot.saved = saved
            slot.cancelled = Flag()
            slot.context = Context(
                claim,
                self._state,
                deadline=deadline,
                cancelled=slot.cancelled,
                stopping=self._stopping,
                finisher=functools.partial(self._finisher, way.definition, claim, slot),
                notebook=self._notes,
                saved=saved,
                follow=None if self._follow is None else self._follow(claim, slot),
            )
        if timeout is not None and not way.apart:
            self._limit(slot, timeout)
        return started

    def _limit(self, slot: Slot, timeout: int) -> None:
        slot.timer = self._clock.call_later(timeout / SECOND, functools.partial(self._expire, slot, timeout))

    def _finisher(self, definition: DefinedJob[Any], claim: Claim, slot: Slot) -> AttemptFinisher | None:
        if self._store is None:
            return None
        return AttemptFinisher(self._store, definition, claim, slot, self._clock, self._events)

    def _end(self, slot: Slot) -> None:
        slot.claim = slot.context = slot.cancelled = slot.saved = slot.carried = None
        slot.slow_reported = False
        if slot.timer is not None:
            slot.timer.cancel()
            slot.timer = None

    def _expire(self, slot: Slot, timeout: int) -> None:
        if slot.threaded and slot.claim is not None:
            self._events.emit(JobOverdue(slot.claim, f"ran longer than its timeout of {in_words(timeout)}"))
        slot.interrupt(Interruption.TIMEOUT)

    # These two give the handler's own awaitable: a coroutine around it would cost as much as starting the handler.

    def _wrapped(self, way: _Way, arguments: Any, slot: Slot) -> Awaitable[Any]:
        context = slot.context
        if context is None:
            raise RuntimeError("middleware without a context")
        call: Callable[[], Awaitable[Any]] = functools.partial(self._call, way, arguments, slot)
        for layer in reversed(self._middleware):
            call = functools.partial(layer.perform, context, OnlyOnce(layer, call))
        return call()

    def _call(self, way: _Way, arguments: Any, slot: Slot) -> Awaitable[Any]:
        definition = way.definition
        if way.apart and self._children is not None:
            return self._call_apart(way, self._children, slot)
        context = slot.context if way.gives_context else None
        if way.threaded:
            return self._threads.run(functools.partial(definition.call, arguments, context))
        coroutine: Awaitable[Any] = definition.call(arguments, context)
        return coroutine

    async def _call_apart(self, way: _Way, children: Children, slot: Slot) -> Any:
        claim, definition, timeout = slot.claim, way.definition, way.timeout
        if claim is None:
            raise RuntimeError("an attempt without a claim")
        place = Place(definition.handler.__module__, definition.handler.__qualname__)
        has = Capability(0) if self._store is None else self._store.capabilities
        # Opened here, so that the process needs no key.
        opened = claim if claim.version == 1 else replace(claim, args=definition.opened(claim.args), version=1)
        order = Perform(
            place, opened, slot.saved, timeout, notes=Capability.NOTE in has, atomic=Capability.ATOMIC in has
        )

        def begins() -> None:
            if timeout is not None:
                self._limit(slot, timeout)

        def follows(job: NewJob) -> None:
            slot.then = (*slot.then, through(self._middleware, job))

        carried = _carried(await children.perform(order, begins, follows))
        value = definition.read_result(carried.text) if self._middleware and carried.text is not None else carried
        slot.carried = (value, carried)
        return value

    def _returned(self, definition: DefinedJob[Any], value: Any, slot: Slot, started: float) -> Outcome:
        duration = self._since(started)
        if (slot.threaded or slot.carried) and slot.interruption is Interruption.TIMEOUT:
            return self._timed_out(definition, "", duration)
        if value is None:
            return Succeeded("null", duration)
        if self._middleware and (lesson := forgotten(value)) is not None:
            return Failed(RuntimeError(lesson), "", None, duration)
        as_it_came = slot.carried is not None and value is slot.carried[0]
        result = slot.carried[1] if slot.carried is not None and as_it_came else definition.encode_result(value)
        result = definition.sealed_result(result)
        return Succeeded(result.text, duration, result.reason)

    def _raised(self, error: BaseException, claim: Claim, slot: Slot, started: float) -> Outcome:
        duration = self._since(started)
        if slot.interruption is Interruption.TIMEOUT:
            return self._timed_out(self._definitions[claim.name], _trace(error), duration)
        match error:
            case asyncio.CancelledError() if slot.interruption is Interruption.CANCELLED:
                return CancelledByHandler("cancelled on request", duration, requested=True)
            case asyncio.CancelledError() if slot.interruption is not None:
                return GivenBack(slot.interruption.value, duration=duration)
            case Snooze():
                return Snoozed(error.delay, duration)
            case Cancel():
                return CancelledByHandler(error.reason, duration)
            case Discard():
                return DiscardedByHandler(error.reason, duration)
            case Retry():
                return Failed(error, "", error.delay, duration, asked=True)
            case _:
                return Failed(error, _trace(error), None, duration)

    def _timed_out(self, definition: DefinedJob[Any], trace: str, duration: int) -> Outcome:
        timeout = self._timeout(definition) or 0
        return Failed(JobTimeout(f"ran longer than its timeout of {in_words(timeout)}"), trace, None, duration)

    def _since(self, started: float) -> int:
        return round((self._clock.monotonic() - started) * SECOND)


def _opened(definition: DefinedJob[Any], claim: Claim) -> str:
    if claim.version > BODY_VERSION:
        raise Locked(f"stored in format {claim.version}, this worker reads up to {BODY_VERSION}")
    return definition.opened(claim.args)


def _carried(ended: Ended) -> Carried:
    """Give what a handler in a process of its own returned, or raise what it raised."""
    match ended:
        case Returned(result, reason):
            return Carried(result, reason)
        case Raised(kinds, message, trace):
            raise ElsewhereRaised(kinds, message, trace)
        case Signalled("Retry", reason, delay):
            raise Retry(None if delay is None else delay / SECOND, reason)
        case Signalled("Snooze", _, delay):
            raise Snooze((delay or 0) / SECOND)
        case Signalled("Cancel", reason):
            raise Cancel(reason)
        case Signalled(_, reason):
            raise Discard(reason)


def _trace(error: BaseException) -> str:
    match error:
        case ElsewhereRaised():
            return error.trace
        case ProcessDied():
            return ""  # it would show the worker's own code only
        case _:
            return trace_of(error)


def _without_secrets(outcome: Outcome, secrets: tuple[str, ...]) -> Outcome:
    """Give an outcome whose words do not show a job's secret arguments."""
    match outcome:
        case Failed():
            return replace(outcome, hidden=secrets)
        case Succeeded():
            return replace(outcome, dropped=blanked(outcome.dropped, secrets))
        case CancelledByHandler() | DiscardedByHandler() | GivenBack():
            return replace(outcome, reason=blanked(outcome.reason, secrets))
        case _:
            return outcome
