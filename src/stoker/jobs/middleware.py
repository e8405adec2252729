"""Code of the user's that stands around every enqueue and every attempt."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from stoker.core.job import NewJob
from stoker.errors import DefinitionError, EnqueueError
from stoker.jobs.checks import ENQUEUE_CHECKS
from stoker.jobs.context import Context

CallNext: TypeAlias = Callable[[], Awaitable[object]]


class Middleware:
    """Override what you need; the first in the list is the outermost."""

    def enqueue(self, job: NewJob) -> NewJob:
        """Give the job that is to be enqueued: this one, or another made of it (`NewJob.changed`); raise to veto it."""
        return job

    async def perform(self, context: Context[Any], call_next: CallNext) -> object:
        """Stand around one attempt: await ``call_next()`` once and give its answer, the handler's result.

        What the handler raised comes out of ``call_next()``; a signal (`Retry`, `Snooze`, …) may be raised here too.
        """
        return await call_next()


def checked_middleware(layers: Sequence[Middleware]) -> tuple[Middleware, ...]:
    """Give the layers of an application; DefinitionError says what one of them should have been."""
    if isinstance(layers, Middleware):
        raise DefinitionError(f"middleware={layers!r}: write a list, middleware=[{type(layers).__name__}(…)]")
    if not isinstance(layers, Sequence):
        raise DefinitionError(f"middleware={layers!r}: write a list of layers, each a stoker.Middleware")
    for layer in layers:
        if isinstance(layer, type) and issubclass(layer, Middleware):
            raise DefinitionError(f"middleware: {layer.__name__} is a class: write {layer.__name__}()")
        if not isinstance(layer, Middleware):
            raise DefinitionError(f"middleware: {layer!r} is no Middleware: make a class of stoker.Middleware of it")
        name = type(layer).__name__
        if not inspect.iscoroutinefunction(layer.perform):
            raise DefinitionError(f"middleware: {name}.perform must be a coroutine: write async def perform")
        if inspect.iscoroutinefunction(layer.enqueue):
            raise DefinitionError(
                f"middleware: {name}.enqueue must not be a coroutine: sync code enqueues too; write def enqueue"
            )
    return tuple(layers)


def through(layers: Sequence[Middleware], job: NewJob) -> NewJob:
    """Give what the layers make of a job that is to be enqueued; raises what a layer raises to veto it."""
    for layer in layers:
        changed = layer.enqueue(job)
        if not isinstance(changed, NewJob):
            raise EnqueueError(
                f"{job.name}: {type(layer).__name__}.enqueue gave {changed!r} instead of a job: "
                "return the job, or raise to veto it"
            )
        job = job if changed is job else _checked(type(layer).__name__, job, changed)
    return job


def _checked(layer: str, job: NewJob, changed: NewJob) -> NewJob:
    """Give what a layer made of a job, its options checked like a caller's; DefinitionError."""
    for option in ("queue", "priority", "max_attempts", "labels"):
        value = getattr(changed, option)
        if value != getattr(job, option):
            changed = changed.changed(**{option: ENQUEUE_CHECKS[option](f"{job.name}: {layer}: {option}", value)})
    return changed


class OnlyOnce:
    """The ``call_next`` of a layer: whoever calls it again is told what to do instead."""

    __slots__ = ("_call", "_called", "_layer")

    def __init__(self, layer: Middleware, call: CallNext) -> None:
        self._layer = layer
        self._call = call
        self._called = False

    def __call__(self) -> Awaitable[object]:
        """Call what is further inside."""
        if self._called:
            raise RuntimeError(
                f"{type(self._layer).__name__}.perform called call_next() twice: an attempt runs its handler once; "
                "raise Retry to have another attempt"
            )
        self._called = True
        return self._call()


def forgotten(value: object) -> str | None:
    """Say that a layer gave an awaitable where it should have awaited it; None if it did not."""
    if not inspect.isawaitable(value):
        return None
    if inspect.iscoroutine(value):
        value.close()
    return "a middleware gave what call_next() gave without awaiting it: write return await call_next()"
