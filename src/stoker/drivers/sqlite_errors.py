"""What SQLite's errors mean to whoever called."""

from __future__ import annotations

import sqlite3
from typing import Final

from stoker.errors import SchemaOutdated, StoreError, StoreUnavailable

_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_REASONS: Final = {
    sqlite3.SQLITE_BUSY: "another process kept the database locked for longer than busy_timeout",
    sqlite3.SQLITE_LOCKED: "another connection kept a table locked for longer than busy_timeout",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk does not answer as it should (I/O error)",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened or made; does its folder exist, and may we write there?",
    sqlite3.SQLITE_CORRUPT: "the database file is damaged; restore it, or try `.recover` of the sqlite3 shell",
    sqlite3.SQLITE_NOTADB: "the file is not a SQLite database",
    sqlite3.SQLITE_READONLY: "the file or its folder may not be written",
    sqlite3.SQLITE_PERM: "access to the file is refused",
    sqlite3.SQLITE_AUTH: "access to the file is refused",
    sqlite3.SQLITE_NOMEM: "out of memory",
    sqlite3.SQLITE_PROTOCOL: "too many processes opened the file at once",
    sqlite3.SQLITE_NOLFS: "the file system does not take files as large as this",
    sqlite3.SQLITE_SCHEMA: "the schema was changed by somebody else",
}
_PASSING: Final = _BUSY | {sqlite3.SQLITE_FULL, sqlite3.SQLITE_SCHEMA}


def code_of(error: BaseException | None) -> int:
    """Give SQLite's primary result code of an error, 0 if it has none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def is_busy(error: sqlite3.Error) -> bool:
    """Tell whether another connection was in the way: nothing was done, and trying again may help."""
    return code_of(error) in _BUSY


def is_lasting(error: StoreError) -> bool:
    """Tell whether the connection is better opened anew."""
    return code_of(error.__cause__) not in _PASSING


def unavailable(error: sqlite3.Error, url: str, verb: str, *, uncertain: bool = False) -> StoreError:
    """Say in one line what is wrong with the store."""
    if "no such table: stoker_" in str(error) or "no such column" in str(error):
        return SchemaOutdated(f"{url} lacks stoker's tables; run: stoker migrate", store=url, verb=verb)
    reason = _REASONS.get(code_of(error), str(error))
    return StoreUnavailable(f"{url} is not available ({verb}): {reason}", store=url, verb=verb, uncertain=uncertain)
