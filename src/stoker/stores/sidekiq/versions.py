"""Where Sidekiq's versions, from 5 to 8, differ in what they write: all of it is read, and one form of each written.

Not here are the names of ActiveJob's wrapper, which need no knowing (its real class is in ``wrapped``), and the keys of
CurrentAttributes, which stay as they are.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from typing import Final

import msgspec

from stoker.core.duration import SECOND
from stoker.stores.sidekiq.urls import Stamps

_FIRST_MILLIS: Final = 100_000_000_000
"""Integers from here on are milliseconds; below they are seconds of year 5138 at the latest."""
_LONGEST_TRACE: Final = 1_000_000
"""Bytes of a trace that are unpacked; who packs more means harm."""


def instant(value: float | None, otherwise: int) -> int:
    """Read a time, in microseconds: float seconds until 7, integer milliseconds in 8, from others whole seconds."""
    if value is None:
        return otherwise
    if isinstance(value, int) and value >= _FIRST_MILLIS:
        return value * 1000
    return round(value * SECOND)


def stamp(at: int, stamps: Stamps) -> bytes:
    """Write a time as the chosen versions do. Readers of 7 and before take an integer for seconds."""
    return b"%d" % (at // 1000) if stamps == "millis" else b"%.6f" % (at / SECOND)


def packed_trace(lines: Sequence[str]) -> str:
    """Write a trace: JSON lines, deflated, in base64 on one line, which the readers of 6 to 8 take."""
    return base64.b64encode(zlib.compress(msgspec.json.encode(lines))).decode()


def trace_of(written: str | Sequence[str] | None) -> str:
    """Read a trace: packed, with line breaks in it until 7.1, or plain lines; ``""`` for what is none."""
    if written is None:
        return ""
    if not isinstance(written, str):
        return "\n".join(written)
    try:
        packed = base64.b64decode(written)
        lines = msgspec.json.decode(zlib.decompressobj().decompress(packed, _LONGEST_TRACE), type=list[str])
    except (ValueError, zlib.error, msgspec.MsgspecError):
        return ""
    return "\n".join(lines)


def work_names(identity: str) -> list[str]:
    """Give the keys of a process's work in progress: since 6.4.2, and until 6.4.1."""
    return [f"{identity}:work", f"{identity}:workers"]
