"""Durations as users write them, and as stores keep them (integer microseconds)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias

from stoker.errors import ConfigurationError

Duration: TypeAlias = timedelta | str | int | float
"""A length of time: ``timedelta``, ``"1h30m"`` (ms s m h d w), or a number of seconds."""

Keep: TypeAlias = Duration | Literal["forever"]
"""How long something is kept: a duration, ``"forever"``, or ``0`` for not at all."""

SECOND: Final = 1_000_000
_UNITS: Final = {
    "ms": 1_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
    "d": 86_400 * SECOND,
    "w": 604_800 * SECOND,
}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)", re.ASCII)
_WHOLE = re.compile(r"(?:\d+(?:\.\d+)?\s*(?:ms|s|m|h|d|w)\s*)+", re.ASCII)
_LONGEST: Final = 100 * 365 * 86_400 * SECOND


def micros(value: Duration, what: str = "duration") -> int:
    """Give a duration in microseconds; ``what`` names it in the ConfigurationError for a bad or negative one."""
    match value:
        case timedelta():
            amount = value / timedelta(microseconds=1)
        case bool():
            raise ConfigurationError(_complaint(what, value))
        case int() | float():
            amount = value * SECOND
        case str():
            amount = _parsed(value.strip(), what)
        case _:
            raise ConfigurationError(_complaint(what, value))
    if not 0 <= amount <= _LONGEST:
        raise ConfigurationError(f"{what}: {value!r} is out of range: 0 to 100 years")
    return round(amount)


def seconds(value: Duration, what: str = "duration") -> float:
    """Give a duration in seconds."""
    return micros(value, what) / SECOND


def keep_micros(value: Keep, what: str = "keep") -> int | None:
    """Give a retention in microseconds; None for ``"forever"``."""
    return None if value == "forever" else micros(value, what)


def instant_micros(at: datetime, what: str = "at") -> int:
    """Give an aware datetime as microseconds since the epoch; ConfigurationError for anything else."""
    if not isinstance(at, datetime):
        raise ConfigurationError(f"{what}: {at!r} is no datetime; write {what}=datetime(…, tzinfo=UTC)")
    if at.tzinfo is None:
        raise ConfigurationError(
            f"{what}: {at!r} has no time zone; write {what}=datetime(…, tzinfo=UTC) or use delay= instead"
        )
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def as_datetime(instant: int) -> datetime:
    """Turn a store's instant (microseconds since the epoch) into an aware UTC datetime."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)


def in_words(duration: int) -> str:
    """Write microseconds the short way people read them: ``31 s``, ``4 min``, ``2.5 h``, ``3 d``."""
    amount = duration / SECOND
    for limit, unit, size in ((1, "ms", 0.001), (120, "s", 1), (7200, "min", 60), (172_800, "h", 3600)):
        if amount < limit:
            return f"{amount / size:.3g} {unit}"
    return f"{amount / 86_400:.3g} d"


def _parsed(text: str, what: str) -> float:
    if not _WHOLE.fullmatch(text):
        raise ConfigurationError(_complaint(what, text))
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def _complaint(what: str, value: object) -> str:
    return f'{what}: {value!r} is not a duration; write "30s", "5m", "1h30m", a timedelta or a number of seconds'
