"""A job as users see it: what they enqueue by, and call."""

from __future__ import annotations

import copy
from collections.abc import Coroutine
from typing import Any, Generic, NoReturn, ParamSpec, Self, TypeVar, Unpack, cast

from stoker.errors import DefinitionError
from stoker.jobs.backend import Backend
from stoker.jobs.codec import Arguments
from stoker.jobs.context import Context
from stoker.jobs.defined import DefinedJob
from stoker.jobs.draft import Draft
from stoker.jobs.handle import JobHandle
from stoker.jobs.options import EnqueueOptions, EnqueueTerms, JobRules
from stoker.jobs.passing import is_passed, refuse_hidden
from stoker.jobs.signature import Handler

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


class JobDefinition(DefinedJob[R_co], Generic[P, R_co]):
    """A job: its name, its handler, and what was said of it. Made by the decorators of an application."""

    def __init__(self, name: str, handler: Handler, rules: JobRules, backend: Backend) -> None:
        super().__init__(name, handler, rules, backend)
        self._backend = backend
        self.__doc__ = handler.__doc__
        self.__name__ = getattr(handler, "__name__", name)
        self.__qualname__ = getattr(handler, "__qualname__", name)
        self.__module__ = getattr(handler, "__module__", __name__)
        self.__wrapped__ = handler

    @property
    def backend(self) -> Backend:
        """What it enqueues by: the application it belongs to."""
        return self._backend

    @property
    def store(self) -> str:
        """Name of the store that it goes to; a retiring one only where ``using(store=…)`` says so."""
        if self._terms.store or not self.rules.store:
            return self._terms.store or "default"
        return self._backend.home(self.rules.store)

    @property
    def queue(self) -> str:
        """The queue that it goes to unless an enqueue says otherwise."""
        return self._terms.queue or self.rules.queue or self._backend.defaults.queue

    def using(self, **options: Unpack[EnqueueOptions]) -> Self:
        """Give this job with options for its next enqueues; DefinitionError for one that is unknown or wrong."""
        terms = self._terms.changed(options, self.name)
        if terms.unique:
            terms.unique.check(self.name, self.parameter_names)
        changed = copy.copy(self)
        vars(changed).update(_terms=terms, _merged=None)
        return changed

    def enqueue(self, /, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R_co]:
        """Store a job that calls the handler with these arguments; returns when the store has it.

        Raises ArgumentsError when they do not fit the handler or cannot travel as JSON.
        """
        return self._backend.enqueue([self.draft(*args, **kwargs)], self._terms.transaction)[0]

    async def aenqueue(self, /, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R_co]:
        """Do the same as `enqueue` without blocking the event loop."""
        handles = await self._backend.aenqueue([self.draft(*args, **kwargs)], self._terms.transaction)
        return handles[0]

    def draft(self, /, *args: P.args, **kwargs: P.kwargs) -> Draft[R_co]:
        """Bind and check the arguments without enqueueing."""
        return Draft(self, self._resolved.codec.encode(args, kwargs), self._terms)

    @property
    def terms(self) -> EnqueueTerms:
        """What `using` has said so far."""
        return self._terms

    def encode_around(self, args: tuple[object, ...], kwargs: dict[str, object]) -> tuple[str, dict[str, object]]:
        """Bind a call some of whose arguments are results of a workflow's steps; gives these beside the text."""
        given: list[tuple[str | int, object]] = [*enumerate(args, 1), *kwargs.items()]
        for name, value in given:
            if not is_passed(value):
                refuse_hidden(self.name, name, value)
        return self._resolved.codec.encode_around(args, kwargs, is_passed)

    def draft_of(self, args: str) -> Draft[R_co]:
        """Make a draft of arguments that are JSON text already; ArgumentsError when they do not fit the handler."""
        return Draft(self, self._resolved.codec.checked(args), self._terms)

    def _direct(self, args: tuple[object, ...], kwargs: dict[str, object]) -> Any:
        """Call the handler as a plain function, with a context of its own unless one is given."""
        if self.wants_context and not (args and isinstance(args[0], Context)):
            args = (Context.direct(self.name), *args)
        return self._function(*args, **kwargs)


class AsyncJob(JobDefinition[P, R_co]):
    """A job whose handler is ``async def``."""

    is_async = True

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R_co]:
        """Run the handler directly, as if it were not a job; no queue, no retries."""
        return cast("Coroutine[Any, Any, R_co]", self._direct(args, kwargs))


class SyncJob(JobDefinition[P, R_co]):
    """A job whose handler is a plain function; workers run it in a thread."""

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Run the handler directly, as if it were not a job; no queue, no retries."""
        return cast("R_co", self._direct(args, kwargs))


class RemoteJob(JobDefinition[P, R_co]):
    """A job that others perform; here it has a signature only."""

    performable = False

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> NoReturn:
        """Refuse: there is nothing to run here."""
        raise DefinitionError(f"{self.name}: performed elsewhere, it has no handler here; enqueue it")

    def call(self, arguments: Arguments, context: Context[Any] | None = None) -> NoReturn:
        """Refuse: there is nothing to run here."""
        raise DefinitionError(f"{self.name}: performed elsewhere, it has no handler here")
