"""Roadster's hash of a periodic job, by which it knows one again in the queue ``periodic``."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

_MASK: Final = 0xFFFFFFFFFFFFFFFF
_WORD: Final = struct.Struct("<Q")
_TAGS: Final = {"null": 0, "bool": 1, "number": 2, "string": 3, "array": 4, "object": 5}
_STARTS: Final[tuple[int, ...]] = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)


def periodic_hash(worker_name: str, schedule: str, args: object) -> int:
    """Give the hash of a worker's name, its schedule as the cron crate writes it, and its arguments.

    Rust's SipHash-1-3 with zero keys over what serde_json's value hashes of itself. TypeError for what is not JSON.
    """
    return _siphash(b"".join([_text(worker_name), _text(schedule), *_value(args)]))


def _text(value: str) -> bytes:
    return value.encode() + b"\xff"


def _value(value: object) -> Iterator[bytes]:
    match value:
        case None:
            yield _tag("null")
        case bool():
            yield _tag("bool") + bytes([value])
        case int():
            yield _tag("number") + _WORD.pack(value & _MASK)
        case float():
            yield _tag("number") + struct.pack("<d", value)
        case str():
            yield _tag("string") + _text(value)
        case list() | tuple():
            yield _tag("array") + _WORD.pack(len(value))
            for item in value:
                yield from _value(item)
        case dict():
            yield _tag("object") + _WORD.pack(len(value))
            for key in sorted(value):
                yield _text(key)
                yield from _value(value[key])
        case _:
            raise TypeError(f"{type(value).__name__} is not JSON")


def _tag(kind: str) -> bytes:
    return _WORD.pack(_TAGS[kind])


def _siphash(data: bytes) -> int:
    state: list[int] = list(_STARTS)
    whole = len(data) - len(data) % 8
    for (word,) in _WORD.iter_unpack(data[:whole]):
        _mix(state, word)
    _mix(state, (len(data) & 0xFF) << 56 | int.from_bytes(data[whole:], "little"))
    state[2] ^= 0xFF
    for _ in range(3):
        _round(state)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _mix(state: list[int], word: int) -> None:
    state[3] ^= word
    _round(state)
    state[0] ^= word


def _round(state: list[int]) -> None:
    a, b, c, d = state
    a = (a + b) & _MASK
    b = _turned(b, 13) ^ a
    a = _turned(a, 32)
    c = (c + d) & _MASK
    d = _turned(d, 16) ^ c
    a = (a + d) & _MASK
    d = _turned(d, 21) ^ a
    c = (c + b) & _MASK
    b = _turned(b, 17) ^ c
    c = _turned(c, 32)
    state[:] = a, b, c, d


def _turned(word: int, bits: int) -> int:
    return (word << bits | word >> (64 - bits)) & _MASK
