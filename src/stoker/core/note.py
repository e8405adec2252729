"""What a running attempt leaves with its job for others to see, and for the next attempt."""

from __future__ import annotations

import msgspec

from stoker.core.job import Claim, JobId, Token


class Note(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Progress, checkpoint and log lines of a running job, as JSON text; None leaves what is kept.

    Guarded by (id, token).
    """

    id: JobId
    token: Token
    progress: str | None = None
    checkpoint: str | None = None
    lines: str | None = None
    """All that the job keeps of its attempts' logs (see `core.lines`)."""

    @classmethod
    def of(cls, claim: Claim, progress: str | None = None, checkpoint: str | None = None) -> Note:
        """Make the note of a claim's holder."""
        return cls(claim.id, claim.token, progress, checkpoint)

    def after(self, earlier: Note) -> Note:
        """Give this note with what an earlier one said and this does not."""
        progress = earlier.progress if self.progress is None else self.progress
        checkpoint = earlier.checkpoint if self.checkpoint is None else self.checkpoint
        lines = earlier.lines if self.lines is None else self.lines
        return Note(self.id, self.token, progress, checkpoint, lines)

    @property
    def size(self) -> int:
        """How many characters it carries."""
        return len(self.progress or "") + len(self.checkpoint or "") + len(self.lines or "")
