"""Sessions: how a connection is opened and made ready, and how it carries a unit, sync and async."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import psycopg
from psycopg import AsyncConnection, Connection
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.numeric import Int8BinaryDumper

from stoker.core.command import Command, Replies, Row, Sql, Value
from stoker.drivers.postgres_text import Texts
from stoker.errors import ConfigurationError, NotSupported

Statement: TypeAlias = tuple[bytes, dict[str, Value], bool | None]
"""Text, values, and False where it is not to be prepared."""
AnyConnection: TypeAlias = Connection[Any] | AsyncConnection[Any]

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
# Behind a pooler they are set anew for each unit, and end with it: the session is another client's in a moment.
_FOR_THE_UNIT: Final = """
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
    set_config('jit', 'off', true), set_config('lock_timeout', '10s', true)"""
_AND_QUICK: Final = ", set_config('synchronous_commit', 'off', true)"
OLDEST: Final = 130_000

DURABLE: Final = "RESET synchronous_commit"
QUICK: Final = "SET synchronous_commit = off"


class Link:
    """An open session, and what is known of it."""

    __slots__ = ("connection", "durable", "pooled")

    def __init__(self, connection: AnyConnection, *, pooled: bool) -> None:
        self.connection = connection
        self.pooled = pooled
        """A pooler stands between: a session's settings and prepared statements would be another client's."""
        self.durable = True

    @property
    def lost(self) -> bool:
        """Whether it cannot be used again."""
        return self.connection.closed

    def drop(self) -> None:
        """Close it at once, from any thread and without an event loop."""
        self.connection.pgconn.finish()


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


def exchange(link: Link, command: Command[Any], after: Sql | None, texts: Texts, now: int | None) -> Replies:
    """Run a command as a unit of its own; what comes ``after`` it is another."""
    connection = link.connection
    assert isinstance(connection, Connection)  # noqa: S101 - told to the type checkers
    if not link.pooled and link.durable != command.durable:
        connection.execute(DURABLE if command.durable else QUICK)
        link.durable = command.durable
    statements = [statement(command, step, texts, now) for step in command.steps]
    if len(statements) == 1 and not link.pooled:
        cursors = [connection.execute(*statements[0][:2], binary=True, prepare=statements[0][2])]
    else:
        cursors = unit(link, connection, command, statements)
    replies = [rows(cursor) for cursor in cursors]
    if after is not None:
        connection.execute(*statement(command, after, texts, now)[:2])
    return replies


async def aexchange(link: Link, command: Command[Any], after: Sql | None, texts: Texts, now: int | None) -> Replies:
    """Run a command as a unit of its own, on an async connection."""
    connection = link.connection
    assert isinstance(connection, AsyncConnection)  # noqa: S101 - told to the type checkers
    if not link.pooled and link.durable != command.durable:
        await connection.execute(DURABLE if command.durable else QUICK)
        link.durable = command.durable
    statements = [statement(command, step, texts, now) for step in command.steps]
    if len(statements) == 1 and not link.pooled:
        cursors = [await connection.execute(*statements[0][:2], binary=True, prepare=statements[0][2])]
    else:
        cursors = await aunit(link, connection, command, statements)
    replies = [await arows(cursor) for cursor in cursors]
    if after is not None:
        await connection.execute(*statement(command, after, texts, now)[:2])
    return replies


def unit(
    link: Link, connection: Connection[Any], command: Command[Any], statements: Sequence[Statement]
) -> list[psycopg.Cursor[Any]]:
    """Send statements in one exchange, of which all take effect or none."""
    with connection.pipeline():
        if link.pooled:
            connection.execute(_FOR_THE_UNIT if command.durable else _FOR_THE_UNIT + _AND_QUICK)
        return [connection.execute(text, params, binary=True, prepare=plan) for text, params, plan in statements]


async def aunit(
    link: Link, connection: AsyncConnection[Any], command: Command[Any], statements: Sequence[Statement]
) -> list[psycopg.AsyncCursor[Any]]:
    """Send statements in one exchange, of which all take effect or none."""
    async with connection.pipeline():
        if link.pooled:
            await connection.execute(_FOR_THE_UNIT if command.durable else _FOR_THE_UNIT + _AND_QUICK)
        return [await connection.execute(text, params, binary=True, prepare=plan) for text, params, plan in statements]


def statement(command: Command[Any], step: object, texts: Texts, now: int | None) -> Statement:
    """Give a step as psycopg takes it: text, values, and False where it is not to be prepared."""
    if not isinstance(step, Sql) or not isinstance(step.params, Mapping):
        raise NotSupported(f"{command.name} was made by another store than this one", verb=command.name)
    return texts.named(step.text), {**step.params, "now": now}, False if step.replan else None


def rows(cursor: psycopg.Cursor[Any]) -> list[Row]:
    """Give what a statement returned."""
    return cursor.fetchall() if cursor.description else []


async def arows(cursor: psycopg.AsyncCursor[Any]) -> list[Row]:
    """Give what a statement returned."""
    return await cursor.fetchall() if cursor.description else []


def _link(connection: AnyConnection, pid: Any) -> Link:
    if connection.info.server_version < OLDEST:
        raise ConfigurationError(
            f"stoker needs PostgreSQL 13 or newer; {connection.info.host} has {connection.info.server_version // 10000}"
        )
    # All whole numbers as bigint: else each size of a value would make a statement of its own.
    connection.adapters.register_dumper(int, Int8BinaryDumper)
    # A pooler answers with a key of its own instead of the server process that happens to serve us now.
    pooled = pid[0] != connection.info.backend_pid
    if pooled:
        connection.prepare_threshold = None
    return Link(connection, pooled=pooled)
