"""What a handler takes and gives: its parameters without the context, hints resolved.

Names and kinds are known when a job is defined; hints are resolved later, because a module that is still being
imported may not have all the names that its annotations use.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, get_origin, get_type_hints

import msgspec

from stoker.errors import DefinitionError
from stoker.jobs.context import Context

Handler: TypeAlias = Callable[..., Any]
"""What a user decorated: a function, anything callable, or a class with ``perform``."""

POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
EMPTY: Final = inspect.Parameter.empty
_NAME: Final = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a handler."""

    name: str
    kind: Any
    hint: Any
    default: object = EMPTY
    factory: Callable[[], object] | None = None
    """Makes the default, where a dataclass or Struct has a ``default_factory``."""

    @property
    def required(self) -> bool:
        """Tell whether a call must give it."""
        variable = self.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        return self.default is EMPTY and self.factory is None and not variable

    def as_python(self) -> inspect.Parameter:
        """Give it as Python has it; ``...`` stands for a default that a factory makes."""
        default = self.default if self.factory is None else ...
        return inspect.Parameter(self.name, self.kind, default=default, annotation=self.hint)


@dataclass(frozen=True, slots=True)
class Signature:
    """A handler's resolved signature."""

    parameters: tuple[Parameter, ...]
    """Without the context."""
    wants_context: bool
    returns: Any

    def as_python(self) -> inspect.Signature:
        """Give it as Python has it: to bind calls, and to be written."""
        return inspect.Signature([one.as_python() for one in self.parameters])


def as_function(handler: Handler) -> Handler:
    """Give what performing calls: the handler, or for a class job one that makes the object and calls its perform."""
    if not isinstance(handler, type):
        return handler
    if _perform_takes_context(_perform_of(handler), handler.__qualname__):
        return lambda context, *args, **kwargs: handler(*args, **kwargs).perform(context)
    return lambda *args, **kwargs: handler(*args, **kwargs).perform()


def parameter_names(handler: Handler, job: str) -> tuple[str, ...]:
    """Name all parameters, a leading context included, without resolving hints."""
    return tuple(_inspected(handler, job).parameters)


def is_async(handler: Handler) -> bool:
    """Tell whether calling the handler gives a coroutine."""
    if isinstance(handler, type):
        return inspect.iscoroutinefunction(_perform_of(handler))
    function = _function_of(handler)
    return inspect.iscoroutinefunction(function)


def check_shape(handler: Handler, job: str) -> None:
    """Refuse what can never be a handler; DefinitionError says what to write instead."""
    function = _perform_of(handler) if isinstance(handler, type) else _function_of(handler)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise DefinitionError(f"{job}: a generator cannot be a job; return a value, or enqueue a job for each item")
    if not isinstance(handler, type):
        first = next(iter(_inspected(handler, job).parameters), "")
        where = getattr(function, "__qualname__", "").rpartition("<locals>.")[2]
        if "." in where and first in ("self", "cls"):
            raise DefinitionError(
                f"{job}: {where} is a method; take it out of the class, or give the class a `perform` and `register` it"
            )


def names_around(handler: Handler) -> dict[str, object]:
    """Give those neighbours of a function defined inside another that its annotations name as text.

    Python resolves such text in the module alone. Called while the enclosing function still runs.
    """
    if "<locals>" not in getattr(handler, "__qualname__", ""):
        return {}
    annotated = (handler, handler.__dict__.get("perform")) if isinstance(handler, type) else (handler,)
    hints = [hint for one in annotated if one is not None for hint in inspect.get_annotations(one).values()]
    wanted = {name for hint in hints if isinstance(hint, str) for name in _NAME.findall(hint)}
    found: dict[str, object] = {}
    frame = inspect.currentframe()
    while frame is not None and wanted:
        if frame.f_globals["__name__"] == handler.__module__:
            local = frame.f_locals
            found = {name: local[name] for name in wanted if name in local} | found
        frame = frame.f_back
    return found


