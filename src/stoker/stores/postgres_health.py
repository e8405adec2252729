"""What `stoker doctor` looks for in a PostgreSQL server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

from psycopg import Connection

from stoker.core.finding import Finding

OLD_SECONDS: Final = 300
"""Age from which an open snapshot is worth a word."""
MOST_DEAD: Final = 1_000_000
MOST_SKEW: Final = 2.0

_SERVER: Final = """
SELECT current_setting('server_version'), current_setting('fsync'), current_setting('autovacuum'),
    current_setting('synchronous_commit'), extract(epoch FROM clock_timestamp())::float8, pg_backend_pid()"""

# Whatever may keep the server from cleaning up deleted rows, the oldest of each kind.
_SNAPSHOTS: Final = """
(SELECT 'session of process ' || pid || ' (' || coalesce(application_name, '') || ', ' || usename || ')',
    extract(epoch FROM now() - xact_start)::bigint, 'SELECT pg_terminate_backend(' || pid || ')'
FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
    AND datname = current_database() ORDER BY xact_start LIMIT 1)
UNION ALL
(SELECT 'prepared transaction ' || gid, extract(epoch FROM now() - prepared)::bigint,
    'ROLLBACK PREPARED ' || quote_literal(gid)
FROM pg_prepared_xacts WHERE database = current_database() ORDER BY prepared LIMIT 1)
UNION ALL
(SELECT 'unused replication slot ' || slot_name, NULL,
    'SELECT pg_drop_replication_slot(' || quote_literal(slot_name) || ')'
FROM pg_replication_slots WHERE NOT active LIMIT 1)"""

_DEAD: Final = """
SELECT relname, n_dead_tup, n_live_tup FROM pg_stat_user_tables
WHERE schemaname = %s AND n_dead_tup > %s AND n_dead_tup > n_live_tup ORDER BY n_dead_tup DESC"""


def examine(connection: Connection[Any], schema: str) -> list[Finding]:
    """Look at settings, clock, open snapshots and dead rows."""
    return [*_settings(connection), *_snapshots(connection), *_dead_rows(connection, schema)]


def _settings(connection: Connection[Any]) -> Iterator[Finding]:
    ((version, fsync, autovacuum, durable, clock, pid),) = connection.execute(_SERVER).fetchall()
    yield Finding("ok", "server", f"PostgreSQL {version}")
    if pid != connection.info.backend_pid:
        yield Finding(
            "warn",
            "connection",
            "a connection pooler stands between, so workers poll instead of being woken",
            "name a way around it in the URL: listen_url=",
        )
    if fsync == "off":
        yield Finding("fail", "fsync", "off: a power cut may destroy the database", "set fsync = on")
    if durable == "off":
        yield Finding(
            "warn",
            "synchronous_commit",
            "off: a crash of the server may lose the jobs of the last second",
            "set synchronous_commit = on for stoker's role",
        )
    if autovacuum == "off":
        yield Finding("fail", "autovacuum", "off: deleted jobs are never cleaned up", "set autovacuum = on")
    if abs(skew := clock - time.time()) > MOST_SKEW:
        yield Finding(
            "warn", "clock", f"the server's differs from this machine's by {skew:+.1f} s", "keep both in step (NTP)"
        )


def _snapshots(connection: Connection[Any]) -> Iterator[Finding]:
    for owner, age, remedy in connection.execute(_SNAPSHOTS):
        if age is None or age > OLD_SECONDS:
            since = "" if age is None else f" open for {age // 60} min"
            yield Finding(
                "warn",
                "old snapshot",
                f"{owner}{since}: deleted rows cannot be cleaned up meanwhile",
                f"end it: {remedy}",
            )


def _dead_rows(connection: Connection[Any], schema: str) -> Iterator[Finding]:
    for table, dead, live in connection.execute(_DEAD, (schema, MOST_DEAD)):
        yield Finding(
            "warn",
            f"table {table}",
            f"{dead:,} dead rows beside {live:,} live ones: autovacuum does not keep up",
            f"VACUUM {schema}.{table}, and look for what holds it up",
        )
