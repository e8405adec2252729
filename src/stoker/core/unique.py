"""Unique keys: a job that asks for one gets in only if nobody holds the key.

Rules: contract §2. The key is the hash of the job's name and of the chosen arguments in canonical JSON.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

OnConflict: TypeAlias = Literal["keep", "replace", "reschedule", "raise"]


class UniqueKey(msgspec.Struct, frozen=True):
    """A key as it is asked for at enqueue."""

    key: str
    states: tuple[str, ...] = ("scheduled", "available", "retryable")
    """While the holder is in one of these states the key is taken."""
    within: int | None = None
    """Microseconds from the enqueue during which the key stays taken, whatever becomes of the holder."""
    on_conflict: OnConflict = "keep"
    chosen: str = ""
    """What the key was made of, as canonical JSON, for stores that share keys with others; empty for all arguments."""
