"""How values beyond JSON's own travel: the hooks that msgspec calls for types it does not know."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import msgspec

from stoker.errors import ArgumentsError


def to_carried(value: Any) -> object:
    """Give something that msgspec can encode in place of ``value``; ArgumentsError says what to send instead."""
    if isinstance(value, PurePath):
        return str(value)
    refusal = lesson(value)
    if refusal is not None:
        raise ArgumentsError(refusal)
    if hasattr(value, "model_dump_json"):
        # By alias, because that is what a model validates by.
        return msgspec.Raw(value.model_dump_json(by_alias=True).encode())
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, deque):
        return list(value)
    # The exact base type of a subclass (Django's SafeString, numpy's float64), whatever its own conversions do.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    raise ArgumentsError(unsupported(type(value)))


def from_carried(kind: type[Any], value: Any) -> object:
    """Make a ``kind`` of decoded JSON; ValueError or TypeError when it does not fit."""
    if kind is object:
        return value
    if issubclass(kind, PurePath):
        if not isinstance(value, str):
            raise TypeError(f"expected a path as text, got {type(value).__name__}")
        return kind(value)
    try:
        if hasattr(kind, "model_validate_json"):
            # JSON rules, not those for Python objects: they are the inverse of model_dump_json in strict models too.
            return kind.model_validate_json(msgspec.json.encode(value))
        return kind.model_validate(value)
    except ValueError as error:
        # msgspec adds the path to a plain ValueError only, at the end of its text.
        lines = (line.strip() for line in str(error).splitlines() if "For further information" not in line)
        raise ValueError(" ".join(lines)) from error


def carries(kind: type[Any]) -> bool:
    """Tell whether the hooks know a type that msgspec does not."""
    return kind is object or issubclass(kind, PurePath) or hasattr(kind, "model_validate")


def lesson(value: object) -> str | None:
    """Say what to send instead of an object that lives in a database session; None for any other."""
    kind = value if isinstance(value, type) else type(value)
    name = kind.__name__
    if hasattr(kind, "_meta") and hasattr(kind, "pk"):
        return f"`{name}` is a Django model: send its primary key (`.pk`) and load it in the job"
    if hasattr(kind, "__mapper__") or hasattr(kind, "_sa_class_manager"):
        return f"`{name}` is an SQLAlchemy model: send its primary key and load it in the job"
    if hasattr(kind, "as_manager") or (hasattr(kind, "iterator") and hasattr(value, "model")):
        return f"`{name}` is a query set: send the primary keys, `list(query.values_list('pk', flat=True))`"
    if kind.__module__.startswith("sqlalchemy."):
        return f"`{name}` belongs to a database session: send what it found, or its primary key"
    return None


def unsupported(kind: type[Any]) -> str:
    """Say that a type cannot be sent, and what can."""
    advice = "send what it is made of (numbers, text, lists, dicts, a dataclass), or an id by which the job finds it"
    if kind.__module__.partition(".")[0] == "numpy":
        advice = "convert it with `.item()` or `.tolist()`"
    elif hasattr(kind, "__next__") or kind is range:
        advice = "make a list of it"
    return f"`{kind.__qualname__}` is not a type that JSON can carry: {advice}"
