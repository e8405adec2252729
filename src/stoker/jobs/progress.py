"""How far an attempt has come, and where the next one may go on: as handlers say it, and as it is stored."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from stoker.core.job import Claim
from stoker.jobs.carried import carried

LONGEST_NOTE: Final = 200
"""Characters of a progress note; what is longer is cut."""
LARGEST_CHECKPOINT: Final = 1_048_576
"""Characters of a checkpoint's JSON."""


class Notebook(Protocol):
    """Takes what attempts note, and brings it to the store soon; a worker's, called from any thread."""

    def write(self, claim: Claim, *, progress: str | None = None, checkpoint: str | None = None) -> None:
        """Take JSON texts; NotSupported where the store keeps no notes."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job has come."""

    fraction: float
    """From 0 to 1."""
    note: str = ""

    @classmethod
    def of(cls, text: str | None) -> Progress | None:
        """Read it from what the store keeps; None also for what nobody wrote on purpose."""
        try:
            return None if text is None else msgspec.json.decode(text, type=cls)
        except msgspec.MsgspecError:
            return None

    def __str__(self) -> str:
        return f"{self.fraction:.0%} {self.note}".rstrip()


def written_progress(fraction: float, note: str) -> str:
    """Write progress as JSON text. Raises TypeError and ValueError for what is none."""
    if isinstance(fraction, bool) or not isinstance(fraction, (int, float)):
        raise TypeError(f"ctx.progress: {fraction!r} is no number; give the part that is done, from 0 to 1")
    if not math.isfinite(fraction) or not 0 <= fraction <= 1:
        raise ValueError(f"ctx.progress: {fraction!r} is not from 0 to 1; of 30 of 75 rows write 30 / 75")
    if not isinstance(note, str):
        raise TypeError(f"ctx.progress: the note {note!r} is no text")
    short = note if len(note) <= LONGEST_NOTE else f"{note[: LONGEST_NOTE - 1]}…"
    plain = short.encode("utf-8", "backslashreplace").decode()
    return msgspec.json.encode(Progress(float(fraction), plain)).decode()


def written_checkpoint(value: object) -> str:
    """Write a checkpoint as JSON text. Raises TypeError for what is not JSON, ValueError for what is too large."""
    text, reason = carried(value, "checkpoint")
    if text is None:
        raise TypeError(f"ctx.checkpoint: the value is not JSON: {reason}")
    if len(text) > LARGEST_CHECKPOINT:
        raise ValueError(
            f"ctx.checkpoint: {len(text):,} characters of JSON, at most {LARGEST_CHECKPOINT:,}; "
            "keep a place to go on from (an id, an offset, a file's name), not the data"
        )
    return text
