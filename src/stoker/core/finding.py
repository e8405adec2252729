"""What an examination finds: one line each for people, one value each for programs."""

from __future__ import annotations

from typing import Literal

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """Something looked at: in order, worth a thought, or wrong."""

    level: Literal["ok", "warn", "fail"]
    subject: str
    text: str
    advice: str = ""
    """What to do about it."""
