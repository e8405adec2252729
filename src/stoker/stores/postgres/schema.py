"""The schema and its migrations: numbered SQL files, applied in order, each once and as one unit."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any, Final, LiteralString

from psycopg import Connection

from stoker.drivers.postgres_text import Texts
from stoker.errors import SchemaOutdated

# Whoever migrates holds it; a number of our own in PostgreSQL's space of advisory locks, with the schema's name.
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('stoker migrate ' || %s, 0))"
# Whatever the role's are: another process may be at it, and an index of a large table takes its time.
_TIMEOUTS: Final = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0"
# Not by to_regclass: in a transaction it may remember that there was none before somebody else made it.
_EXISTS: Final = "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = %s AND tablename = 'migration')"
_NOTES: Final = "CREATE TABLE IF NOT EXISTS stoker.migration (name text PRIMARY KEY, at timestamptz NOT NULL)"
_APPLIED: Final = "SELECT name FROM stoker.migration"
_NOTE: Final = "INSERT INTO stoker.migration (name, at) VALUES ('{}', now())"


@cache
def migrations() -> dict[str, str]:
    """Give the SQL of each migration by its name, in order."""
    folder = files("stoker.stores.postgres") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return {name.removesuffix(".sql"): (folder / name).read_text(encoding="utf-8") for name in names}


def script(name: str, texts: Texts) -> str:
    """Give a migration as a script for a schema, with the note that it was applied."""
    return texts.plain(f"{migrations()[name].rstrip()}\n{_NOTE.format(name)};\n")


def preamble(texts: Texts) -> str:
    """Give what comes before the first migration."""
    return texts.plain(f'CREATE SCHEMA IF NOT EXISTS "{texts.schema}";\n{_NOTES};\n')


def whole_script(texts: Texts) -> str:
    """Give all migrations as one script, to be applied as one transaction."""
    return "\n".join(["BEGIN;", preamble(texts), *(script(name, texts) for name in migrations()), "COMMIT;"])


def pending(connection: Connection[Any], texts: Texts) -> list[str]:
    """Name what `migrate` would apply; only reads."""
    if not _value(connection, _EXISTS, texts.schema):
        return list(migrations())
    applied = {row[0] for row in connection.execute(_literal(texts.plain(_APPLIED))).fetchall()}
    return [name for name in migrations() if name not in applied]


def migrate(connection: Connection[Any], texts: Texts) -> list[str]:
    """Apply what is pending and name it. Many processes may do so at once: one does, the others wait for it."""
    if not pending(connection, texts):
        return []
    with connection.transaction():
        connection.execute(_TIMEOUTS)
        connection.execute(_LOCK, (texts.schema,))
        # Looked up again: whoever had the lock until now may have applied them.
        names = pending(connection, texts)
        if len(names) == len(migrations()):
            connection.execute(_literal(preamble(texts)))
        for name in names:
            connection.execute(_literal(script(name, texts)))
    return names


def outdated(missing: list[str], url: str) -> SchemaOutdated:
    """Make the error that says what to do."""
    return SchemaOutdated(
        f"{url} has no up-to-date schema ({', '.join(missing)} missing); run: stoker migrate", store=url, verb="open"
    )


def _value(connection: Connection[Any], text: LiteralString, *params: object) -> Any:
    row = connection.execute(text, params).fetchone()
    return None if row is None else row[0]


def _literal(text: str) -> bytes:
    # Put together from files of this package and a name that `urls` has checked.
    return text.encode()
