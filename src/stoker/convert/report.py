"""What a conversion says: what was left to do by hand, what means something else now, and the new sources."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import unified_diff
from pathlib import Path
from typing import Literal

import msgspec


class Remark(msgspec.Struct, frozen=True, order=True):
    """Something to know about one line of the old source."""

    path: str
    line: int
    kind: Literal["left", "note"]
    """``left``: it was not converted, and has to be by hand. ``note``: it was, and means something else."""
    what: str
    advice: str = ""


class Converted(msgspec.Struct, frozen=True):
    """One file that changes."""

    path: Path
    old: str
    new: str

    def diff(self) -> str:
        """Give the change as a unified diff."""
        name = str(self.path)
        lines = unified_diff(
            self.old.splitlines(keepends=True), self.new.splitlines(keepends=True), f"a/{name}", f"b/{name}"
        )
        return "".join(lines)


class Conversion(msgspec.Struct, frozen=True):
    """All that a conversion found."""

    files: Sequence[Converted]
    remarks: Sequence[Remark]
    jobs: int
    """How many tasks became jobs."""
    calls: int
    """How many calls were rewritten."""

    @property
    def left(self) -> int:
        """How much there is to do by hand."""
        return sum(remark.kind == "left" for remark in self.remarks)
