"""How much memory this process has."""

from __future__ import annotations

import os


def resident() -> int:
    """Give the bytes that are in memory now; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 asked for often
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return _largest()


def _largest() -> int:
    """Give the most that it ever had, which is what other systems than Linux tell."""
    try:
        import resource
    except ImportError:
        return 0
    from sys import platform

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if platform == "darwin" else most * 1024
