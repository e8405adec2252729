"""What `stoker doctor` looks for where queues of pgmq are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from psycopg import Connection

from stoker.core.finding import Finding
from stoker.stores.pgmq.look import LISTED
from stoker.stores.pgmq.periodic import periodic_hash
from stoker.stores.pgmq.urls import PgmqUrl
from stoker.stores.pgmq.work import NAME, on_tables, order_index
from stoker.stores.postgres_health import examine as examine_server

_INSTALLED: Final = "SELECT to_regprocedure('pgmq.create(text)') IS NOT NULL"
_EXTENSION: Final = "SELECT extversion FROM pg_extension WHERE extname = 'pgmq'"
_TRACKED: Final = "SELECT to_regclass('pgmq.__pgmq_migrations') IS NOT NULL"
_VERSION: Final = "SELECT version FROM pgmq.__pgmq_migrations ORDER BY run_at DESC, name DESC LIMIT 1"
_UNLOGGED: Final = "SELECT lower(queue_name) FROM pgmq.meta WHERE is_unlogged ORDER BY 1"
_DOUBLE: Final = """
SELECT string_agg(queue_name, ', ' ORDER BY queue_name) FROM pgmq.meta GROUP BY lower(queue_name) HAVING count(*) > 1"""
_NAMELESS: Final = f"SELECT count(*) FROM (SELECT FROM {{table}} AS m WHERE {NAME} IS NULL LIMIT 1000) AS found"  # noqa: S608
_ENTRIES: Final = """
SELECT message->'metadata'->>'worker_name', message->'periodic'->>'schedule',
    (message->'args')::text, message->'periodic'->>'hash'
FROM pgmq.q_periodic ORDER BY msg_id LIMIT 1000"""
_ROUSED: Final = """
SELECT EXISTS (SELECT FROM pg_trigger
        WHERE tgrelid = %s::regclass AND tgname = 'trigger_notify_queue_insert_listeners'),
    to_regprocedure('pgmq.enable_notify_insert(text, integer)') IS NOT NULL,
    to_regclass('pgmq."q_' || %s || '_stoker_idx"') IS NULL, reltuples FROM pg_class WHERE oid = %s::regclass"""
MANY: Final = 10_000


def examine(connection: Connection[Any], schema: str, url: PgmqUrl) -> list[Finding]:
    """Look at the server, at pgmq and at the queues."""
    return [*examine_server(connection, schema), *_pgmq(connection, url)]


def _pgmq(connection: Connection[Any], url: PgmqUrl) -> Iterator[Finding]:
    if not _one(connection, _INSTALLED):
        yield Finding("fail", "pgmq", "not installed", "run: stoker migrate")
        return
    extension = _one(connection, _EXTENSION)
    tracked = _one(connection, _VERSION) if _one(connection, _TRACKED) else None
    how = "as an extension" if extension else "by its SQL, tracked for Roadster" if tracked else "by its SQL, untracked"
    yield Finding("ok", "pgmq", f"{extension or tracked or 'some version'}, installed {how}")
    if not extension and not tracked:
        yield Finding(
            "warn",
            "pgmq",
            "Roadster's installer would try to install it again, and fail",
            "note its version: INSERT INTO pgmq.__pgmq_migrations (name, version) VALUES ('pgmq.sql', '…')",
        )
    for (names,) in connection.execute(_DOUBLE).fetchall():
        yield Finding("fail", "queues", f"{names} are one table", "drop none of them; use one name")
    unlogged = {row[0] for row in connection.execute(_UNLOGGED).fetchall()}
    listed = LISTED.replace(":prefix::text", "%(prefix)s::text").replace("'%'", "'%%'")
    yield from _periodic(connection)
    for (table,) in connection.execute(listed.encode(), {"prefix": url.prefix}).fetchall():
        if table in unlogged:
            yield Finding(
                "fail", f"queue {table}", "unlogged: a crash of the server loses its messages", "make a new one"
            )
        yield from _queue(connection, table)


def _periodic(connection: Connection[Any]) -> Iterator[Finding]:
    """Look at Roadster's periodic jobs: it knows each by a hash, and deletes those whose hash it has not."""
    if not _one(connection, "SELECT to_regclass('pgmq.q_periodic') IS NOT NULL"):
        return
    for name, schedule, args, hashed in connection.execute(_ENTRIES).fetchall():
        if hashed is None or schedule is None or name is None:
            problem = "is no periodic job: Roadster deletes it"
        elif hashed != str(periodic_hash(name, schedule, msgspec.json.decode(args or "null"))):
            problem = f"{name}, {schedule}: its hash is not that of its name, schedule and arguments"
        else:
            continue
        yield Finding("warn", "queue periodic", problem, "delete this message: Roadster fills the queue by itself")


def _queue(connection: Connection[Any], table: str) -> Iterator[Finding]:
    if nameless := _one(connection, on_tables(_NAMELESS, table)):
        more = " or more" if nameless == 1000 else ""
        yield Finding(
            "warn",
            f"queue {table}",
            f"{nameless}{more} messages have no metadata.worker_name: nobody performs them",
            "read them with pgmq.read, and delete or archive them",
        )
    name = on_tables("{table}", table)
    ((roused, could, unordered, rows),) = connection.execute(_ROUSED, (name, table, name)).fetchall()
    if unordered and rows > MANY:
        yield Finding(
            "warn",
            f"queue {table}",
            "claims sort what became available in the same instant",
            order_index(table).replace("INDEX", "INDEX CONCURRENTLY", 1),
        )
    if could and not roused:
        yield Finding(
            "ok",
            f"queue {table}",
            f"what others send is found by polling; SELECT pgmq.enable_notify_insert('{table}') would wake workers",
        )


def _one(connection: Connection[Any], text: str) -> Any:
    row = connection.execute(text.encode()).fetchone()
    return None if row is None else row[0]
