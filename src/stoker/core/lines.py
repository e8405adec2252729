"""Log lines of attempts as they are kept with their job: bounded, and how they are written down."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

MOST_LINES, LINES = 1000, 200
"""Of one attempt: as many as can be asked for, and as many as there are unless a number is given."""
LONGEST_LINE: Final = 4000
"""Characters of a line; what is longer is cut."""
MOST_CHARACTERS: Final = 65_536
"""Of the lines of one attempt."""
MOST_ATTEMPTS: Final = 10
MOST_CHARACTERS_OF_ALL: Final = 262_144
"""Of the lines of all attempts of a job."""
_AROUND: Final = 60
"""Characters that a line takes besides its message: time, level, logger."""


class LogLine(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One line that a handler logged."""

    at: datetime
    """Aware, in UTC, by the worker's machine."""
    level: str
    logger: str
    message: str
    """With the trace behind it, where the line has one."""

    def __str__(self) -> str:
        time = f"{self.at:%Y-%m-%dT%H:%M:%S}.{self.at.microsecond // 1000:03}Z"
        return f"{time} {self.level:7} {self.logger}: {self.message}"

    @property
    def size(self) -> int:
        """How many characters it is counted for."""
        return len(self.message) + _AROUND


class AttemptLog(msgspec.Struct, frozen=True, array_like=True):
    """What one attempt logged, the latest lines of it."""

    attempt: int
    """The number that people see; several starts have the same one where a job was snoozed or given back."""
    start: int
    """Which start of the job it was, from 1."""
    lost: int
    """How many lines were logged before these and are kept no longer."""
    lines: tuple[LogLine, ...]

    def __str__(self) -> str:
        gone = [f"({self.lost:,} earlier lines are not kept)"] if self.lost else []
        return "\n".join([f"attempt {self.attempt} (start {self.start})", *gone, *map(str, self.lines)])

    @property
    def size(self) -> int:
        """How many characters it is counted for."""
        return sum(line.size for line in self.lines)


class Lines:
    """The latest lines of a running attempt, within their bounds."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lines: deque[LogLine] = deque()
        self._size = 0
        self._lost = 0

    def add(self, line: LogLine) -> None:
        """Take a line; the oldest go when there are too many."""
        if len(line.message) > LONGEST_LINE:
            line = msgspec.structs.replace(line, message=f"{line.message[: LONGEST_LINE - 1]}…")
        self._lines.append(line)
        self._size += line.size
        while len(self._lines) > self._most or self._size > MOST_CHARACTERS:
            self._size -= self._lines.popleft().size
            self._lost += 1

    def log(self, attempt: int, start: int) -> AttemptLog:
        """Give them as what is kept."""
        return AttemptLog(attempt, start, self._lost, tuple(self._lines))


def written(logs: Sequence[AttemptLog]) -> str:
    """Write the logs of a job's attempts as JSON text: the latest ones, as far as they are kept."""
    kept: list[AttemptLog] = []
    size = 0
    for log in reversed(logs[-MOST_ATTEMPTS:]):
        size += log.size
        if kept and size > MOST_CHARACTERS_OF_ALL:
            break
        kept.append(log)
    return msgspec.json.encode(kept[::-1]).decode()


_logs: Final = msgspec.json.Decoder(tuple[AttemptLog, ...])


def read(text: str | None) -> tuple[AttemptLog, ...]:
    """Read them; none where there are none, or where the text is not what `written` wrote."""
    try:
        return () if text is None else _logs.decode(text)
    except msgspec.MsgspecError:
        return ()
