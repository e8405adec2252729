"""A shop on PostgreSQL: its own table, its jobs, and a connection of every kind that adds to both."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from stoker import Stoker
from stoker.core.filters import EVERYTHING
from stoker.core.job import JobId, NewJob, StoredJob, new_call
from stoker.jobs.completing import Completing
from stoker.stores.postgres import PostgresStore
from stoker.telemetry.events import AttemptEnded, Event
from tests.rigs.callers import KINDS, Caller


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
    """A connection of a kind, or of a kind with an isolation level, in a transaction."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    wanted = getattr(request, "param", "psycopg")
    kind, *isolation = wanted if isinstance(wanted, tuple) else (wanted,)
    caller = KINDS[kind](postgres_server, *isolation)
    await caller.open()
    await caller.begin()
    yield caller
    with contextlib.suppress(Exception):
        await caller.rollback()
    await caller.close()


class Shop:
    """The jobs and the customers that everybody sees, and a caller who adds to both."""

    def __init__(self, store: PostgresStore, caller: Caller, onlooker: psycopg.Connection[Any], schema: str) -> None:
        self.store = store
        self.caller = caller
        self.onlooker = onlooker
        self.schema = schema

    async def add(self, name: str = "Ann") -> None:
        """Add a customer in the caller's transaction."""
        await self.caller.execute(f"INSERT INTO \"{self.schema}\".customer VALUES ('{name}')")

    async def enqueue(self, *jobs: NewJob) -> list[JobId]:
        """Enqueue in the caller's transaction."""
        wanted = jobs or (NewJob("work", "{}"),)
        return [answer.id for answer in await self.caller.run(self.store, self.store.enqueue(wanted, new_call()))]

    async def sell(self, completing: Completing) -> None:
        """Add a customer and complete the job, in the way that suits the caller's connection."""
        if self.caller.is_async:
            async with completing as sale:
                await self.add()
                sale.result = "sold"
            return
        with completing as sale:
            await self.add()
            sale.result = "sold"

    def enqueue_outside(self, *jobs: NewJob) -> list[JobId]:
        """Enqueue without a transaction."""
        return [answer.id for answer in self.store.run(self.store.enqueue(jobs, new_call()))]

    def jobs(self) -> list[StoredJob]:
        """Give the jobs that are committed, oldest first."""
        return self.store.run(self.store.find(EVERYTHING, 100))[::-1]

    def stored(self) -> list[JobId]:
        """Give their ids."""
        return [job.id for job in self.jobs()]

    def customers(self) -> int:
        """Count the customers that are committed."""
        row = self.onlooker.execute(f'SELECT count(*) FROM "{self.schema}".customer'.encode()).fetchone()
        assert row is not None
        count: int = row[0]
        return count


@pytest.fixture
def shop(store: PostgresStore, caller: Caller, onlooker: psycopg.Connection[Any], schema: str) -> Shop:
    return Shop(store, caller, onlooker, schema)


Sleeper: TypeAlias = Callable[[], contextlib.AbstractAsyncContextManager[PostgresStore]]


@pytest.fixture
def sleeper(postgres_url: str) -> Sleeper:
    """Give a worker's handle of another process, which listens already."""

    @contextlib.asynccontextmanager
    async def sleeping() -> AsyncIterator[PostgresStore]:
        worker = PostgresStore(postgres_url)
        await worker.wait(["default"], 0.1)
        while await worker.wait(["default"], 0.05):
            pass
        yield worker
        worker.close()

    return sleeping


class Rig:
    """An application with short leases, and what was reported."""

    def __init__(self, url: str) -> None:
        settings = {"blocking_enqueue": "allow", "workers": {"lease": "1s"}}
        self.app: Stoker[Any] = Stoker(url, settings=settings)
        self.events: list[Event] = []
        self._told = asyncio.Event()
        self.app.events.listen(self._hear)

    def _hear(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, AttemptEnded):
            self._told.set()

    async def ended(self, attempts: int) -> None:
        """Wait until so many attempts have ended."""
        while len(self.seen(AttemptEnded)) < attempts:
            self._told.clear()
            await asyncio.wait_for(self._told.wait(), 10)

    def seen(self, kind: type[Any]) -> list[Any]:
        """Give the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
async def rig(postgres_url: str) -> AsyncIterator[Rig]:
    rig = Rig(postgres_url)
    yield rig
    rig.app.close()
