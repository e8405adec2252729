"""On PostgreSQL an enqueue inside the caller's own transaction commits and rolls back with it, however one connects."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from stoker.core.filters import EVERYTHING
from stoker.core.job import Due, JobId, NewJob, new_call
from stoker.core.unique import UniqueKey
from stoker.errors import DuplicateJob
from stoker.stores.postgres import PostgresStore
from tests.rigs.callers import KINDS, Caller

ISOLATIONS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(postgres_url)
    store.migrate()
    yield store
    store.close()


@pytest.fixture
def schema(postgres_url: str) -> str:
    return parse_qs(urlsplit(postgres_url).query)["schema"][0]


@pytest.fixture
def onlooker(store: PostgresStore, schema: str, postgres_server: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection that sees what is committed; there is a table for the callers' own data."""
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'CREATE TABLE "{schema}".customer (name text)'.encode())
        yield connection


@pytest.fixture
async def caller(
    request: pytest.FixtureRequest, postgres_server: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Caller]:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    kind, isolation = request.param if isinstance(request.param, tuple) else (request.param, ISOLATIONS[0])
    caller = KINDS[kind](postgres_server, isolation)
    await caller.open()
    await caller.begin()
    yield caller
    with contextlib.suppress(Exception):
        await caller.rollback()
    await caller.close()


every_kind = pytest.mark.parametrize("caller", KINDS, indirect=True)
every_isolation = pytest.mark.parametrize(
    "caller",
    [(kind, isolation) for kind in ("psycopg", "asyncpg", "sqlalchemy async session") for isolation in ISOLATIONS],
    indirect=True,
)


class Shop:
    """The jobs and the customers that everybody sees, and a caller who adds to both."""

    def __init__(self, store: PostgresStore, caller: Caller, onlooker: psycopg.Connection[Any], schema: str) -> None:
        self.store = store
        self.caller = caller
        self._onlooker = onlooker
        self._schema = schema

    async def add(self, name: str = "Ann") -> None:
        await self.caller.execute(f"INSERT INTO \"{self._schema}\".customer VALUES ('{name}')")

    async def enqueue(self, *jobs: NewJob) -> list[JobId]:
        wanted = jobs or (NewJob("work", "{}"),)
        return [answer.id for answer in await self.caller.run(self.store, self.store.enqueue(wanted, new_call()))]

    def enqueue_outside(self, *jobs: NewJob) -> list[JobId]:
        return [answer.id for answer in self.store.run(self.store.enqueue(jobs, new_call()))]

    def stored(self) -> list[JobId]:
        return [job.id for job in self.store.run(self.store.find(EVERYTHING, 100))][::-1]

    def customers(self) -> int:
        row = self._onlooker.execute(f'SELECT count(*) FROM "{self._schema}".customer'.encode()).fetchone()
        assert row is not None
        count: int = row[0]
        return count


@pytest.fixture
def shop(store: PostgresStore, caller: Caller, onlooker: psycopg.Connection[Any], schema: str) -> Shop:
    return Shop(store, caller, onlooker, schema)


@every_kind
async def test_the_id_is_known_before_the_commit_and_nobody_sees_the_job_until_then(shop: Shop) -> None:
    await shop.add()
    (id,) = await shop.enqueue()
    assert shop.stored() == []
    await shop.caller.commit()
    assert shop.stored() == [id]
    assert shop.customers() == 1


@every_kind
async def test_a_rollback_takes_the_job_along(shop: Shop) -> None:
    await shop.add()
    await shop.enqueue()
    await shop.caller.rollback()
    assert (shop.stored(), shop.customers()) == ([], 0)
    await shop.caller.begin()
    (id,) = await shop.enqueue()
    await shop.caller.commit()
    assert shop.stored() == [id]


@every_kind
async def test_many_jobs_of_several_sorts_are_there_together(shop: Shop) -> None:
    ids = await shop.enqueue(
        NewJob("work", '{"name":"é\\u0000\\\\ \\"%s %(x)s :now $1"}', priority=3),
        NewJob("work", "[]", "mail", due=Due(3_600_000_000), meta='{"a":1}', labels=("a", "b")),
        NewJob("work", "{}", unique=UniqueKey("key"), keep=None),
    )
    assert shop.stored() == []
    await shop.caller.commit()
    assert shop.stored() == ids
    first, second, _ = shop.store.run(shop.store.find(EVERYTHING, 3))[::-1]
    assert first.args == '{"name":"é\\u0000\\\\ \\"%s %(x)s :now $1"}'
    assert (second.queue, second.labels, second.meta, second.state) == ("mail", ("a", "b"), '{"a":1}', "scheduled")


