"""Processes of this machine, as /proc shows them; where there is none, nothing is known."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_PARENT: Final = 1
_UTIME, _STIME = 11, 12
"""Places in /proc/PID/stat, counted from behind the name, which may contain anything."""


def title(pid: int) -> str:
    """Give the command line of a process, which servers overwrite with what they do; empty for one that is not here."""
    return _read(_PROC / str(pid) / "cmdline").replace("\0", " ").strip()


def parent(pid: int) -> int | None:
    """Give the process that started this one; None for one that is not here."""
    fields = _stat(pid)
    return int(fields[_PARENT]) if fields else None


def cpu_of_tree(root: int) -> dict[int, float]:
    """Give the CPU seconds of a process and of all that it started, by process id; empty where that cannot be told."""
    children: dict[int, list[int]] = {}
    for pid in _all():
        if (above := parent(pid)) is not None:
            children.setdefault(above, []).append(pid)
    spent: dict[int, float] = {}
    open_ends = [root]
    while open_ends:
        pid = open_ends.pop()
        if (seconds := _cpu(pid)) is not None:
            spent[pid] = seconds
        open_ends += children.get(pid, [])
    return spent


def spent_between(before: Mapping[int, float], after: Mapping[int, float]) -> float:
    """Give the CPU seconds between two readings; a process that ended in between counts for nothing."""
    return sum(seconds - before.get(pid, 0.0) for pid, seconds in after.items())


def _all() -> Iterator[int]:
    try:
        names = os.listdir(_PROC)  # noqa: PTH208 - names are all that is wanted
    except OSError:
        return
    yield from (int(name) for name in names if name.isdecimal())


def _cpu(pid: int) -> float | None:
    """Prefer nanoseconds, of all threads; clock ticks are too coarse for a server that idles."""
    exact = [_read(file).split() for file in _PROC.glob(f"{pid}/task/*/schedstat")]
    if exact and all(exact):
        return sum(int(fields[0]) for fields in exact) / 1e9
    fields = _stat(pid)
    return (int(fields[_UTIME]) + int(fields[_STIME])) / os.sysconf("SC_CLK_TCK") if fields else None


def _stat(pid: int) -> list[str]:
    return _read(_PROC / str(pid) / "stat").rpartition(")")[2].split()


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
