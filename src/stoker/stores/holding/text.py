"""JSON objects as text: their keys and values as they are written, and other values for some keys."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec
from msgspec import Raw
from msgspec.json import Decoder

T = TypeVar("T")
_SPACES: Final = re.compile(r"[ \t\r\n]*")


def edited(payload: bytes, changes: Mapping[str, bytes | None]) -> bytes:
    """Give a job with other values for some keys; None takes one away, all others stay as they are written."""
    fields = top_level(payload)
    for name, value in changes.items():
        if value is None:
            fields.pop(name, None)
        else:
            fields[name] = value
    return b"{%s}" % b",".join(b"%s:%s" % (msgspec.json.encode(name), value) for name, value in fields.items())


def lenient(payload: bytes, decoder: Decoder[T]) -> T:
    """Read an object whose ``args`` may hold what only others read: lone surrogates, and numbers without end."""
    try:
        return decoder.decode(payload)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        fields = top_level(payload)
        args = fields.pop("args")
        return msgspec.convert(
            {name: json.loads(value) for name, value in fields.items()} | {"args": Raw(args)}, decoder.type
        )


def top_level(payload: bytes) -> dict[str, bytes]:
    """Give the keys of an object and their values as they are written; ValueError where it is none."""
    try:
        return {name: bytes(value) for name, value in msgspec.json.decode(payload, type=dict[str, Raw]).items()}
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        return _walked(payload.decode())


def _walked(text: str) -> dict[str, bytes]:
    """Do the same, slowly, for what is stricter read than written: lone surrogates."""
    decoder = json.JSONDecoder()
    fields: dict[str, bytes] = {}
    place = _skipped(text, 0, "{")
    while text[place] != "}":
        name, place = decoder.raw_decode(text, place)
        start = _skipped(text, place, ":")
        _, end = decoder.raw_decode(text, start)
        fields[name] = text[start:end].encode()
        place = _skipped(text, end)
        if text[place] != "}":
            place = _skipped(text, place, ",")
    return fields


def _skipped(text: str, place: int, sign: str = "") -> int:
    """Go over spaces, a sign, and spaces; ValueError where the sign is another."""
    found = _SPACES.match(text, place)
    place = found.end() if found else place
    if not sign:
        return place
    if text[place : place + 1] != sign:
        raise ValueError(f"no {sign} at character {place}")
    return _skipped(text, place + 1)
