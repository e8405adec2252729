"""What arrives must be what was sent: finds the place where a value would change on its way."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from pathlib import PurePath
from typing import Any, Final, NamedTuple

import msgspec

PLAIN: Final = (str, int, float, list, dict, type(None))
"""What JSON decodes to where nothing is annotated."""
BINARY: Final = (bytes, bytearray, memoryview)


class Finding(NamedTuple):
    """What is wrong with a value, and where."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"`{self.path}`: {self.reason}"


def difference(sent: object, arrived: object, path: str) -> Finding | None:
    """Say where and how ``arrived`` is not what was sent; None if it is."""
    if _same(sent, arrived):
        return None
    if isinstance(sent, float) and not math.isfinite(sent):
        return Finding(path, f"{sent} is not JSON; send None or a text instead")
    if isinstance(sent, (int, float)) and isinstance(arrived, (int, float)):
        return Finding(path, f"{sent!r} would arrive as {arrived!r}, rounded")
    if isinstance(arrived, BINARY) and not isinstance(sent, BINARY):
        return Finding(path, f"expected `bytes`, got `{type(sent).__name__}`")
    if isinstance(sent, Mapping) and isinstance(arrived, Mapping):
        return _in_mapping(sent, arrived, path)
    if isinstance(sent, (list, tuple, deque)) and isinstance(arrived, (list, tuple)):
        pairs = enumerate(zip(sent, arrived, strict=False))
        return _first(difference(one, other, f"{path}[{at}]") for at, (one, other) in pairs)
    if type(sent) is type(arrived):
        names = field_names(sent)
        return _first(difference(getattr(sent, name), getattr(arrived, name), f"{path}.{name}") for name in names)
    if type(arrived) in PLAIN and not isinstance(arrived, type(sent)):
        kind, other = "Path" if isinstance(sent, PurePath) else type(sent).__name__, type(arrived).__name__
        advice = f"annotate the parameter with `{kind}`, or send a `{other}`"
        return Finding(path, f"`{kind}` would arrive as `{other}`; {advice}")
    return None


def naive_datetime(value: object, path: str) -> Finding | None:
    """Say where a datetime without a time zone is; None if there is none."""
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            return None
        advice = "write datetime.now(UTC) or datetime(…, tzinfo=UTC)"
        return Finding(path, f"{value!r} has no time zone and would mean another time on another machine: {advice}")
    return _first(naive_datetime(part, where) for where, part in parts(value, path))


def parts(value: object, path: str) -> Iterator[tuple[str, object]]:
    """Give what a value is made of, each part with its path."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield f"{path}.{key}" if isinstance(key, str) and key.isidentifier() else f"{path}[{key!r}]", part
    elif isinstance(value, (list, tuple, deque)):
        for at, part in enumerate(value):
            yield f"{path}[{at}]", part
    elif isinstance(value, AbstractSet):
        for part in value:
            yield f"{path}{{…}}", part
    else:
        for name in field_names(value):
            yield f"{path}.{name}", getattr(value, name)


def field_names(value: Any) -> tuple[str, ...]:
    """Name the fields of a dataclass or Struct; none of anything else."""
    if isinstance(value, msgspec.Struct):
        return value.__struct_fields__
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return tuple(field.name for field in dataclasses.fields(value))
    return ()


def _same(sent: object, arrived: object) -> bool:
    try:
        return bool(sent == arrived)
    except Exception:
        return False


def _in_mapping(sent: Mapping[Any, object], arrived: Mapping[Any, object], path: str) -> Finding | None:
    for key in sent:
        if key not in arrived:
            kind = type(key).__name__
            return Finding(path, f"the key {key!r} would arrive as text; annotate the parameter `dict[{kind}, …]`")
    pairs = zip(sent, parts(sent, path), strict=True)
    return _first(difference(part, arrived[key], where) for key, (where, part) in pairs)


def _first(found: Iterable[Finding | None]) -> Finding | None:
    return next((one for one in found if one is not None), None)
