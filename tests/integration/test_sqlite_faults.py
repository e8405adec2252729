"""What can go wrong with a file is told in one line, and is over when its cause is."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from stoker.core.command import Replies
from stoker.core.job import NewJob, new_call, new_token
from stoker.drivers import sqlite as driver
from stoker.drivers.sqlite_unit import UnitFailed, exchange
from stoker.errors import ConfigurationError, StoreUnavailable
from stoker.stores.sqlite import SqliteStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore("sqlite:///jobs.db?busy_timeout=300ms", root=tmp_path)
    yield store
    store.close()


def enqueue(store: SqliteStore, args: str = "{}") -> list[str]:
    return [answer.id for answer in store.run(store.enqueue([NewJob("work", args)], new_call()))]


def total(store: SqliteStore) -> int:
    return sum(row.count for row in store.run(store.count()))


def test_a_full_disk_refuses_the_job_and_loses_none(store: SqliteStore) -> None:
    enqueue(store)
    connection = store._driver._writing.connection
    assert connection is not None
    connection.execute("PRAGMA max_page_count = 60")
    with pytest.raises(StoreUnavailable, match="disk is full") as refused:
        enqueue(store, '"' + "x" * 1_000_000 + '"')
    assert not refused.value.uncertain
    assert total(store) == 1

    connection.execute("PRAGMA max_page_count = 1000000")
    enqueue(store)
    assert total(store) == 2


def test_a_lock_held_too_long_is_told_in_time(store: SqliteStore, tmp_path: Path) -> None:
    enqueue(store)
    with closing(sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        with pytest.raises(StoreUnavailable, match="locked for longer than busy_timeout") as refused:
            enqueue(store)
        assert 0.3 <= time.monotonic() - started < 5
        assert not refused.value.uncertain
        assert total(store) == 1, "who only reads does not wait"
    enqueue(store)
    assert total(store) == 2


async def test_a_lock_held_for_a_moment_delays_the_command_and_not_the_loop(store: SqliteStore, tmp_path: Path) -> None:
    await store.arun(store.count())
    with closing(sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(store.arun(store.enqueue([NewJob("work", "{}")], new_call())))
        turns = 0
        for _ in range(10):
            await asyncio.sleep(0.005)
            turns += 1
        assert not waiting.done()
        other.execute("COMMIT")
        assert len(await waiting) == 1
        assert turns == 10


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "jobs.db").write_text("This is a letter, and not a short one.\n" * 200)
    store = SqliteStore("sqlite:///jobs.db", root=tmp_path)
    with pytest.raises(StoreUnavailable, match="not a SQLite database"):
        enqueue(store)


def test_a_folder_that_is_missing_is_told_and_works_once_it_is_made(tmp_path: Path) -> None:
    store = SqliteStore("sqlite:///data/jobs.db", root=tmp_path)
    with pytest.raises(StoreUnavailable, match="folder"):
        enqueue(store)
    (tmp_path / "data").mkdir()
    enqueue(store)
    assert total(store) == 1
    store.close()


def test_a_damaged_file_is_told_and_works_once_it_is_restored(store: SqliteStore, tmp_path: Path) -> None:
    enqueue(store)
    store.close()
    shutil.copy(tmp_path / "jobs.db", tmp_path / "backup.db")
    with (tmp_path / "jobs.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (tmp_path / "jobs.db").stat().st_size)
    with pytest.raises(StoreUnavailable, match="damaged"):
        total(store)
    store.close()
    shutil.copy(tmp_path / "backup.db", tmp_path / "jobs.db")
    assert total(store) == 1


def test_an_answer_lost_with_the_commit_is_asked_for_again_and_stores_once(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue(store)
    lost: list[Replies] = []

    def commit_and_fail(*args: Any) -> Replies:
        replies = exchange(*args)
        if not lost:
            lost.append(replies)
            raise UnitFailed(sqlite3.OperationalError("disk I/O error"))
        return replies

    monkeypatch.setattr(driver, "exchange", commit_and_fail)
    assert len(enqueue(store)) == 1
    assert total(store) == 2


def test_a_store_that_stays_silent_after_a_commit_says_that_it_does_not_know(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue(store)

    def fail(*_: object) -> None:
        raise UnitFailed(sqlite3.OperationalError("disk I/O error"))

    with monkeypatch.context() as patched:
        patched.setattr(driver, "exchange", fail)
        with pytest.raises(StoreUnavailable) as unknown:
            enqueue(store)
    assert unknown.value.uncertain
    enqueue(store)


def test_closing_twice_is_harmless_and_a_later_command_opens_again(store: SqliteStore) -> None:
    enqueue(store)
    store.close()
    store.close()
    enqueue(store)
    assert total(store) == 2


def test_a_log_that_has_grown_large_is_emptied_by_a_prune(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "jobs.db-wal"
    enqueue(store, '"' + "x" * 1_000_000 + '"')
    store.run(store.prune(10))
    assert log.stat().st_size > 1_000_000

    monkeypatch.setattr(driver, "WAL_LIMIT", 500_000)
    store.run(store.prune(10))
    assert log.stat().st_size == 0
    assert total(store) == 1


def test_a_migration_tells_of_a_missing_folder_too(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="folder"):
        SqliteStore("sqlite:///data/jobs.db", root=tmp_path).migrate()


def test_a_python_with_an_old_sqlite_is_refused_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 31, 1))
    with pytest.raises(ConfigurationError, match=r"3\.33"):
        SqliteStore("sqlite:///jobs.db", root=tmp_path)


def test_a_claim_may_ask_for_more_queues_than_a_statement_has_arms(store: SqliteStore) -> None:
    (id,) = enqueue(store)
    demand = dict.fromkeys((*(f"q{n}" for n in range(500)), "default"), 1)
    (claim,) = store.run(store.claim(demand, ["work"], [""], new_token(), "worker", 1_000_000)).claims
    assert claim.id == id
