"""`Compress`: smaller bodies."""

from __future__ import annotations

import zlib
from typing import Final

from stoker.errors import ArgumentsError, Corrupt, Locked
from stoker.jobs.checks import whole
from stoker.jobs.sealing import BodyCodec, Coded

_MEBIBYTE: Final = 1024 * 1024


class Compress(BodyCodec):
    """Compresses bodies of at least ``above`` bytes with zlib, where that makes them smaller.

    A body of more than ``most`` bytes before compression is refused when enqueued, and not expanded when performed.
    """

    name = "zlib"

    def __init__(self, *, above: int = 1024, level: int = 6, most: int = 64 * _MEBIBYTE) -> None:
        self._above: int = whole(0)("Compress: above (bytes)", above)
        self._level: int = whole(0, 9)("Compress: level", level)
        self._most: int = whole(1)("Compress: most (bytes)", most)

    def encode(self, data: bytes, about: bytes) -> Coded | None:
        """Compress, if it is worth it."""
        if len(data) > self._most:
            raise ArgumentsError(
                f"{len(data)} bytes before compression, at most {self._most} (Compress(most=…)): "
                "put large data where the job can read it, and send its address"
            )
        if len(data) < self._above:
            return None
        compressed = zlib.compress(data, self._level)
        return Coded(compressed) if len(compressed) < len(data) else None

    def decode(self, data: bytes, note: str, about: bytes) -> bytes:
        """Expand, but never beyond the bound: a few bytes may claim to be gigabytes."""
        expander = zlib.decompressobj()
        try:
            expanded = expander.decompress(data, self._most)
        except zlib.error as error:
            raise Corrupt(f"what is said to be compressed is not: {error}") from error
        if expander.eof:
            return expanded
        if len(expanded) < self._most:
            raise Corrupt("what is compressed is cut off")
        raise Locked(f"expanded, it is more than {self._most} bytes (Compress(most=…))")

    def __repr__(self) -> str:
        return f"Compress(above={self._above}, level={self._level})"
