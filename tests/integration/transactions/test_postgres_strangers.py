"""What is given as a transaction and is none, or not one of this database, is refused before anything happens."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from urllib.parse import urlsplit

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from stoker.core.job import NewJob, new_call, new_token
from stoker.drivers import postgres_join
from stoker.errors import EnqueueError, NotSupported, SchemaOutdated, WrongDatabase
from stoker.stores.postgres import PostgresStore
from tests.rigs.callers import KINDS, Caller, untyped
from tests.rigs.postgres import Postgres

if TYPE_CHECKING:
    from tests.integration.transactions.conftest import Shop

every_kind = pytest.mark.parametrize("caller", KINDS, indirect=True)


@pytest.fixture
def other_database(postgres_server: str) -> Iterator[str]:
    name = f"other_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        yield urlsplit(postgres_server)._replace(path=f"/{name}").geturl()
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.mark.parametrize(
    "kind", ["psycopg", "psycopg async", "asyncpg", "sqlalchemy session", "sqlalchemy async session"]
)
async def test_another_database_of_the_same_server_is_refused(
    store: PostgresStore, other_database: str, kind: str
) -> None:
    caller = KINDS[kind](other_database)
    await caller.open()
    await caller.begin()
    with pytest.raises(WrongDatabase, match="the database other_"):
        await caller.run(store, store.enqueue([NewJob("work", "{}")], new_call()))
    await caller.execute("SELECT 1")  # it is as usable as before
    await caller.rollback()
    await caller.close()


def test_a_database_of_the_same_name_on_another_server_is_refused(store: PostgresStore, own_postgres: Postgres) -> None:
    with psycopg.connect(own_postgres.url) as caller, pytest.raises(WrongDatabase, match="another server's"):
        store.run(store.enqueue([NewJob("work", "{}")], new_call()), on=caller)


def test_a_server_that_was_restarted_is_still_the_same(own_postgres: Postgres) -> None:
    store = PostgresStore(own_postgres.url)
    for _ in range(2):
        with psycopg.connect(own_postgres.url) as caller:
            store.run(store.enqueue([NewJob("work", "{}")], new_call()), on=caller)
        own_postgres.stop()
        own_postgres.start()
    store.close()


@pytest.mark.parametrize(
    "caller", ["psycopg", "asyncpg pool", "sqlalchemy session", "sqlalchemy async session", "django"], indirect=True
)
async def test_a_connection_is_asked_once_where_it_is(shop: Shop) -> None:
    for _ in range(2):
        await shop.enqueue()
        await shop.caller.commit()
        await shop.caller.begin()
    with patch.object(postgres_join, "IDENTITY", "SELECT 'nobody', 'asks'"):
        await shop.enqueue()
    await shop.caller.commit()
    assert len(shop.stored()) == 3


def test_psycopg_in_autocommit_mode_has_nothing_to_join(store: PostgresStore, postgres_server: str) -> None:
    with psycopg.connect(postgres_server, autocommit=True) as caller:
        refused(store, caller)
        with caller.transaction():
            store.run(store.enqueue([NewJob("work", "{}")], new_call()), on=caller)


async def test_asyncpg_without_a_transaction_has_nothing_to_join(store: PostgresStore, postgres_server: str) -> None:
    caller = await untyped("asyncpg").connect(postgres_server)
    with pytest.raises(EnqueueError, match="begin one first"):
        await store.arun(store.enqueue([NewJob("work", "{}")], new_call()), on=caller)
    await caller.close()


@pytest.mark.parametrize("where", ["engine", "connection"])
def test_sqlalchemy_in_autocommit_mode_has_nothing_to_join(
    store: PostgresStore, postgres_server: str, where: str
) -> None:
    url = postgres_server.replace("postgresql", "postgresql+psycopg", 1)
    engine = create_engine(url, isolation_level="AUTOCOMMIT" if where == "engine" else "READ COMMITTED")
    with engine.connect() as caller:
        if where == "connection":
            caller.execution_options(isolation_level="AUTOCOMMIT")
        refused(store, caller)
    engine.dispose()


async def test_async_sqlalchemy_in_autocommit_mode_has_nothing_to_join(
    store: PostgresStore, postgres_server: str
) -> None:
    url = postgres_server.replace("postgresql", "postgresql+asyncpg", 1)
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as caller:
        with pytest.raises(EnqueueError, match="begin one first"):
            await store.arun(store.enqueue([NewJob("work", "{}")], new_call()), on=caller)
    await engine.dispose()


@pytest.mark.parametrize("caller", ["django"], indirect=True)
async def test_django_outside_an_atomic_block_has_nothing_to_join(store: PostgresStore, caller: Caller) -> None:
    await caller.rollback()
    refused(store, caller.on)


@pytest.mark.parametrize("caller", [kind for kind in KINDS if KINDS[kind].is_async], indirect=True)
async def test_sync_code_cannot_use_an_async_connection(store: PostgresStore, caller: Caller) -> None:
    with pytest.raises(NotSupported, match=r"is async: await job\.aenqueue"):
        store.run(store.enqueue([NewJob("work", "{}")], new_call()), on=caller.on)


@pytest.mark.parametrize("caller", [kind for kind in KINDS if not KINDS[kind].is_async], indirect=True)
async def test_async_code_may_use_a_sync_connection(shop: Shop) -> None:
    await shop.store.arun(shop.store.enqueue([NewJob("work", "{}")], new_call()), on=shop.caller.on)
    assert shop.stored() == []
    await shop.caller.commit()
    assert len(shop.stored()) == 1


@pytest.mark.parametrize("on", ["my transaction", sqlite3.connect(":memory:")], ids=["a text", "sqlite3"])
async def test_what_is_no_connection_to_postgresql_is_named(store: PostgresStore, on: object) -> None:
    command = store.enqueue([NewJob("work", "{}")], new_call())
    with pytest.raises(NotSupported, match=rf"{type(on).__qualname__}: give a connection of psycopg, asyncpg"):
        store.run(command, on=on)
    with pytest.raises(NotSupported, match=type(on).__qualname__):
        await store.arun(command, on=on)


def test_sqlalchemy_on_another_database_is_refused(store: PostgresStore) -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as caller, pytest.raises(WrongDatabase, match="database of sqlite"):
        store.run(store.enqueue([NewJob("work", "{}")], new_call()), on=caller)
    engine.dispose()


@pytest.mark.parametrize("caller", ["psycopg", "asyncpg"], indirect=True)
async def test_only_what_belongs_into_a_transaction_joins_one(shop: Shop) -> None:
    claim = shop.store.claim({"default": 1}, ["work"], [""], new_token(), "worker", 1)
    with pytest.raises(NotSupported, match="claim cannot join"):
        await shop.caller.run(shop.store, claim)


@pytest.mark.parametrize("kind", ["psycopg", "asyncpg", "sqlalchemy async session"])
async def test_a_first_enqueue_makes_the_schema_outside_the_transaction(
    postgres_url: str, postgres_server: str, kind: str
) -> None:
    store = PostgresStore(postgres_url)
    caller = KINDS[kind](postgres_server)
    await caller.open()
    await caller.begin()
    await caller.run(store, store.enqueue([NewJob("work", "{}")], new_call()))
    await caller.rollback()
    assert (store.pending_migrations(), store.run(store.count())) == ([], [])
    await caller.close()
    store.close()


async def test_in_production_a_missing_schema_is_named(postgres_url: str, caller: Caller) -> None:
    store = PostgresStore(postgres_url, auto_migrate=False)
    with pytest.raises(SchemaOutdated, match="stoker migrate"):
        await caller.run(store, store.enqueue([NewJob("work", "{}")], new_call()))
    store.close()


def refused(store: PostgresStore, on: Any) -> None:
    with pytest.raises(EnqueueError, match="begin one first"):
        store.run(store.enqueue([NewJob("work", "{}")], new_call()), on=on)
    assert store.run(store.count()) == []


async def test_through_a_pooler_it_is_the_same_database(pgbouncer_url: str, postgres_server: str) -> None:
    store = PostgresStore(pgbouncer_url)
    around = psycopg.connect(postgres_server)
    through = await psycopg.AsyncConnection.connect(pgbouncer_url.partition("?")[0], prepare_threshold=None)
    for caller in (around, through):
        await store.arun(store.enqueue([NewJob("work", "{}")], new_call()), on=caller)
    around.commit()
    around.close()
    await through.commit()
    await through.close()
    assert [row.count for row in store.run(store.count())] == [2]
    store.close()