@every_kind
async def test_a_savepoint_that_is_rolled_back_drops_its_own_jobs_only(shop: Shop) -> None:
    (before,) = await shop.enqueue()
    await shop.caller.execute("SAVEPOINT stoker")
    await shop.enqueue(NewJob("work", "{}"), NewJob("other", "{}"))
    await shop.caller.execute("ROLLBACK TO SAVEPOINT stoker")
    (after,) = await shop.enqueue()
    await shop.caller.commit()
    assert shop.stored() == [before, after]


@every_kind
async def test_a_key_that_is_taken_leaves_the_transaction_as_it_was(shop: Shop) -> None:
    (holder,) = shop.enqueue_outside(NewJob("work", '{"n":1}', unique=UniqueKey("key")))
    await shop.add()
    with pytest.raises(DuplicateJob):
        await shop.enqueue(NewJob("work", "{}"), NewJob("work", "{}", unique=UniqueKey("key", on_conflict="raise")))
    for policy in ("keep", "replace", "reschedule"):
        unique = UniqueKey("key", on_conflict=policy)
        assert await shop.enqueue(NewJob("work", f'"{policy}"', unique=unique, due=Due(60_000_000))) == [holder]
    await shop.caller.commit()
    assert (shop.stored(), shop.customers()) == ([holder], 1)
    (found,) = shop.store.run(shop.store.find(EVERYTHING, 10))
    assert (found.args, found.state) == ('"replace"', "scheduled")


@every_isolation
async def test_every_isolation_level_is_welcome(shop: Shop) -> None:
    (holder,) = shop.enqueue_outside(NewJob("work", "{}", unique=UniqueKey("key")))
    await shop.add()
    ids = await shop.enqueue(NewJob("work", "{}"), NewJob("work", "{}", unique=UniqueKey("key", on_conflict="replace")))
    with pytest.raises(DuplicateJob):
        await shop.enqueue(NewJob("work", "{}", unique=UniqueKey("key", on_conflict="raise")))
    await shop.caller.commit()
    assert (sorted(shop.stored()), ids[1]) == (sorted([holder, ids[0]]), holder)


@every_kind
async def test_a_statement_that_fails_in_the_middle_leaves_the_transaction_usable(shop: Shop) -> None:
    await shop.add()
    await shop.caller.execute("SET LOCAL lock_timeout = '20ms'")
    with psycopg.connect(shop.caller.conninfo) as other:
        elsewhere = shop.store.enqueue([NewJob("work", "{}", unique=UniqueKey("key"))], new_call())
        shop.store.run(elsewhere, on=other)
        with pytest.raises(Exception, match="lock timeout"):
            await shop.enqueue(NewJob("work", "{}", unique=UniqueKey("key")))
        await shop.add("Ben")
        await shop.caller.commit()
    assert (shop.customers(), len(shop.stored())) == (2, 1)


@every_kind
async def test_a_sleeping_worker_wakes_at_the_commit_and_not_before(shop: Shop, postgres_url: str) -> None:
    async with sleeper(postgres_url) as worker:
        await shop.enqueue(NewJob("work", "{}"), NewJob("work", "[]"), NewJob("other", "{}"))
        woken = asyncio.ensure_future(worker.wait(["default"], 20.0))
        await asyncio.sleep(0.2)
        assert not woken.done()
        await shop.caller.commit()
        assert await asyncio.wait_for(woken, 2.0)


@every_kind
async def test_nobody_wakes_for_a_rollback(shop: Shop, postgres_url: str) -> None:
    async with sleeper(postgres_url) as worker:
        await shop.enqueue()
        await shop.caller.rollback()
        assert not await worker.wait(["default"], 0.3)


@contextlib.asynccontextmanager
async def sleeper(url: str) -> AsyncIterator[PostgresStore]:
    """Another process's handle, which listens already."""
    worker = PostgresStore(url)
    await worker.wait(["default"], 0.1)
    while await worker.wait(["default"], 0.05):
        pass
    yield worker
    worker.close()
