"""One value at a time: from what a person wrote to what the program uses, and back."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, NewType, TypeAlias

import msgspec

from stoker.core.duration import micros
from stoker.errors import ConfigurationError
from stoker.stores.urls import mask

Kept: TypeAlias = timedelta | Literal["forever"]
"""How long something is kept; ``timedelta(0)`` is not at all."""

Limit: TypeAlias = timedelta | None
"""A length of time, or None for no limit (written ``none``)."""

Mode: TypeAlias = Literal["queue", "async", "foreground"]
"""Where jobs run: in a worker through a store, in this process behind the caller's back, or in the caller."""

Bytes = NewType("Bytes", int)
"""A size in bytes, written ``"1 MiB"`` or as a number."""

Names: TypeAlias = tuple[str, ...]
"""Names, written as a list or with commas between them."""

Positive: TypeAlias = Annotated[timedelta, msgspec.Meta(description="more than 0")]
"""A length of time that is not 0."""

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
Natural: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
Fraction: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1)]
Port: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Raw: TypeAlias = Mapping[str, object]
"""Kept as it was written; nothing here looks inside."""

_MODES: Final[Mapping[str, Mode]] = {
    "queue": "queue",
    "async": "async",
    "foreground": "foreground",
    "backgroundqueue": "queue",
    "backgroundasync": "async",
    "foregroundblocking": "foreground",
}
_SIZE = re.compile(r"(\d+)\s*(B|KB|MB|GB|KiB|MiB|GiB)?", re.ASCII)
_SIZES: Final = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SECRET = re.compile(r"(?i)password|passwd|secret|token")


def converted(kind: Any, value: object, key: str) -> object:
    """Turn what was written under ``key`` into a value of ``kind``; ConfigurationError naming key and value."""
    if kind == timedelta:
        return _duration(value, key)
    if kind == Positive:
        return _positive(value, key)
    if kind == Limit:
        return None if value in (None, "none") else _duration(value, key)
    if kind in (Kept, Kept | None):
        return "forever" if value == "forever" else _duration(value, key)
    if kind == Mode:
        return _mode(value, key)
    if kind is Bytes:
        return _size(value, key)
    if kind == Names:
        return _names(value, key)
    if kind == Raw:
        return _raw(value, key)
    return _plain(kind, value, key)


def written(value: object, key: str = "", kind: Any = None) -> str:
    """Write a value the way a person would in a settings file, its secrets masked."""
    match value:
        case int() if kind is Bytes:
            return _size_text(value)
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case timedelta():
            return _duration_text(value)
        case str():
            return "***" if _SECRET.search(key) else mask(value)
        case Mapping():
            return json.dumps(_masked(value), default=str)
        case tuple():
            return json.dumps(list(value))
        case _:
            return str(value)


def _duration(value: object, key: str) -> timedelta:
    if not isinstance(value, timedelta | str | int | float):
        raise ConfigurationError(f'{key}: {written(value, key)} is not a duration; write "30s", "5m" or seconds')
    # The environment knows no numbers: STOKER_WORKERS__LEASE=2 is two seconds, like `lease: 2` in a file.
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?", value.strip(), re.ASCII):
        value = float(value)
    return timedelta(microseconds=micros(value, key))


def _positive(value: object, key: str) -> timedelta:
    if duration := _duration(value, key):
        return duration
    raise ConfigurationError(f"{key}: must be more than 0")


def _mode(value: object, key: str) -> Mode:
    if isinstance(value, str) and value.lower() in _MODES:
        return _MODES[value.lower()]
    raise ConfigurationError(f"{key}: {value!r} is no mode; write queue, async or foreground")


def _size(value: object, key: str) -> int:
    size = 0
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    elif isinstance(value, str) and (parts := _SIZE.fullmatch(value.strip())):
        size = int(parts[1]) * _SIZES[parts[2] or "B"]
    if size > 0:
        return size
    raise ConfigurationError(f'{key}: {value!r} is not a size; write "1 MiB", "512 KiB" or a number of bytes')


def _names(value: object, key: str) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    try:
        return msgspec.convert(value, tuple[str, ...])
    except msgspec.ValidationError:
        raise ConfigurationError(f"{key}: {value!r} is not a list of names") from None


def _raw(value: object, key: str) -> Mapping[str, object]:
    if isinstance(value, Mapping):
        return {str(name): item for name, item in value.items()}
    raise ConfigurationError(f"{key}: must be a mapping")


def _plain(kind: Any, value: object, key: str) -> object:
    if isinstance(value, bool) and kind is not bool:
        raise ConfigurationError(f"{key}: {written(value)} will not do; a boolean is not expected here")
    try:
        return msgspec.convert(value, kind, strict=not isinstance(value, str))
    except msgspec.ValidationError as error:
        complaint = str(error).replace("`", "")
        raise ConfigurationError(
            f"{key}: {written(value, key)} will not do; {complaint[:1].lower()}{complaint[1:]}"
        ) from None


def _duration_text(value: timedelta) -> str:
    rest, text = round(value / timedelta(microseconds=1)), ""
    for unit, size in (("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1000)):
        amount, rest = divmod(rest, size)
        text += f"{amount}{unit}" if amount else ""
    return text or "0s"


def _size_text(size: int) -> str:
    for unit in ("GiB", "MiB", "KiB"):
        if size and size % _SIZES[unit] == 0:
            return f"{size // _SIZES[unit]} {unit}"
    return str(size)


def _masked(value: object) -> object:
    match value:
        case Mapping():
            return {name: "***" if _SECRET.search(str(name)) else _masked(item) for name, item in value.items()}
        case list() | tuple():
            return [_masked(item) for item in value]
        case str():
            return mask(value)
        case _:
            return value
