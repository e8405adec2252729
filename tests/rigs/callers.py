"""Users' own connections to PostgreSQL, of every kind that a command may join, behind one set of words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib import import_module
from inspect import isawaitable
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg.rows import dict_row
from sqlalchemy import create_engine
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from stoker.core.command import Command
from stoker.stores.base import Store


def untyped(module: str) -> Any:
    """Import a library that the type checkers know nothing of."""
    return import_module(module)


async def ended(answer: Any) -> None:
    """Wait for what an async library's method gave; a sync one's has happened already."""
    if isawaitable(answer):
        await answer


class Caller(ABC):
    """A connection in a transaction; begun anew after each end. ``on`` is what a user gives as ``transaction=``."""

    on: Any
    is_async: ClassVar[bool] = False

    def __init__(self, conninfo: str, isolation: str = "READ COMMITTED") -> None:
        self.conninfo = conninfo
        self.isolation = isolation

    def another(self) -> Caller:
        """Give another connection of this kind."""
        return type(self)(self.conninfo, self.isolation)

    @abstractmethod
    async def open(self) -> None: ...

    async def begin(self) -> None:
        await self.execute(f"SET TRANSACTION ISOLATION LEVEL {self.isolation}")

    async def commit(self) -> None:
        await ended(self.on.commit())

    async def rollback(self) -> None:
        await ended(self.on.rollback())

    async def close(self) -> None:
        await ended(self.on.close())

    async def execute(self, text: str) -> None:
        await ended(self.on.execute(text))

    async def run(self, store: Store, command: Command[Any]) -> Any:
        """Run a command as the code does in which such a connection is used."""
        return await store.arun(command, self.on) if self.is_async else store.run(command, self.on)


class Psycopg(Caller):
    options: ClassVar[dict[str, Any]] = {}

    async def open(self) -> None:
        self.on = psycopg.connect(self.conninfo, **self.options)


class PsycopgByHand(Psycopg):
    """In autocommit mode, with a BEGIN of one's own, and with factories that change everything."""

    options: ClassVar[dict[str, Any]] = {
        "autocommit": True,
        "row_factory": dict_row,
        "cursor_factory": psycopg.RawCursor,
    }

    async def begin(self) -> None:
        self.on.execute(f"BEGIN ISOLATION LEVEL {self.isolation}")


class PsycopgPipeline(Psycopg):
    """In pipeline mode all along."""

    async def open(self) -> None:
        await super().open()
        self._pipeline = self.on.pipeline()
        self._pipeline.__enter__()

    async def close(self) -> None:
        self._pipeline.__exit__(None, None, None)
        await super().close()


class AsyncPsycopg(Caller):
    is_async = True

    async def open(self) -> None:
        self.on = await psycopg.AsyncConnection.connect(self.conninfo)


class Asyncpg(Caller):
    is_async = True

    async def open(self) -> None:
        self.on = await untyped("asyncpg").connect(self.conninfo)

    async def begin(self) -> None:
        self._transaction = self.on.transaction(isolation=self.isolation.lower().replace(" ", "_"))
        await self._transaction.start()

    async def commit(self) -> None:
        await self._transaction.commit()

    async def rollback(self) -> None:
        await self._transaction.rollback()


class AsyncpgPool(Asyncpg):
    """The proxy that a pool gives."""

    async def open(self) -> None:
        self._pool = await untyped("asyncpg").create_pool(self.conninfo, min_size=1, max_size=1)
        self.on = await self._pool.acquire()

    async def close(self) -> None:
        await self._pool.release(self.on)
        await self._pool.close()


class SqlAlchemy(Caller):
    """A Connection."""

    driver: ClassVar[str] = "postgresql+psycopg"
    options: ClassVar[dict[str, Any]] = {}

    async def open(self) -> None:
        url = self.conninfo.replace("postgresql", self.driver, 1)
        self._engine: Any = create_engine(url, isolation_level=self.isolation, **self.options)
        self.on = self._make()

    def _make(self) -> Any:
        return self._engine.connect()

    async def begin(self) -> None:
        """It begins by itself."""

    async def close(self) -> None:
        await super().close()
        await ended(self._engine.dispose())

    async def execute(self, text: str) -> None:
        await ended(self.on.execute(sql(text)))


class SqlAlchemySession(SqlAlchemy):
    def _make(self) -> Any:
        return Session(self._engine)


class SqlAlchemyScopedSession(SqlAlchemy):
    def _make(self) -> Any:
        return scoped_session(sessionmaker(self._engine))


class AsyncSqlAlchemy(SqlAlchemy):
    """An AsyncConnection on asyncpg."""

    is_async = True
    driver = "postgresql+asyncpg"

    async def open(self) -> None:
        url = self.conninfo.replace("postgresql", self.driver, 1)
        self._engine: Any = create_async_engine(url, isolation_level=self.isolation)
        self.on = self._make()
        if isinstance(self.on, AsyncConnection):
            await ended(self.on.start())


class AsyncSqlAlchemySession(AsyncSqlAlchemy):
    def _make(self) -> Any:
        return AsyncSession(self._engine)


class AsyncSqlAlchemyScopedSession(AsyncSqlAlchemy):
    def _make(self) -> Any:
        return async_scoped_session(async_sessionmaker(self._engine), scopefunc=lambda: 1)


class AsyncSqlAlchemyPsycopg(AsyncSqlAlchemySession):
    driver = "postgresql+psycopg"


class Django(Caller):
    """The connection of django.db, in an atomic block."""

    async def open(self) -> None:
        settings = untyped("django.conf").settings
        if not settings.configured:
            settings.configure(DATABASES={"default": _django_database(self.conninfo)})
            untyped("django").setup()
        self.on = untyped("django.db").connection
        self.on.settings_dict |= _django_database(self.conninfo)

    async def begin(self) -> None:
        self._atomic = untyped("django.db.transaction").atomic()
        self._atomic.__enter__()
        await super().begin()

    async def commit(self) -> None:
        self._atomic.__exit__(None, None, None)

    async def rollback(self) -> None:
        self.on.set_rollback(True)
        self._atomic.__exit__(None, None, None)

    async def close(self) -> None:
        self.on.in_atomic_block = False
        self.on.close()

    async def execute(self, text: str) -> None:
        with self.on.cursor() as cursor:
            cursor.execute(text)


def _django_database(conninfo: str) -> dict[str, Any]:
    parts = urlsplit(conninfo)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "OPTIONS": {},
    }


KINDS: dict[str, type[Caller]] = {
    "psycopg": Psycopg,
    "psycopg by hand": PsycopgByHand,
    "psycopg pipeline": PsycopgPipeline,
    "psycopg async": AsyncPsycopg,
    "asyncpg": Asyncpg,
    "asyncpg pool": AsyncpgPool,
    "sqlalchemy connection": SqlAlchemy,
    "sqlalchemy session": SqlAlchemySession,
    "sqlalchemy scoped session": SqlAlchemyScopedSession,
    "sqlalchemy async connection": AsyncSqlAlchemy,
    "sqlalchemy async session": AsyncSqlAlchemySession,
    "sqlalchemy async scoped session": AsyncSqlAlchemyScopedSession,
    "sqlalchemy async session on psycopg": AsyncSqlAlchemyPsycopg,
    "django": Django,
}
