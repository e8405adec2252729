"""Why a value cannot be written as JSON: finds the place, after the encoder has said no."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec

from stoker.jobs.carriers import to_carried
from stoker.jobs.fidelity import BINARY, PLAIN, Finding, parts

_DEEPEST: Final = 900
_MOST_DIGITS: Final = 4_300
"""Python itself refuses to write or read a longer integer unless told otherwise."""
_TOO_LONG: Final = 10**_MOST_DIGITS


def obstacle(value: object, path: str) -> Finding | None:
    """Give the first part of a value that cannot be written; None if none is found."""
    return _search(value, path, _cannot_be_written)


def not_finite(value: object, path: str) -> Finding | None:
    """Give the first NaN or infinity in a value, which the encoder would write as null."""
    return _search(value, path, _is_not_finite)


def _search(value: object, path: str, complaint: Callable[[object], str | None]) -> Finding | None:
    left = [(path, value, 0)]
    while left:
        where, part, depth = left.pop()
        if depth > _DEEPEST:
            return Finding(path, "it contains itself, or is nested too deeply")
        reason = complaint(part)
        if reason is not None:
            return Finding(where, reason)
        left.extend(reversed([(at, inner, depth + 1) for at, inner in parts(part, where)]))
    return None


def _is_not_finite(value: object) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value} is not JSON; give None or a text instead"
    return None


def _cannot_be_written(value: object) -> str | None:
    if isinstance(value, str):
        return _broken_text(value)
    if isinstance(value, int):
        fits = -_TOO_LONG < value < _TOO_LONG
        return None if fits else f"an integer of more than {_MOST_DIGITS} digits: send it as bytes or text"
    if isinstance(value, Mapping):
        return next((found for key in value if (found := _bad_key(key)) is not None), None)
    if isinstance(value, (*PLAIN, *BINARY, tuple, AbstractSet)):
        return None
    try:
        msgspec.json.encode(value, enc_hook=to_carried)
    except (UnicodeEncodeError, RecursionError):
        return None  # one of its parts: the search will come to it
    except Exception as error:
        return str(error)
    return None


def _bad_key(key: object) -> str | None:
    if isinstance(key, str):
        return _broken_text(key)
    if key is None or isinstance(key, (bool, tuple)):
        return f"{key!r} cannot be a key in JSON: use texts or numbers as keys"
    return None


def _broken_text(text: str) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return (
            f"the text has a lone surrogate ({text[error.start]!a} at {error.start}), which is not Unicode; "
            "it was probably decoded with surrogateescape: send bytes instead"
        )
    return None
