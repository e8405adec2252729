"""A handler's signature as msgspec Structs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from stoker.errors import DefinitionError
from stoker.jobs.carriers import carries, lesson, unsupported
from stoker.jobs.signature import POSITIONAL, Parameter, Signature

_SIMPLE: Final = (type(None), bool, int, float, str, bytes)


def given_struct(job: str, signature: Signature) -> type[msgspec.Struct]:
    """Make the Struct that binds a call: its constructor takes what the handler takes, and it encodes that alone."""
    fields: dict[bool, list[Any]] = {True: [], False: []}
    for one in signature.parameters:
        field = (one.name, Any) if one.required else (one.name, Any, msgspec.UNSET)
        fields[one.kind in POSITIONAL].append(field)
    positional = msgspec.defstruct(_struct_name(job), fields[True])
    if not fields[False]:
        return positional
    return msgspec.defstruct(_struct_name(job), fields[False], bases=(positional,), kw_only=True)


def accepted_struct(job: str, signature: Signature) -> type[msgspec.Struct]:
    """Make the Struct that decodes arguments; DefinitionError when JSON cannot carry one of their types."""
    ordered = sorted(signature.parameters, key=lambda one: one.kind not in POSITIONAL)
    for one in ordered:
        _check(job, one)
    fields: Any = [_field(one) for one in ordered]
    return msgspec.defstruct(_struct_name(job), fields, kw_only=True, forbid_unknown_fields=True)


def holds_datetime(struct: type[msgspec.Struct]) -> bool:
    """Tell whether a datetime may be anywhere in the arguments."""
    return any(isinstance(part, msgspec.inspect.DateTimeType) for part in _walk(msgspec.inspect.type_info(struct)))


def _struct_name(job: str) -> str:
    return f"Arguments of {job}"


def _field(one: Parameter) -> tuple[Any, ...]:
    hint = _hint(one)
    if one.kind is inspect.Parameter.VAR_POSITIONAL:
        return one.name, hint, ()
    if one.kind is inspect.Parameter.VAR_KEYWORD:
        return one.name, hint, msgspec.field(default_factory=dict)
    if one.required:
        return one.name, hint
    if one.factory is not None:
        return one.name, hint, msgspec.field(default_factory=one.factory)
    if isinstance(one.default, _SIMPLE):
        return one.name, hint, one.default
    return one.name, hint, msgspec.field(default_factory=_giving(one.default))


def _giving(default: object) -> Callable[[], object]:
    """Give the very object that Python would pass: msgspec would copy, or refuse, what is mutable."""
    return lambda: default


def _hint(one: Parameter) -> Any:
    match one.kind:
        case inspect.Parameter.VAR_POSITIONAL:
            return tuple.__class_getitem__((one.hint, ...))
        case inspect.Parameter.VAR_KEYWORD:
            return dict.__class_getitem__((str, one.hint))
        case _:
            return one.hint


def _check(job: str, one: Parameter) -> None:
    try:
        info = msgspec.inspect.type_info(_hint(one))
        for part in _walk(info):
            _check_part(part)
    except TypeError as error:
        complaint = str(error).partition(" - type ")[0]
        raise DefinitionError(
            f"{job}: argument `{one.name}`: its annotation `{_written(one.hint)}` cannot be told from JSON: {complaint}"
        ) from error
    except DefinitionError as error:
        raise DefinitionError(f"{job}: argument `{one.name}`: {error}") from None


def _check_part(part: msgspec.inspect.Type) -> None:
    cls = getattr(part, "cls", None)
    if not isinstance(cls, type):
        return
    taught = lesson(cls)
    if taught is not None:
        raise DefinitionError(taught)
    if isinstance(part, msgspec.inspect.CustomType) and not carries(cls):
        if cls.__module__ == "collections.abc":
            raise DefinitionError(f"`{cls.__name__}` is not a type that JSON can carry: write Sequence[…] or list[…]")
        raise DefinitionError(unsupported(cls))


def _written(hint: object) -> str:
    return hint.__qualname__ if isinstance(hint, type) and not hasattr(hint, "__args__") else str(hint)


def _walk(info: msgspec.inspect.Type) -> Iterator[msgspec.inspect.Type]:
    """Give a type and all that it is made of, each class once."""
    seen: set[int] = set()
    left: list[msgspec.inspect.Type] = [info]
    while left:
        part = left.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        for name in part.__struct_fields__:
            left.extend(_types_in(getattr(part, name)))


def _types_in(value: object) -> Iterator[msgspec.inspect.Type]:
    if isinstance(value, msgspec.inspect.Type):
        yield value
    elif isinstance(value, msgspec.inspect.Field):
        yield value.type
    elif isinstance(value, tuple):
        for item in value:
            yield from _types_in(item)
