"""Sessions: how a connection is opened and made ready, sync and async."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict

from stoker.drivers.postgres_exchange import AnyConnection, Link
from stoker.errors import ConfigurationError

_DEFAULTS: Final = {
    "application_name": "stoker",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
# Rows are found by indexes made for it. A plan that was cached while a table was empty must not read all of it later.
_SETTINGS: Final = """
SET default_transaction_isolation = 'read committed';
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET jit = off;
SET lock_timeout = '10s'"""
OLDEST: Final = 130_000


def parameters(conninfo: str) -> dict[str, Any]:
    """Give libpq's parameters, with defaults under which a dead server is noticed within seconds."""
    try:
        return _DEFAULTS | conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError as error:
        raise ConfigurationError(f"not a PostgreSQL URL: {str(error).strip()}") from error


def open_link(params: Mapping[str, Any]) -> Link:
    """Connect and make ready."""
    connection = psycopg.connect(**params, autocommit=True, client_encoding="utf8")
    try:
        pid = connection.execute("SELECT pg_backend_pid()").fetchone()
        link = _link(connection, pid)
        if not link.pooled:
            connection.execute(_SETTINGS)
    except BaseException:
        connection.pgconn.finish()
        raise
    return link


async def aopen_link(params: Mapping[str, Any]) -> Link:
    """Connect and make ready without blocking the event loop."""
    connection = await AsyncConnection.connect(**params, autocommit=True, client_encoding="utf8")
    try:
        pid = await (await connection.execute("SELECT pg_backend_pid()")).fetchone()
        link = _link(connection, pid)
        if not link.pooled:
            await connection.execute(_SETTINGS)
    except BaseException:
        connection.pgconn.finish()
        raise
    return link


def _link(connection: AnyConnection, pid: Any) -> Link:
    if connection.info.server_version < OLDEST:
        raise ConfigurationError(
            f"stoker needs PostgreSQL 13 or newer; {connection.info.host} has {connection.info.server_version // 10000}"
        )
    # A pooler answers with a key of its own instead of the server process that happens to serve us now.
    pooled = pid[0] != connection.info.backend_pid
    return Link(connection, pooled=pooled)
