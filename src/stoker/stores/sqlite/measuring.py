"""What `stoker bench` asks of a SQLite file beside the store's verbs: an old snapshot."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from stoker.stores.sqlite.urls import parse


@contextlib.contextmanager
def pinned(url: str, root: Path) -> Iterator[None]:
    """Hold a snapshot of an existing file open, so that its log cannot be started over meanwhile."""
    with contextlib.closing(sqlite3.connect(parse(url, root).path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        yield
        connection.execute("ROLLBACK")
