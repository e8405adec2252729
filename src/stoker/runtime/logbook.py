"""What one attempt logs, while it does."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from stoker.core.hiding import blanked
from stoker.core.job import Claim
from stoker.core.lines import AttemptLog, Lines, LogLine, written


class Logbook:
    """What one attempt logs, without the secrets in it."""

    def __init__(self, claim: Claim, most: int, hidden: tuple[str, ...], told: Callable[[Logbook], None]) -> None:
        self.claim = claim
        self._lines = Lines(most)
        self._hidden = hidden
        self._told = told
        self._adding = threading.Lock()
        self._earlier: tuple[AttemptLog, ...] | None = () if claim.starts < 2 else None
        self._closed = False

    def add(self, level: int, logger: str, text: str, at: float) -> None:
        """Take a line; from any thread."""
        plain = blanked(text, self._hidden).encode("utf-8", "backslashreplace").decode()
        line = LogLine(datetime.fromtimestamp(at, UTC), logging.getLevelName(level), logger, plain)
        with self._adding:
            if self._closed:
                return
            self._lines.add(line)
        self._told(self)

    def close(self) -> None:
        """Take no more: what the attempt left running is none of its lines."""
        with self._adding:
            self._closed = True

    @property
    def complete(self) -> bool:
        """Whether what earlier attempts logged is known."""
        return self._earlier is not None

    def learn(self, earlier: tuple[AttemptLog, ...]) -> None:
        """Hear what earlier attempts logged."""
        self._earlier = earlier

    def text(self) -> str:
        """Write down what this attempt and those before it logged."""
        with self._adding:
            return written([*(self._earlier or ()), self._lines.log(self.claim.attempt, self.claim.starts)])
