"""A job's definition: what users enqueue by and workers perform by."""

from __future__ import annotations

import copy
from collections.abc import Coroutine
from typing import Any, Generic, NoReturn, ParamSpec, Self, TypeVar, Unpack, cast

import msgspec

from stoker.core.decide import Policy
from stoker.core.job import JobId
from stoker.core.unique import UniqueKey
from stoker.errors import DefinitionError, ResultUnavailable
from stoker.jobs.backend import Backend
from stoker.jobs.codec import Arguments, Carried, carried_result
from stoker.jobs.context import Context
from stoker.jobs.draft import Draft
from stoker.jobs.handle import JobHandle
from stoker.jobs.options import Defaults, EnqueueOptions, EnqueueTerms, JobRules, Merged, merge
from stoker.jobs.resolved import Resolved
from stoker.jobs.signature import Handler, as_function
from stoker.jobs.unique import Unique

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


class JobDefinition(Generic[P, R_co]):
    """A job: its name, its handler, and what was said of it. Made by the decorators of an application."""

    is_async = False
    """Whether `call` gives a coroutine."""
    performable = True
    """Whether this application has the handler."""

    def __init__(self, name: str, handler: Handler, rules: JobRules, backend: Backend) -> None:
        self.name = name
        self.handler = handler
        self.rules = rules
        self.policy: Policy = rules.policy()
        self._function = as_function(handler)
        self._backend = backend
        self._terms = EnqueueTerms()
        self._merged: tuple[Defaults, Merged] | None = None
        self._resolved = Resolved(name, handler)
        self.__doc__ = handler.__doc__
        self.__name__ = getattr(handler, "__name__", name)
        self.__qualname__ = getattr(handler, "__qualname__", name)
        self.__module__ = getattr(handler, "__module__", __name__)
        self.__wrapped__ = handler

    # -- enqueueing --------------------------------------------------------------------------------------------------

    def using(self, **options: Unpack[EnqueueOptions]) -> Self:
        """Give this job with options for its next enqueues; DefinitionError for one that is unknown or wrong."""
        terms = self._terms.changed(options, self.name)
        if terms.unique:
            terms.unique.check(self.name, self.parameter_names)
        changed = copy.copy(self)
        vars(changed).update(_terms=terms, _merged=None)
        return changed

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R_co]:
        """Store a job that calls the handler with these arguments; returns when the store has it.

        Raises ArgumentsError when they do not fit the handler or cannot travel as JSON.
        """
        return self._backend.enqueue([self.draft(*args, **kwargs)], self._terms.transaction)[0]

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R_co]:
        """Do the same as `enqueue` without blocking the event loop."""
        handles = await self._backend.aenqueue([self.draft(*args, **kwargs)], self._terms.transaction)
        return handles[0]

    def draft(self, *args: P.args, **kwargs: P.kwargs) -> Draft[R_co]:
        """Bind and check the arguments without enqueueing."""
        return Draft(self, self._resolved.codec.encode(args, kwargs), self._terms)

    def draft_of(self, args: str) -> Draft[R_co]:
        """Make a draft of arguments that are JSON text already; ArgumentsError when they do not fit the handler."""
        return Draft(self, self._resolved.codec.checked(args), self._terms)

    def handle(self, id: JobId | str, *, duplicate: bool = False) -> JobHandle[R_co]:
        """Give the handle of a job of this definition that has been enqueued before."""
        return JobHandle(
            self._backend, JobId(id), name=self.name, store=self.store, duplicate=duplicate, read=self.read_result
        )

    def merged(self, defaults: Defaults) -> Merged:
        """Give what holds for an enqueue of this definition."""
        if self._merged is None or self._merged[0] is not defaults:
            self._merged = (defaults, merge(self.rules, self._terms, defaults))
        return self._merged[1]

    def unique_key(self, unique: Unique, args: str, priority: int) -> UniqueKey:
        """Make the unique key of a job with these encoded arguments."""
        codec = self._resolved.codec
        chosen: object = None
        if callable(unique.by):
            positional, named = codec.decode(args)
            chosen = unique.by(*positional, **named)
        return unique.key_of(self.name, codec.by_name(args), chosen, priority)

    # -- performing --------------------------------------------------------------------------------------------------

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the handler's parameters, a leading context included; known without resolving hints."""
        return self._resolved.parameter_names

    @property
    def aliases(self) -> tuple[str, ...]:
        """Former names."""
        return self.rules.aliases

    @property
    def queue(self) -> str:
        """The queue that it goes to unless an enqueue says otherwise."""
        return self._terms.queue or self.rules.queue or self._backend.defaults.queue

    @property
    def store(self) -> str:
        """Name of the store that it goes to."""
        return self._terms.store or self.rules.store or "default"

    @property
    def wants_context(self) -> bool:
        """Whether the handler takes the context."""
        return self._resolved.wants_context

    def timeout_within(self, defaults: Defaults) -> int | None:
        """Give the timeout of an attempt in microseconds; None for no timeout."""
        return self.rules.timeout_within(defaults)

    def slow_after_within(self, defaults: Defaults) -> int:
        """Give the microseconds after which an attempt is reported as slow."""
        return self.rules.slow_after_within(defaults)

    def decode(self, args: str) -> Arguments:
        """Give stored arguments for `call`; Misfit when they do not fit the handler, Corrupt when they are not JSON."""
        return self._resolved.codec.decode(args)

    def call(self, arguments: Arguments, context: Context[Any] | None = None) -> Any:
        """Call the handler; the context is given exactly where the handler wants it."""
        args, kwargs = arguments
        if context is None:
            return self._function(*args, **kwargs)
        return self._function(context, *args, **kwargs)

    def encode_result(self, value: object) -> Carried:
        """Give a result as JSON text, or None and the reason why it is not JSON."""
        return carried_result(value)

    def read_result(self, text: str) -> R_co:
        """Make the handler's return type of a stored result; ResultUnavailable when it does not fit (any more)."""
        try:
            return cast("R_co", self._resolved.result_decoder.decode(text))
        except (msgspec.DecodeError, RecursionError, ValueError, TypeError) as error:
            raise ResultUnavailable(f"{self.name}: the stored result does not fit its return type: {error}") from error

    def check(self) -> None:
        """Resolve the hints now; DefinitionError says what is wrong with them."""
        if self.rules.unique:
            self.rules.unique.check(self.name, [one.name for one in self._resolved.codec.signature.parameters])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def _direct(self, args: tuple[object, ...], kwargs: dict[str, object]) -> Any:
        """Call the handler as a plain function, with a context of its own unless one is given."""
        if self.wants_context and not (args and isinstance(args[0], Context)):
            args = (Context.direct(self.name), *args)
        return self._function(*args, **kwargs)


class AsyncJob(JobDefinition[P, R_co]):
    """A job whose handler is ``async def``."""

    is_async = True

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R_co]:
        """Run the handler directly, as if it were not a job; no queue, no retries."""
        return cast("Coroutine[Any, Any, R_co]", self._direct(args, kwargs))


class SyncJob(JobDefinition[P, R_co]):
    """A job whose handler is a plain function; workers run it in a thread."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Run the handler directly, as if it were not a job; no queue, no retries."""
        return cast("R_co", self._direct(args, kwargs))


class RemoteJob(JobDefinition[P, R_co]):
    """A job that others perform; here it has a signature only."""

    performable = False

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> NoReturn:
        """Refuse: there is nothing to run here."""
        raise DefinitionError(f"{self.name}: performed elsewhere, it has no handler here; enqueue it")

    def call(self, arguments: Arguments, context: Context[Any] | None = None) -> NoReturn:
        """Refuse: there is nothing to run here."""
        raise DefinitionError(f"{self.name}: performed elsewhere, it has no handler here")
