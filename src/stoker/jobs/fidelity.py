"""What arrives must be what was sent: finds the place where a value would change on its way, or cannot go at all."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any, Final

import msgspec

_PLAIN: Final = (str, int, float, list, dict, type(None))
_BINARY: Final = (bytes, bytearray, memoryview)
_DEEPEST: Final = 900
_LONGEST_INTEGER: Final = 4_300
"""Digits; Python itself refuses to write or read a longer one unless told otherwise."""


def difference(sent: object, arrived: object, path: str) -> str | None:
    """Say where and how ``arrived`` is not what was sent; None if it is."""
    if _same(sent, arrived):
        return None
    if isinstance(sent, float) and not math.isfinite(sent):
        return f"{path}: {sent} is not JSON; send None or a text instead"
    if isinstance(sent, (int, float)) and isinstance(arrived, (int, float)):
        return f"{path}: {sent!r} would arrive as {arrived!r}, rounded"
    if isinstance(arrived, _BINARY) and not isinstance(sent, _BINARY):
        return f"{path}: expected `bytes`, got `{type(sent).__name__}`"
    if isinstance(sent, Mapping) and isinstance(arrived, Mapping):
        return _in_mapping(sent, arrived, path)
    if isinstance(sent, (list, tuple, deque)) and isinstance(arrived, (list, tuple)):
        return _first(
            difference(one, other, f"{path}[{at}]") for at, (one, other) in enumerate(zip(sent, arrived, strict=False))
        )
    if type(sent) is type(arrived) and (names := field_names(sent)):
        return _first(difference(getattr(sent, name), getattr(arrived, name), f"{path}.{name}") for name in names)
    if type(arrived) in _PLAIN and not isinstance(arrived, type(sent)):
        kind = type(sent).__name__
        return (
            f"{path}: `{kind}` would arrive as `{type(arrived).__name__}`; "
            f"annotate the parameter with `{kind}`, or send a `{type(arrived).__name__}`"
        )
    return None


def naive_datetime(value: object, path: str) -> str | None:
    """Say where a datetime without a time zone is; None if there is none."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            return (
                f"{path}: {value!r} has no time zone, so it would mean another time on another machine; "
                "write datetime.now(UTC) or datetime(…, tzinfo=…)"
            )
        return None
    return _first(naive_datetime(part, where) for where, part in parts(value, path))


def obstacle(value: object, path: str, depth: int = 0) -> str | None:
    """Say where a value is that cannot be encoded as JSON, and why; None if none is found."""
    if depth > _DEEPEST:
        return f"{path.partition('[')[0].partition('.')[0]}: it contains itself, or is nested too deeply"
    if isinstance(value, str):
        return _broken_text(value, path)
    if isinstance(value, int) and not -(10**_LONGEST_INTEGER) < value < 10**_LONGEST_INTEGER:
        return f"{path}: an integer of more than {_LONGEST_INTEGER} digits cannot be sent; send it as bytes or text"
    if isinstance(value, Mapping):
        for key in value:
            if isinstance(key, str) and (found := _broken_text(key, f"{path}: key")):
                return found
            if key is None or isinstance(key, (bool, tuple)):
                return f"{path}: {key!r} cannot be a key in JSON; use texts or numbers as keys"
    return _first(obstacle(part, where, depth + 1) for where, part in parts(value, path)) or _refusal(value, path)


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
    except Exception:  # noqa: BLE001 an array, a mock: whatever its == thinks of being compared
        return False


def _in_mapping(sent: Mapping[Any, object], arrived: Mapping[Any, object], path: str) -> str | None:
    for key in sent:
        if key not in arrived:
            kind = type(key).__name__
            return f"{path}: the key {key!r} would arrive as text; annotate the parameter `dict[{kind}, …]`"
    return _first(
        difference(part, arrived[key], where) for key, (where, part) in zip(sent, parts(sent, path), strict=True)
    )


def _broken_text(text: str, path: str) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return (
            f"{path}: the text has a lone surrogate ({text[error.start]!a} at {error.start}), which is not Unicode; "
            "it was probably decoded with surrogateescape: send bytes instead"
        )
    return None


def _refusal(value: object, path: str) -> str | None:
    if isinstance(value, (*_PLAIN, *_BINARY, tuple, AbstractSet)):
        return None
    try:
        msgspec.json.encode(value, enc_hook=_to_carried)
    except Exception as error:  # noqa: BLE001 a user's class may raise anything
        return f"{path}: {error}"
    return None


def _to_carried(value: object) -> object:
    from stoker.jobs.carriers import to_carried

    return to_carried(value)


def _first(found: Iterable[str | None]) -> str | None:
    return next((one for one in found if one is not None), None)
