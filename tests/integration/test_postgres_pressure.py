"""Few connections, short timeouts, no room on the disk, and everybody at the same jobs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from stoker.core.job import NewJob, new_call
from stoker.drivers import postgres as driver
from stoker.drivers.postgres_errors import Fate, fate
from stoker.drivers.postgres_text import Texts
from stoker.errors import StoreUnavailable
from stoker.stores.postgres import PostgresStore
from stoker.stores.postgres_urls import parse
from tests.rigs.ledger import MISPLACED, scene_on, sql
from tests.rigs.postgres import Postgres
from tests.rigs.processes import until
from tests.rigs.servers import running
from tests.rigs.turmoil import Turmoil


@pytest.mark.timeout(120)
def test_a_short_statement_timeout_of_the_role_stops_nobody(own_postgres: Postgres, tmp_path: Path) -> None:
    sql(own_postgres.url, "CREATE ROLE hasty LOGIN SUPERUSER; ALTER ROLE hasty SET statement_timeout = '200ms'")
    with scene_on(own_postgres.url.replace("postgres@", "hasty@"), tmp_path) as scene:
        scene.notes(0, 1_000)
        scene.worker()
        scene.account(1_000)


def test_two_connections_serve_two_hundred_tasks_that_enqueue_at_once(postgres_url: str) -> None:
    store = PostgresStore(f"{postgres_url}&pool_size=2")

    async def all_at_once() -> None:
        await asyncio.gather(
            *(store.arun(store.enqueue([NewJob("note", "{}")], new_call())) for _ in range(200)),
        )

    asyncio.run(all_at_once())
    assert sum(row.count for row in store.run(store.count())) == 200
    store.close()


def test_two_connections_serve_fifty_threads_that_enqueue_at_once(postgres_url: str) -> None:
    store = PostgresStore(f"{postgres_url}&pool_size=2")

    def enqueue(_: int) -> None:
        store.run(store.enqueue([NewJob("note", "{}")], new_call()))

    with ThreadPoolExecutor(50) as threads:
        list(threads.map(enqueue, range(200)))
    assert sum(row.count for row in store.run(store.count())) == 200
    store.close()


@pytest.mark.timeout(120)
def test_jobs_that_enqueue_all_at_once_share_a_pool_of_two(postgres_url: str, tmp_path: Path) -> None:
    with scene_on(f"{postgres_url}&pool_size=2", tmp_path, LEDGER_CONCURRENCY="200") as scene:
        scene.enqueue(*(NewJob("spawn", f'{{"n":{n}}}') for n in range(200)))
        scene.enqueue(*(NewJob("spawn_in_thread", f'{{"n":{n}}}') for n in range(200, 300)))
        scene.worker()
        until(lambda: len(scene.lines()) >= 300, 60)
        until(lambda: scene.unfinished() == 0, 60)
        assert {int(line) for line in scene.lines()} == set(range(300))


@pytest.mark.timeout(90)
def test_a_server_without_a_free_connection_is_waited_for(tmp_path: Path) -> None:
    with running(Postgres(max_connections="12")) as server, scene_on(server.url, tmp_path) as scene:
        scene.notes(0, 10)
        scene.store.close()
        others = [psycopg.connect(server.url) for _ in range(12)]
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=r"too many clients|remaining connection slots"):
            scene.notes(10, 11)
        assert time.monotonic() - began < 10
        scene.worker()
        until(lambda: "too many clients" in scene.processes.output(), what="the worker says what is wrong")
        for other in others:
            other.close()
        scene.account(10)


@contextmanager
def small_disk(server: Postgres) -> Iterator[Path]:
    """Give the server's owner a file system of 24 MB, and its path."""
    disk = server.data.parent / "disk"
    disk.mkdir()
    owner = server.data.stat()
    words = [
        "mount",
        "-t",
        "tmpfs",
        "-o",
        f"size=24m,uid={owner.st_uid},gid={owner.st_gid},mode=700",
        "tmpfs",
        str(disk),
    ]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield disk
    finally:
        server.stop("immediate")
        subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.timeout(120)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a server a small disk")
def test_a_full_disk_of_the_server_refuses_enqueues_and_stops_no_worker(own_postgres: Postgres, tmp_path: Path) -> None:
    with small_disk(own_postgres) as disk:
        sql(own_postgres.url, f"CREATE TABLESPACE small LOCATION '{disk}'")
        sql(own_postgres.url, "CREATE DATABASE small TABLESPACE small")
        ballast = disk / "ballast"
        with scene_on(own_postgres.url.removesuffix("postgres") + "small", tmp_path) as scene:
            scene.notes(0, 100)
            worker = scene.worker()
            until(lambda: len(scene.lines()) == 100)
            with contextlib.suppress(OSError):
                ballast.write_bytes(bytes(24 << 20))
            with pytest.raises(StoreUnavailable, match="No space left on device"):
                scene.enqueue(*(NewJob("note", f'{{"n":{"1" * 9_000}{n}}}') for n in range(1_000)))
            ballast.unlink()
            scene.notes(100, 200)
            scene.account(200)
            assert worker.poll() is None


def errors_seen(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Give the codes of the errors that a driver hears, also of those after which it just tries again."""
    seen: list[str | None] = []

    def noting(error: psycopg.Error, *, sent: bool) -> Fate:
        seen.append(error.sqlstate)
        return fate(error, sent=sent)

    monkeypatch.setattr(driver, "fate", noting)
    return seen


@pytest.mark.timeout(90)
def test_verbs_that_meet_on_the_same_jobs_neither_deadlock_nor_misplace_one(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PostgresStore(postgres_url)
    seen = errors_seen(monkeypatch)
    turmoil = Turmoil(store)
    with ThreadPoolExecutor(8) as threads:
        for one in [threads.submit(turmoil.stir, 5.0, seed) for seed in range(8)]:
            one.result()
    parsed = parse(postgres_url)
    assert turmoil.done > 500
    assert sql(parsed.conninfo, Texts(parsed.schema).plain(MISPLACED)) == []
    assert "40P01" not in seen
    store.close()
