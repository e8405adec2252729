"""SQLite and fork: no open connection may be in a process that forks.

A child that inherits one shares the library's notes about file locks: it believes to hold locks that only its parent
holds, even on connections it opens itself, and the parent may then delete the log under it. So drivers close before a
fork and open again after it.
"""

from __future__ import annotations

import sqlite3


def abandon(connection: sqlite3.Connection) -> None:
    """Keep an inherited connection from ever being closed: closing it would give up its parent's locks."""
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
