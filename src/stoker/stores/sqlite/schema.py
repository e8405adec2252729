"""The schema and its migrations: numbered SQL files, applied in order, each once and as one unit."""

from __future__ import annotations

import sqlite3
from functools import cache
from importlib.resources import files
from typing import Final

from stoker.errors import SchemaOutdated

_NOTES: Final = "CREATE TABLE IF NOT EXISTS stoker_migration (name TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID"
_APPLIED: Final = "SELECT CAST(name AS BLOB) AS name FROM stoker_migration"
_EXISTS: Final = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'stoker_migration'"


@cache
def migrations() -> dict[str, str]:
    """Give the SQL of each migration by its name, in order."""
    folder = files("stoker.stores.sqlite") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return {name.removesuffix(".sql"): (folder / name).read_text(encoding="utf-8") for name in names}


def pending(connection: sqlite3.Connection) -> list[str]:
    """Name what `migrate` would apply; only reads."""
    # A cursor made directly and BLOBs, because the connection may be a caller's, with factories of its own.
    cursor = sqlite3.Cursor(connection)
    if cursor.execute(_EXISTS).fetchone() is None:
        return list(migrations())
    applied = {name.decode() for (name,) in cursor.execute(_APPLIED)}
    return [name for name in migrations() if name not in applied]


def outdated(missing: list[str], url: str) -> SchemaOutdated:
    """Make the error that says what to do."""
    return SchemaOutdated(
        f"{url} has no up-to-date schema ({', '.join(missing)} missing); run: stoker migrate", store=url, verb="open"
    )


def migrate(connection: sqlite3.Connection, now: int) -> list[str]:
    """Apply what is pending and name it. Many processes may do so at once: each migration is applied by one.

    Raises sqlite3.OperationalError (busy) when another one is at it; nothing was done then.
    """
    if not pending(connection):
        return []
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Looked up again: whoever had the lock until now may have applied them.
        names = pending(connection)
        apply(connection, names, now)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return names


def apply(connection: sqlite3.Connection, names: list[str], now: int) -> None:
    """Apply migrations inside the open transaction."""
    cursor = sqlite3.Cursor(connection)
    cursor.execute(_NOTES)
    for name in names:
        for statement in statements(migrations()[name]):
            cursor.execute(statement)
        cursor.execute("INSERT INTO stoker_migration (name, at) VALUES (?, ?)", (name, now))


def statements(script: str) -> list[str]:
    """Split a script; `executescript` would not do, because it commits whatever transaction is open."""
    found: list[str] = []
    lines: list[str] = []
    for line in script.splitlines():
        lines.append(line)
        text = "\n".join(lines)
        if sqlite3.complete_statement(text):
            found.append(text)
            lines = []
    return found
