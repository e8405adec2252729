"""An enqueue inside the caller's own transaction commits and rolls back with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stoker.core.filters import EVERYTHING
from stoker.core.job import NewJob, new_call, new_token
from stoker.core.unique import UniqueKey
from stoker.errors import DuplicateJob, EnqueueError, NotSupported, SchemaOutdated, StoreUnavailable, WrongDatabase
from stoker.stores.sqlite import SqliteStore

MODES: dict[str, dict[str, Any]] = {
    "default": {},
    "immediate": {"isolation_level": "IMMEDIATE"},
    "by hand": {"isolation_level": None},
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore("sqlite:///shop.db?busy_timeout=200ms", root=tmp_path)
    store.migrate()
    yield store
    store.close()


@pytest.fixture(params=MODES)
def caller(request: pytest.FixtureRequest, store: SqliteStore, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "shop.db", **MODES[request.param])
    connection.execute("CREATE TABLE customer (name)")
    yield connection
    connection.close()


def begin(caller: sqlite3.Connection) -> None:
    """Begin where Python does not do so by itself."""
    if caller.isolation_level is None:
        caller.execute("BEGIN")


def enqueue(store: SqliteStore, on: object = None, *jobs: NewJob) -> list[str]:
    wanted = jobs or (NewJob("work", "{}"),)
    return [answer.id for answer in store.run(store.enqueue(wanted, new_call()), on)]


def stored(store: SqliteStore) -> list[str]:
    return [job.id for job in store.run(store.find(EVERYTHING, 100))]


def test_the_id_is_known_before_the_commit_and_nobody_sees_the_job_until_then(
    store: SqliteStore, caller: sqlite3.Connection
) -> None:
    begin(caller)
    caller.execute("INSERT INTO customer VALUES ('Ann')")
    (id,) = enqueue(store, caller)
    assert stored(store) == []
    caller.commit()
    assert stored(store) == [id]
    assert caller.execute("SELECT count(*) FROM customer").fetchone() == (1,)


def test_a_rollback_takes_the_job_along(store: SqliteStore, caller: sqlite3.Connection) -> None:
    begin(caller)
    caller.execute("INSERT INTO customer VALUES ('Ann')")
    enqueue(store, caller)
    caller.rollback()
    assert stored(store) == []
    assert caller.execute("SELECT count(*) FROM customer").fetchone() == (0,)
    assert len(enqueue(store)) == 1


def test_an_enqueue_as_the_first_write_waits_for_the_commit_too(store: SqliteStore, caller: sqlite3.Connection) -> None:
    begin(caller)
    (id,) = enqueue(store, caller)
    assert caller.in_transaction
    assert stored(store) == []
    caller.commit()
    assert stored(store) == [id]


def test_an_enqueue_as_the_first_write_can_be_rolled_back(store: SqliteStore, caller: sqlite3.Connection) -> None:
    begin(caller)
    enqueue(store, caller)
    caller.rollback()
    assert stored(store) == []


def test_a_block_that_fails_leaves_no_job(store: SqliteStore, caller: sqlite3.Connection) -> None:
    def block() -> None:
        with caller:
            begin(caller)
            enqueue(store, caller)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        block()
    assert stored(store) == []


async def test_async_code_joins_on_its_own_thread(store: SqliteStore, caller: sqlite3.Connection) -> None:
    begin(caller)
    ((answer,)) = await store.arun(store.enqueue([NewJob("work", "{}")], new_call()), caller)
    caller.commit()
    assert stored(store) == [answer.id]


def test_factories_of_the_caller_change_nothing(store: SqliteStore, caller: sqlite3.Connection) -> None:
    caller.row_factory = sqlite3.Row
    caller.text_factory = bytes
    begin(caller)
    ids = enqueue(store, caller, NewJob("work", "{}", unique=UniqueKey("é")), NewJob("work", '"é"'))
    caller.commit()
    assert stored(store) == ids[::-1]
    assert caller.row_factory is sqlite3.Row


def test_a_duplicate_does_not_end_the_transaction(store: SqliteStore, caller: sqlite3.Connection) -> None:
    unique = UniqueKey("key", on_conflict="raise")
    enqueue(store, None, NewJob("work", "{}", unique=unique))
    begin(caller)
    caller.execute("INSERT INTO customer VALUES ('Ann')")
    with pytest.raises(DuplicateJob):
        enqueue(store, caller, NewJob("work", "{}"), NewJob("work", "{}", unique=unique))
    caller.commit()
    assert caller.execute("SELECT count(*) FROM customer").fetchone() == (1,)
    assert len(stored(store)) == 1


def test_autocommit_has_nothing_to_join(store: SqliteStore, tmp_path: Path) -> None:
    caller = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
    with pytest.raises(EnqueueError, match="execute BEGIN first"):
        enqueue(store, caller)
    caller.close()
    assert stored(store) == []


def test_another_file_is_refused(store: SqliteStore, tmp_path: Path) -> None:
    caller = sqlite3.connect(tmp_path / "other.db")
    with pytest.raises(WrongDatabase, match=r"other\.db"):
        enqueue(store, caller)
    caller.close()


def test_a_database_in_memory_is_refused(store: SqliteStore) -> None:
    caller = sqlite3.connect(":memory:")
    with pytest.raises(WrongDatabase, match="memory"):
        enqueue(store, caller)
    caller.close()


def test_the_same_file_by_another_name_is_the_same(store: SqliteStore, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "shop.db")
    caller = sqlite3.connect(tmp_path / "link.db")
    enqueue(store, caller)
    caller.commit()
    caller.close()
    assert len(stored(store)) == 1


def test_what_is_no_connection_is_named(store: SqliteStore) -> None:
    with pytest.raises(NotSupported, match=r"builtins\.str"):
        enqueue(store, "my transaction")


def test_only_an_enqueue_joins(store: SqliteStore, tmp_path: Path) -> None:
    caller = sqlite3.connect(tmp_path / "shop.db")
    with pytest.raises(NotSupported, match="claim"):
        store.run(store.claim({"default": 1}, ["work"], [""], new_token(), "worker", 1), caller)
    caller.close()


def test_a_transaction_that_is_too_old_to_write_says_how_to_begin(store: SqliteStore, tmp_path: Path) -> None:
    caller = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
    caller.execute("BEGIN")
    caller.execute("SELECT count(*) FROM stoker_job").fetchone()
    enqueue(store)
    with pytest.raises(StoreUnavailable, match="BEGIN IMMEDIATE"):
        enqueue(store, caller)
    assert caller.in_transaction
    caller.close()


def test_other_errors_are_the_callers(store: SqliteStore, tmp_path: Path) -> None:
    caller, writer = (sqlite3.connect(tmp_path / "shop.db", isolation_level=None, timeout=0) for _ in range(2))
    writer.execute("BEGIN IMMEDIATE")
    caller.execute("BEGIN")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        enqueue(store, caller)
    for connection in (caller, writer):
        connection.close()


def test_a_first_enqueue_makes_the_schema_inside_the_transaction_that_holds_the_lock(tmp_path: Path) -> None:
    store = SqliteStore("sqlite:///new.db?busy_timeout=200ms", root=tmp_path)
    caller = sqlite3.connect(tmp_path / "new.db")
    caller.execute("CREATE TABLE customer (name)")
    caller.execute("INSERT INTO customer VALUES ('Ann')")
    enqueue(store, caller)
    caller.rollback()
    caller.execute("INSERT INTO customer VALUES ('Ann')")
    (id,) = enqueue(store, caller)
    caller.commit()
    caller.close()
    assert stored(store) == [id]
    store.close()


def test_in_production_a_missing_schema_is_not_made_inside_a_transaction(tmp_path: Path) -> None:
    store = SqliteStore("sqlite:///new.db", root=tmp_path, auto_migrate=False)
    caller = sqlite3.connect(tmp_path / "new.db")
    caller.execute("CREATE TABLE customer (name)")
    with pytest.raises(SchemaOutdated, match="stoker migrate"):
        enqueue(store, caller)
    caller.close()
