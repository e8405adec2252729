"""The kinds of connections and sessions that callers have, each with what a joined command needs of it.

Libraries are recognised by their classes and never imported: who has not loaded one has no connection of it. What wraps
a connection is used by its own methods, because only they know of the transaction (SQLAlchemy begins asyncpg's late).
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row
from psycopg.types.string import StrDumper, TextLoader

from stoker.core.command import Row
from stoker.drivers.postgres_text import Texts
from stoker.errors import NotSupported, WrongDatabase

JOINED: Final = "a connection of psycopg, asyncpg or Django, or a Connection or Session of SQLAlchemy"


_AT_ONCE: Final = {"stream_results": False, "yield_per": None}
"""SQLAlchemy's execution options, whatever a connection or an engine says."""


class Statement(NamedTuple):
    """What is sent: a text with ``:name`` placeholders, all values as text."""

    text: str
    params: Mapping[str, str | None]


class Caller(NamedTuple):
    """A sync connection: ``execute`` sends one statement, ``key`` is the driver's own connection object."""

    execute: Callable[[Statement], list[Row]]
    key: Any
    autocommit: bool
    """No transaction is open, and none opens by itself."""


class AsyncCaller(NamedTuple):
    """The same of an async connection."""

    execute: Callable[[Statement], Awaitable[list[Row]]]
    key: Any
    autocommit: bool


def caller(on: Any, texts: Texts, url: str) -> Caller:
    """Give what a sync connection or session can do; NotSupported for anything else."""
    if isinstance(on, psycopg.Connection):
        return _of_psycopg(on, texts)
    if _is(on, "sqlalchemy.orm", "Session", "scoped_session"):
        return _of_sqlalchemy(on.connection(), texts, url)
    if _is(on, "sqlalchemy.engine", "Connection"):
        return _of_sqlalchemy(on, texts, url)
    if _is(on, "django.db.backends.base.base", "BaseDatabaseWrapper") or _is(
        on, "django.utils.connection", "ConnectionProxy"
    ):
        return _of_django(on, texts, url)
    kind = f"{type(on).__module__}.{type(on).__qualname__}"
    if async_caller(on, texts) is not None or wraps_sync(on):
        raise NotSupported(
            f"{kind}, given as transaction, is async: await job.aenqueue(…), or async with ctx.completing(…)",
            store=url,
            verb="join",
        )
    raise NotSupported(f"{url} cannot join a transaction of {kind}: give {JOINED}", store=url, verb="join")


def async_caller(on: Any, texts: Texts) -> AsyncCaller | None:
    """Give what an async connection can do; None for anything else."""
    if isinstance(on, psycopg.AsyncConnection):
        return _of_async_psycopg(on, texts)
    if _is(on, "asyncpg.pool", "PoolConnectionProxy"):
        return _of_asyncpg(on, on._con, texts)  # noqa: SLF001 - only to know it again: proxies change with each acquire
    if _is(on, "asyncpg", "Connection"):
        return _of_asyncpg(on, on, texts)
    return None


def wraps_sync(on: Any) -> bool:
    """Tell whether it is one of SQLAlchemy's async objects, which let sync code run on what they wrap."""
    return _is(on, "sqlalchemy.ext.asyncio", "AsyncConnection", "AsyncSession", "async_scoped_session")


async def run_sync(on: Any, task: Callable[[Any], Any]) -> Any:
    """Run sync code on what one of those wraps."""
    if _is(on, "sqlalchemy.ext.asyncio", "async_scoped_session"):
        on = on()
    return await on.run_sync(task)


def _is(on: object, module: str, *names: str) -> bool:
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(on, tuple(getattr(loaded, name) for name in names))


# The cursors are made directly, because connection.cursor() would pass the caller's factories on.


def _of_psycopg(connection: psycopg.Connection[Any], texts: Texts) -> Caller:
    def execute(step: Statement) -> list[Row]:
        with psycopg.Cursor(connection, row_factory=tuple_row) as cursor:
            _plain(cursor)
            # One inside the caller's ends with the answers; there is none to look at before.
            with connection.pipeline() if connection.pgconn.pipeline_status else nullcontext():
                cursor.execute(texts.named(step.text), step.params or None, prepare=False)
            return list(cursor.fetchall()) if cursor.description else []

    return Caller(execute, connection, _is_idle(connection))


def _of_async_psycopg(connection: psycopg.AsyncConnection[Any], texts: Texts) -> AsyncCaller:
    async def execute(step: Statement) -> list[Row]:
        async with psycopg.AsyncCursor(connection, row_factory=tuple_row) as cursor:
            _plain(cursor)
            async with connection.pipeline() if connection.pgconn.pipeline_status else nullcontext():
                await cursor.execute(texts.named(step.text), step.params or None, prepare=False)
            return list(await cursor.fetchall()) if cursor.description else []

    return AsyncCaller(execute, connection, _is_idle(connection))


def _plain(cursor: psycopg.Cursor[Any] | psycopg.AsyncCursor[Any]) -> None:
    cursor.adapters.register_dumper(str, StrDumper)
    cursor.adapters.register_loader("text", TextLoader)


def _is_idle(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> bool:
    return connection.autocommit and connection.info.transaction_status == TransactionStatus.IDLE


def _of_asyncpg(connection: Any, key: object, texts: Texts) -> AsyncCaller:
    async def execute(step: Statement) -> list[Row]:
        text, values = texts.numbered(step.text, step.params)
        return [tuple(row) for row in await connection.fetch(text, *values)]

    return AsyncCaller(execute, key, not connection.is_in_transaction())


def _of_sqlalchemy(connection: Any, texts: Texts, url: str) -> Caller:
    dialect = connection.dialect
    _insist_on_postgresql(dialect.name, url)
    if dialect.paramstyle not in ("pyformat", "numeric_dollar"):
        raise NotSupported(
            f"{url} cannot join a transaction of SQLAlchemy on {dialect.driver}: use psycopg or asyncpg", store=url
        )

    def execute(step: Statement) -> list[Row]:
        params: Any = step.params
        if dialect.paramstyle == "pyformat":
            text = texts.named(step.text).decode()
        else:
            text, values = texts.numbered(step.text, step.params)
            params = tuple(values)
        result = connection.exec_driver_sql(text, params or None, execution_options=_AT_ONCE)
        return [tuple(row) for row in result] if result.returns_rows else []

    pooled = connection.connection
    return Caller(execute, pooled.driver_connection, bool(getattr(pooled, "autocommit", False)))


def _of_django(connection: Any, texts: Texts, url: str) -> Caller:
    _insist_on_postgresql(connection.vendor, url)

    def execute(step: Statement) -> list[Row]:
        with connection.cursor() as cursor:
            cursor.execute(texts.named(step.text).decode(), step.params or None)
            return list(cursor.fetchall()) if cursor.description else []

    autocommit: bool = connection.get_autocommit()
    return Caller(execute, connection.connection, autocommit)


def _insist_on_postgresql(found: str, url: str) -> None:
    if found != "postgresql":
        raise WrongDatabase(f"transaction= is a connection to a database of {found}, but the jobs are kept in {url}")
