"""Sleepers on PostgreSQL are woken, also when what listens is silently gone, and poll where nothing can listen."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from stoker.core.job import NewJob, new_call, new_token
from stoker.drivers import postgres_listen
from stoker.stores.postgres import PostgresStore
from tests.rigs.ledger import Scene, scene_on, sql
from tests.rigs.processes import until
from tests.rigs.proxy import Proxy

LONG = 60.0
"""Seconds for which sleepers would sleep; who is awake long before was woken."""


def enqueue(store: PostgresStore) -> None:
    store.run(store.enqueue([NewJob("note", "{}")], new_call()))


async def seconds_asleep(store: PostgresStore, act: Callable[[], Awaitable[object]]) -> float:
    """Fall asleep, let something happen, and tell how long it took until the sleeper was awake."""
    while await store.wait(["default"], 0.2):
        pass
    sleeper = asyncio.create_task(store.wait(["default"], LONG))
    await asyncio.sleep(0.05)
    began = time.monotonic()
    await act()
    await sleeper
    return time.monotonic() - began


@pytest.fixture
def quick_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_listen, "PROBE_SECONDS", 0.3)
    monkeypatch.setattr(postgres_listen, "ANSWER_SECONDS", 0.3)


@pytest.fixture
def other(postgres_url: str) -> Iterator[PostgresStore]:
    """Give a store that enqueues like another process, past every proxy and pooler."""
    store = PostgresStore(postgres_url)
    yield store
    store.close()


@asynccontextmanager
async def listening_through(proxy: Proxy, url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(f"{url}&listen_url={quote(proxy.url)}")
    try:
        await store.wait(["default"], 0.01)
        yield store
    finally:
        store.close()


async def until_true(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - what changes does so in other threads
            await asyncio.sleep(0.02)


async def test_who_hears_of_jobs_looks_less_often_without_being_told(postgres_url: str, pgbouncer_url: str) -> None:
    for url, while_it_waits in ((postgres_url, 2.0), (pgbouncer_url, 1.0)):
        store = PostgresStore(url)
        assert store.poll_interval == 1.0
        await store.wait(["default"], 0.01)
        assert store.poll_interval == while_it_waits
        store.close()


@pytest.mark.asyncio
async def test_the_listener_may_be_somewhere_else_than_the_pool(
    postgres_server: str, postgres_url: str, other: PostgresStore
) -> None:
    with Proxy(postgres_server) as proxy:
        async with listening_through(proxy, postgres_url) as store:
            assert proxy.connections == 1
            assert await seconds_asleep(store, lambda: asyncio.to_thread(enqueue, other)) < 10


@pytest.mark.asyncio
async def test_a_connection_that_is_silently_gone_is_noticed_and_the_next_one_wakes(
    postgres_server: str, postgres_url: str, other: PostgresStore, quick_probes: None
) -> None:
    with Proxy(postgres_server) as proxy:
        async with listening_through(proxy, postgres_url) as store:

            async def half_open_for_a_while() -> None:
                proxy.stall()
                await asyncio.to_thread(enqueue, other)
                await asyncio.sleep(1.0)  # longer than a probe and its answer may take
                proxy.cut()
                proxy.resume()

            assert await seconds_asleep(store, half_open_for_a_while) < 20
            await until_true(lambda: proxy.connections == 1)
            assert await seconds_asleep(store, lambda: asyncio.to_thread(enqueue, other)) < 10


@pytest.mark.asyncio
async def test_a_listener_notices_by_itself_that_nobody_answers(
    postgres_server: str, postgres_url: str, quick_probes: None
) -> None:
    name = f"ear_{secrets.token_hex(6)}"
    sessions = f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}'"
    with Proxy(f"{postgres_server}?application_name={name}") as proxy:
        async with listening_through(proxy, postgres_url):
            assert sql(postgres_server, sessions) == [(1,)]
            proxy.stall("replies")
            proxy.refuse()
            await until_true(lambda: sql(postgres_server, sessions) == [(0,)])


@pytest.mark.asyncio
async def test_a_sleeper_wakes_when_the_listener_is_back_because_it_may_have_missed_something(
    postgres_server: str, postgres_url: str
) -> None:
    with Proxy(postgres_server) as proxy:
        async with listening_through(proxy, postgres_url) as store:

            async def cut() -> None:
                proxy.cut()

            assert await seconds_asleep(store, cut) < 20


@pytest.mark.asyncio
async def test_after_a_reconnect_the_first_claim_looks_all_through(postgres_server: str, postgres_url: str) -> None:
    with Proxy(postgres_server) as proxy:
        async with listening_through(proxy, postgres_url) as store:
            store._marks.swept(["default"], 3600.0)  # none for a day, if nothing happens

            async def cut() -> None:
                proxy.cut()

            await seconds_asleep(store, cut)
            assert store._marks.sweeping(["default"])


# -- in processes ------------------------------------------------------------------------------------------------------


def drained(scene: Scene, jobs: int) -> None:
    scene.notes(0, jobs)
    until(lambda: len(scene.lines()) >= jobs, 60)
    until(lambda: scene.unfinished() == 0)


def latency(scene: Scene) -> float:
    """Enqueue one job, and tell after how many seconds it was performed."""
    seen = len(scene.lines())
    began = time.monotonic()
    scene.notes(seen, seen + 1)
    until(lambda: len(scene.lines()) > seen, LONG)
    return time.monotonic() - began


@pytest.mark.timeout(120)
def test_a_worker_behind_pgbouncer_drains_by_polling(pgbouncer_url: str, tmp_path: Path) -> None:
    with scene_on(pgbouncer_url, tmp_path) as scene:
        scene.worker()
        drained(scene, 500)
        assert latency(scene) < 20


@pytest.mark.timeout(120)
def test_a_worker_behind_pgbouncer_is_woken_past_it(pgbouncer_url: str, postgres_server: str, tmp_path: Path) -> None:
    url = f"{pgbouncer_url}&listen_url={quote(postgres_server)}"
    with scene_on(url, tmp_path, LEDGER_POLL="60s") as scene:
        scene.worker()
        drained(scene, 50)
        assert sorted(latency(scene) for _ in range(9))[4] < 5


@pytest.mark.timeout(120)
def test_many_threads_that_enqueue_strand_no_sleeping_worker(postgres_url: str, tmp_path: Path) -> None:
    rounds, threads = 100, 8
    with scene_on(postgres_url, tmp_path, LEDGER_POLL="60s") as scene, ThreadPoolExecutor(threads) as crowd:
        scene.worker()
        drained(scene, 1)

        def one(n: int) -> None:
            time.sleep(random.uniform(0, 0.02))
            scene.notes(n, n + 1)

        for start in range(1, 1 + rounds * threads, threads):
            list(crowd.map(one, range(start, start + threads)))
            until(lambda end=start + threads: len(scene.lines()) >= end, 10, "nobody is stranded")  # type: ignore[misc]


@pytest.mark.timeout(120)
def test_what_a_store_sets_is_not_seen_by_other_clients_of_a_pooler(pgbouncer_url: str, postgres_server: str) -> None:
    store = PostgresStore(pgbouncer_url)
    for _ in range(20):
        enqueue(store)
        store.run(store.claim({"default": 1}, ["note"], [""], new_token(), "worker", 1))
    pooled = pgbouncer_url.partition("?")[0]
    names = ("enable_seqscan", "enable_bitmapscan", "jit", "lock_timeout", "synchronous_commit", "search_path")
    shows = f"SELECT {', '.join(f'current_setting($${name}$$)' for name in names)}"
    (expected,) = sql(postgres_server, shows)
    clients = [psycopg.connect(pooled, prepare_threshold=None) for _ in range(5)]
    seen = {client.execute(shows.encode()).fetchone() for client in clients}
    for client in clients:
        client.close()
    store.close()
    assert seen == {expected}
