"""The decorators, as type checkers see them: what a job's definition takes and gives follows from its handler.

The overloads remove a leading `Context` from the parameters. The first two take a function whose first parameter has
no annotation, which would otherwise pass for a context and vanish; the price is that one annotated Any or object is
checked by position only. Checkers call some of them overlapping; the order
is what decides, and `tests/typing` pins what they come to.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, Unpack, overload

from stoker.jobs.context import Context
from stoker.jobs.definition import AsyncJob, JobDefinition, RemoteJob, SyncJob
from stoker.jobs.options import JobOptions

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")
S_contra = TypeVar("S_contra", contravariant=True)


class _Unannotated:
    """No function can name it, so only a parameter without annotation takes one."""


class Define(Protocol):
    """Makes and registers the definition of a function, with the options given so far."""

    def __call__(self, fn: Callable[..., Any], options: JobOptions) -> JobDefinition[..., Any]:
        """Give the definition; DefinitionError when it cannot be one."""


class JobDecorator(Generic[S]):
    """``@app.job`` and ``@app.job(queue="mail", …)``."""

    def __init__(self, define: Define, options: JobOptions | None = None) -> None:
        self._define = define
        self._options: JobOptions = options or {}

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, fn: Callable[Concatenate[_Unannotated, P], Coroutine[Any, Any, R]], /
    ) -> AsyncJob[Concatenate[Any, P], R]: ...
    @overload
    def __call__(self, fn: Callable[Concatenate[_Unannotated, P], R], /) -> SyncJob[Concatenate[Any, P], R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, fn: Callable[Concatenate[Context[S], P], Coroutine[Any, Any, R]], /
    ) -> AsyncJob[P, R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, fn: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncJob[P, R]: ...
    @overload
    def __call__(self, fn: Callable[Concatenate[Context[S], P], R], /) -> SyncJob[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, R], /) -> SyncJob[P, R]: ...
    @overload
    def __call__(self, /, **options: Unpack[JobOptions]) -> JobDecorator[S]: ...
    def __call__(self, fn: Callable[..., Any] | None = None, /, **options: Unpack[JobOptions]) -> Any:
        """Make a job of a function, or give the decorator that does so with these options."""
        said: JobOptions = {**self._options, **options}
        return JobDecorator[S](self._define, said) if fn is None else self._define(fn, said)


class PerformsAsync(Protocol[R_co]):
    """An object of a class job."""

    def perform(self) -> Coroutine[Any, Any, R_co]:
        """Do the job."""


class PerformsAsyncWith(Protocol[S_contra, R_co]):
    """An object of a class job that wants the context."""

    def perform(self, context: S_contra, /) -> Coroutine[Any, Any, R_co]:
        """Do the job."""


class Performs(Protocol[R_co]):
    """An object of a class job."""

    def perform(self) -> R_co:
        """Do the job."""


class PerformsWith(Protocol[S_contra, R_co]):
    """An object of a class job that wants the context."""

    def perform(self, context: S_contra, /) -> R_co:
        """Do the job."""


class ClassDecorator(Generic[S]):
    """``resize = app.register(Resize, queue="images")``.

    Not above the class: checkers would go on taking its name for the class, or lose its fields.
    """

    def __init__(self, define: Define) -> None:
        self._define = define

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, cls: Callable[P, PerformsAsync[R]], /, **options: Unpack[JobOptions]
    ) -> AsyncJob[P, R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, cls: Callable[P, PerformsAsyncWith[Context[S], R]], /, **options: Unpack[JobOptions]
    ) -> AsyncJob[P, R]: ...
    @overload
    def __call__(self, cls: Callable[P, Performs[R]], /, **options: Unpack[JobOptions]) -> SyncJob[P, R]: ...
    @overload
    def __call__(
        self, cls: Callable[P, PerformsWith[Context[S], R]], /, **options: Unpack[JobOptions]
    ) -> SyncJob[P, R]: ...
    def __call__(self, cls: Callable[..., Any], /, **options: Unpack[JobOptions]) -> Any:
        """Make a job of a class whose typed fields are the arguments; its object's ``perform`` is called."""
        return self._define(cls, options)


class RemoteDecorator:
    """``@app.remote(name="ruby.Mail", queue="ruby")`` above a typed stub."""

    def __init__(self, define: Define, options: JobOptions) -> None:
        self._define = define
        self._options = options

    @overload
    def __call__(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> RemoteJob[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, R], /) -> RemoteJob[P, R]: ...
    def __call__(self, fn: Callable[..., Any], /) -> Any:
        """Make a job of the stub's signature; its body is never run."""
        return self._define(fn, self._options)
