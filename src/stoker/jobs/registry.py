"""The jobs of one application, by name."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from stoker.errors import DefinitionError, UnknownJob
from stoker.jobs.backend import Backend
from stoker.jobs.checks import job_name
from stoker.jobs.decorate import ClassDecorator, JobDecorator, RemoteDecorator
from stoker.jobs.defined import DefinedJob
from stoker.jobs.definition import AsyncJob, JobDefinition, RemoteJob, SyncJob
from stoker.jobs.options import JobOptions, JobRules
from stoker.jobs.signature import check_shape, is_async

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault  # the checkers' own; nothing to install

    S = TypeVarWithDefault("S", default=None)
else:
    S = TypeVar("S")
Definition: TypeAlias = JobDefinition[..., Any]


class JobRegistry(Generic[S]):
    """Where jobs are defined and found; ``S`` is the type of the application's state."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._by_name: dict[str, Definition] = {}
        self.job: JobDecorator[S] = JobDecorator(self._define_function)
        """Makes a job of a function: ``@app.job`` or ``@app.job(queue="mail", timeout="30s")``."""
        self.register: ClassDecorator[S] = ClassDecorator(self._define_class)
        """Makes a job of a class with ``perform(self[, ctx])``; its typed fields are the arguments."""

    def remote(self, *, name: str, queue: str) -> RemoteDecorator:
        """Make a job of a typed stub, for jobs that other services perform; calling it raises."""
        return RemoteDecorator(self._define_remote, {"name": name, "queue": queue})

    @property
    def definitions(self) -> tuple[Definition, ...]:
        """All definitions, in the order in which they were made; each once."""
        return tuple(dict.fromkeys(self._by_name.values()))

    @property
    def performable(self) -> Mapping[str, Definition]:
        """Every name and alias that has a handler here, with its definition."""
        return {name: one for name, one in self._by_name.items() if one.performable}

    @property
    def names(self) -> tuple[str, ...]:
        """Every name and alias that this application can perform."""
        return tuple(self.performable)

    def get(self, name: str) -> Definition:
        """Give the definition of a name or alias; UnknownJob names the nearest known ones."""
        found = self._by_name.get(name)
        if found is None:
            from difflib import get_close_matches

            near = get_close_matches(name, self._by_name, n=3)
            advice = f"did you mean {', '.join(map(repr, near))}?" if near else _known(self._by_name)
            raise UnknownJob(f"no job named {name!r} is defined: {advice}")
        return found

    def owns(self, definition: Definition | DefinedJob[Any]) -> bool:
        """Tell whether a definition was made here."""
        own = self._by_name.get(definition.name)
        return own is not None and own.handler is definition.handler

    def check_jobs(self) -> None:
        """Resolve the hints of all jobs now; DefinitionError for the first one that cannot be."""
        for definition in self.definitions:
            definition.check()

    def _define_function(self, fn: Callable[..., Any], options: JobOptions) -> Definition:
        if isinstance(fn, type):
            raise DefinitionError(
                f"{fn.__qualname__} is a class: write app.register({fn.__qualname__}), with a method `perform`"
            )
        if isinstance(fn, JobDefinition):
            raise DefinitionError(f"{fn.name} is a job already: decorate the function once")
        if not callable(fn):
            raise DefinitionError(f"{fn!r} is not a function")
        return self._define(fn, options, AsyncJob if is_async(fn) else SyncJob)

    def _define_class(self, fn: Callable[..., Any], options: JobOptions) -> Definition:
        if not isinstance(fn, type):
            raise DefinitionError(f"{fn!r} is not a class: write @app.job above a function")
        return self._define(fn, options, AsyncJob if is_async(fn) else SyncJob)

    def _define_remote(self, fn: Callable[..., Any], options: JobOptions) -> Definition:
        return self._define(fn, options, RemoteJob)

    def _define(self, handler: Callable[..., Any], options: JobOptions, kind: type[Definition]) -> Definition:
        name = options.get("name") or _name_of(handler)
        if name == "<lambda>":
            raise DefinitionError('a lambda has no name of its own: write app.job(name="…")(lambda …)')
        job_name(f"{name}: name", name)
        check_shape(handler, name)
        definition = kind(name, handler, JobRules.of(options, name), self._backend)
        check_executor(definition)
        if definition.rules.unique:
            definition.rules.unique.check(name, definition.parameter_names)
        definition.check_bounds(definition.parameter_names)
        self._add(definition)
        return definition

    def _add(self, definition: Definition) -> None:
        names = (definition.name, *definition.aliases)
        for name in names:
            holder = self._by_name.get(name)
            if holder is not None and not _same_definition(holder, definition):
                raise DefinitionError(_clash(name, holder, definition))
        replaced = [self._by_name[name] for name in names if name in self._by_name]
        for name in [name for name, one in self._by_name.items() if one in replaced]:
            del self._by_name[name]
        self._by_name.update(dict.fromkeys(names, definition))


def check_executor(definition: Definition) -> None:
    """Refuse an executor that a handler cannot have; DefinitionError says which it can."""
    name, executor = definition.name, definition.rules.executor
    if executor is None:
        return
    if not definition.performable:
        raise DefinitionError(f"{name}: executor: performed elsewhere, it has no handler here")
    if executor == "async" and not definition.is_async:
        raise DefinitionError(
            f"{name}: executor='async': a plain function would block the event loop; write async def, or leave it to a "
            "thread"
        )
    if executor == "thread" and definition.is_async:
        raise DefinitionError(f"{name}: executor='thread': an async def runs on the event loop; write def for a thread")
    place = getattr(definition.handler, "__qualname__", "<locals>")
    if executor == "process" and "<" in place:
        raise DefinitionError(
            f"{name}: executor='process': the process finds the handler by its name; define it at the top of a module"
        )


def _name_of(handler: Callable[..., Any]) -> str:
    while isinstance(handler, functools.partial):
        handler = handler.func
    name: str = getattr(handler, "__name__", type(handler).__name__)
    return name


def _same_definition(old: Definition, new: Definition) -> bool:
    """Tell whether the same source was run again: as ``__main__`` and by import, reloaded, a notebook's cell."""
    if old.name != new.name or old.__qualname__ != new.__qualname__ or "<locals>" in new.__qualname__:
        return False
    if _place(old) == _place(new):
        return True
    return _interactive(old.__module__) and old.__module__ == new.__module__


def _place(definition: Definition) -> tuple[str, int]:
    """Give file and line of a handler's source; two definitions of one name in a file differ by line."""
    handler = inspect.unwrap(definition.handler)
    code = getattr(handler, "__code__", None)
    if code is not None:
        return code.co_filename, code.co_firstlineno
    try:
        return inspect.getsourcefile(handler) or "", inspect.getsourcelines(handler)[1]
    except (TypeError, OSError):
        return "", id(handler)


def _interactive(module: str) -> bool:
    return module == "__main__" and not hasattr(sys.modules.get("__main__"), "__file__")


def _clash(name: str, holder: Definition, definition: Definition) -> str:
    package = definition.__module__.removesuffix(".jobs").rpartition(".")[2].strip("_")
    proposed = f"{package}.{definition.__name__}"
    return (
        f"two jobs are named {name!r}: {holder.__module__}.{holder.__qualname__} and "
        f"{definition.__module__}.{definition.__qualname__}; give one a name of its own: name={proposed!r}"
    )


def _known(by_name: Mapping[str, Definition]) -> str:
    return (
        f"there are {', '.join(sorted(by_name))}"
        if by_name
        else "none is; name the modules that define jobs (imports=)"
    )