def resolve(handler: Handler, job: str, around: dict[str, object] | None = None) -> Signature:
    """Resolve a handler's hints; DefinitionError names the one that cannot be, and what to do."""
    inspected = _inspected(handler, job)
    hints = _hints(handler, job, around)
    factories = _factories(handler)
    parameters = [
        Parameter(
            name=name,
            kind=parameter.kind,
            hint=_plain_hint(hints.get(name, Any)),
            default=EMPTY if name in factories else parameter.default,
            factory=factories.get(name),
        )
        for name, parameter in inspected.parameters.items()
    ]
    if isinstance(handler, type):
        perform = _perform_of(handler)
        returns = _hints(perform, job, around).get("return", Any)
        return Signature(tuple(parameters), _perform_takes_context(perform, job), returns)
    wants_context = bool(parameters) and _is_context(parameters[0].hint)
    if wants_context:
        del parameters[0]
    for parameter in parameters:
        if _is_context(parameter.hint):
            raise DefinitionError(f"{job}: the context must be the first parameter; `{parameter.name}` is not")
    return Signature(tuple(parameters), wants_context, hints.get("return", Any))


def _inspected(handler: Handler, job: str) -> inspect.Signature:
    try:
        return inspect.signature(handler)
    except (TypeError, ValueError) as error:
        raise DefinitionError(
            f"{job}: its signature cannot be read ({error}); wrap it in a function of your own"
        ) from error


def _function_of(handler: Handler) -> Handler:
    """Give the function that a partial, or an object with ``__call__``, comes down to."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    if inspect.isroutine(handler):
        return handler
    call: Handler = getattr(type(handler), "__call__", handler)  # noqa: B004 the method is wanted, not whether it is there
    return call


def _perform_of(cls: type) -> Handler:
    perform = inspect.getattr_static(cls, "perform", None)
    if not inspect.isfunction(perform):
        raise DefinitionError(f"{cls.__qualname__}: a class job needs a method `def perform(self)`")
    if not (dataclasses.is_dataclass(cls) or issubclass(cls, msgspec.Struct)):
        raise DefinitionError(
            f"{cls.__qualname__}: its typed fields are the arguments: make it a @dataclass or a msgspec.Struct"
        )
    return perform


def _perform_takes_context(perform: Handler, job: str) -> bool:
    extra = list(inspect.signature(perform).parameters)[1:]
    if len(extra) > 1:
        raise DefinitionError(f"{job}: perform takes the context and nothing else; `{extra[1]}` must become a field")
    return bool(extra)


def _hints(handler: Handler, job: str, around: dict[str, object] | None) -> dict[str, Any]:
    owner = handler if isinstance(handler, type) else _function_of(handler)
    try:
        return get_type_hints(owner, localns=around or None, include_extras=True)
    except NameError as error:
        raise DefinitionError(_unresolved(owner, job, error)) from error
    except Exception as error:
        raise DefinitionError(f"{job}: its annotations cannot be resolved: {error}") from error


def _unresolved(owner: Any, job: str, error: NameError) -> str:
    missing = error.name or str(error)
    annotated = inspect.get_annotations(owner).items()
    where = [f"`{name}`" for name, hint in annotated if isinstance(hint, str) and missing in hint]
    return (
        f"{job}: the annotation of {', '.join(where) or 'a parameter'} names `{missing}`, which {owner.__module__} "
        f"does not have when it runs; import or define `{missing}` at the top of that module, "
        "not under `if TYPE_CHECKING:`"
    )


def _factories(handler: Handler) -> dict[str, Callable[[], object]]:
    """Give the default factories of a class job's fields, which its signature only hints at."""
    found: dict[str, Callable[[], object]] = {}
    if not isinstance(handler, type):
        return found
    if issubclass(handler, msgspec.Struct):
        for field in msgspec.structs.fields(handler):
            if field.default_factory is not msgspec.NODEFAULT:
                found[field.name] = field.default_factory
    elif dataclasses.is_dataclass(handler):
        for given in dataclasses.fields(handler):
            if given.default_factory is not dataclasses.MISSING:
                found[given.name] = given.default_factory
    return found


def _plain_hint(hint: Any) -> Any:
    if isinstance(hint, dataclasses.InitVar):
        hint = hint.type
    # msgspec treats `object` as a class of its own, which it would hand to our hook.
    return Any if hint is object else hint


def _is_context(hint: Any) -> bool:
    return (get_origin(hint) or hint) is Context
