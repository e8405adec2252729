"""pgmq itself, where nobody has installed it, and our own tables beside it.

pgmq's plain SQL needs no superuser. It is installed as Roadster's installer (the crate ``pgmq``) would: under its lock,
and with the row that tells it so. A pgmq that is there, as an extension or by that installer, is used as it is.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any, Final

from psycopg import Connection

from stoker.drivers.postgres_text import Texts
from stoker.errors import SchemaOutdated

VERSION: Final = "1.13.0"
_PGMQ: Final = f"pgmq {VERSION}"
# Not by to_regprocedure: a session may remember that there was none before somebody else made it.
_INSTALLED: Final = """
SELECT EXISTS (SELECT FROM pg_proc WHERE proname = 'create' AND pronamespace IN (
    SELECT oid FROM pg_namespace WHERE nspname = 'pgmq'))"""
# The crate's: whoever installs or upgrades holds it.
_THEIR_LOCK: Final = "SELECT pg_advisory_xact_lock(-9223372036854771659)"
_THEIR_TABLE: Final = """
CREATE SCHEMA IF NOT EXISTS pgmq;
CREATE TABLE IF NOT EXISTS pgmq.__pgmq_migrations (
    name text PRIMARY KEY NOT NULL,
    version text NOT NULL,
    run_at timestamptz NOT NULL DEFAULT clock_timestamp()
);"""
_THEIR_NOTE: Final = f"INSERT INTO pgmq.__pgmq_migrations (name, version) VALUES ('pgmq.sql', '{VERSION}');"  # noqa: S608

_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('stoker migrate ' || %s, 0))"
_TIMEOUTS: Final = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0"
# Not by to_regclass: in a transaction it may remember that there was none before somebody else made it.
_EXISTS: Final = "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = %s AND tablename = 'migration')"
_NOTES: Final = "CREATE TABLE IF NOT EXISTS stoker.migration (name text PRIMARY KEY, at timestamptz NOT NULL)"


@cache
def migrations() -> dict[str, str]:
    """Give the SQL of each migration of our own by its name, in order."""
    folder = files("stoker.stores.pgmq") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return {name.removesuffix(".sql"): (folder / name).read_text(encoding="utf-8") for name in names}


def pgmq_script() -> str:
    """Give the SQL that installs pgmq."""
    text = (files("stoker.stores.pgmq") / "pgmq.sql").read_text(encoding="utf-8")
    return f"{_THEIR_LOCK};\n{_THEIR_TABLE}\n{text.rstrip()}\n{_THEIR_NOTE}\n"


def pending(connection: Connection[Any], texts: Texts) -> list[str]:
    """Name what `migrate` would apply; only reads."""
    missing = [] if _value(connection, _INSTALLED) else [_PGMQ]
    return missing + _pending_of_ours(connection, texts)


def migrate(connection: Connection[Any], texts: Texts) -> list[str]:
    """Apply what is pending and name it. Many processes may do so at once: one does, the others wait for it."""
    if not pending(connection, texts):
        return []
    applied: list[str] = []
    if not _value(connection, _INSTALLED):
        with connection.transaction():
            connection.execute(_TIMEOUTS)
            connection.execute(_THEIR_LOCK)
            # Looked up again: whoever had the lock until now may have installed it.
            if not _value(connection, _INSTALLED):
                connection.execute(pgmq_script().encode())
                applied.append(_PGMQ)
    with connection.transaction():
        connection.execute(_TIMEOUTS)
        connection.execute(_LOCK, (texts.schema,))
        names = _pending_of_ours(connection, texts)
        if len(names) == len(migrations()):
            connection.execute(_preamble(texts).encode())
        for name in names:
            connection.execute(_script(name, texts).encode())
    return applied + names


def whole_script(texts: Texts) -> str:
    """Give all of it as one script, for a database without pgmq."""
    ours = [_script(name, texts) for name in migrations()]
    return "\n".join(["BEGIN;", pgmq_script(), _preamble(texts), *ours, "COMMIT;"])


def outdated(missing: list[str], url: str) -> SchemaOutdated:
    """Make the error that says what to do."""
    return SchemaOutdated(f"{url} lacks {', '.join(missing)}; run: stoker migrate", store=url, verb="open")


def _pending_of_ours(connection: Connection[Any], texts: Texts) -> list[str]:
    if not _value(connection, _EXISTS, texts.schema):
        return list(migrations())
    rows = connection.execute(texts.plain("SELECT name FROM stoker.migration").encode()).fetchall()
    return [name for name in migrations() if name not in {row[0] for row in rows}]


def _script(name: str, texts: Texts) -> str:
    note = f"INSERT INTO stoker.migration (name, at) VALUES ('{name}', now());"  # noqa: S608 - a file's name
    return texts.plain(f"{migrations()[name].rstrip()}\n{note}\n")


def _preamble(texts: Texts) -> str:
    return texts.plain(f'CREATE SCHEMA IF NOT EXISTS "{texts.schema}";\n{_NOTES};\n')


def _value(connection: Connection[Any], text: str, *params: object) -> Any:
    row = connection.execute(text.encode(), params or None).fetchone()
    return None if row is None else row[0]
