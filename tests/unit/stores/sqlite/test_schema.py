"""The schema is made once, by whoever comes first, and told to be missing where nobody may make it."""

from __future__ import annotations

import multiprocessing
import sqlite3
from pathlib import Path

import pytest

from stoker.core.job import NewJob, new_call
from stoker.errors import SchemaOutdated
from stoker.stores.sqlite import SqliteStore, schema


def test_a_script_is_split_at_the_ends_of_statements_and_not_inside_triggers() -> None:
    script = "CREATE TABLE a (b); -- one;\nCREATE TRIGGER t AFTER INSERT ON a\nBEGIN\n DELETE FROM a;\nEND;\n"
    assert [text.split()[1] for text in schema.statements(script)] == ["TABLE", "TRIGGER"]


def test_migrations_are_numbered_and_end_complete() -> None:
    numbers = [int(name.partition("_")[0]) for name in schema.migrations()]
    assert numbers == sorted(set(numbers))
    for script in schema.migrations().values():
        assert sqlite3.complete_statement(script)


def test_a_migration_that_was_left_out_is_applied_by_its_name(tmp_path: Path) -> None:
    store = SqliteStore("sqlite:///jobs.db", root=tmp_path)
    store.migrate()
    with sqlite3.connect(tmp_path / "jobs.db") as connection:
        connection.execute("DROP TABLE stoker_route")
        connection.execute("DELETE FROM stoker_migration WHERE name = '0007_routes'")

    assert list(store.pending_migrations()) == ["0007_routes"]
    assert list(store.migrate()) == ["0007_routes"]


def test_migrating_twice_applies_once(tmp_path: Path) -> None:
    store = SqliteStore("sqlite:///jobs.db", root=tmp_path)
    assert list(store.pending_migrations()) == list(schema.migrations())
    assert list(store.migrate()) == list(schema.migrations())
    assert list(store.pending_migrations()) == []
    assert list(store.migrate()) == []


def test_asking_what_is_pending_makes_no_file(tmp_path: Path) -> None:
    SqliteStore("sqlite:///jobs.db", root=tmp_path).pending_migrations()
    assert list(tmp_path.iterdir()) == []


def test_the_first_command_makes_the_schema(tmp_path: Path) -> None:
    store = SqliteStore("sqlite:///jobs.db", root=tmp_path)
    assert store.run(store.count()) == []
    assert list(store.pending_migrations()) == []
    store.close()


def test_in_production_a_missing_schema_says_what_to_run(tmp_path: Path) -> None:
    store = SqliteStore("sqlite:///jobs.db", root=tmp_path, auto_migrate=False)
    with pytest.raises(SchemaOutdated, match="stoker migrate"):
        store.run(store.enqueue([NewJob("work", "{}")], new_call()))
    store.migrate()
    assert len(store.run(store.enqueue([NewJob("work", "{}")], new_call()))) == 1
    store.close()


def test_tables_that_vanish_are_made_again_by_the_next_command_but_one(tmp_path: Path) -> None:
    store = SqliteStore("sqlite:///jobs.db", root=tmp_path)
    store.run(store.count())
    with sqlite3.connect(tmp_path / "jobs.db") as other:
        other.execute("DROP TABLE stoker_job")
        other.execute("DROP TABLE stoker_failure")
        other.execute("DROP TABLE stoker_migration")
    with pytest.raises(SchemaOutdated):
        store.run(store.count())
    store.close()


def test_other_tables_of_the_file_are_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as shop:
        shop.execute("CREATE TABLE customer (name)")
        shop.execute("INSERT INTO customer VALUES ('Ann')")
        shop.execute("PRAGMA user_version = 7")
    store = SqliteStore("sqlite:///shop.db", root=tmp_path)
    store.migrate()
    assert shop.execute("SELECT name FROM customer").fetchall() == [("Ann",)]
    assert shop.execute("PRAGMA user_version").fetchone() == (7,)
    names = [name for (name,) in shop.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    assert all(name == "customer" or name.startswith("stoker_") for name in names)
    shop.close()


def _migrate(path: str, gate: object) -> list[str]:
    gate.wait()  # type: ignore[attr-defined]
    return list(SqliteStore(f"sqlite:///{path}").migrate())


def _work(path: str, gate: object, answers: object) -> None:
    answers.put(_migrate(path, gate))  # type: ignore[attr-defined]


def test_of_many_processes_that_migrate_at_once_each_migration_is_applied_by_one(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    count = 6
    gate, answers = spawn.Barrier(count), spawn.Queue()
    processes = [spawn.Process(target=_work, args=(f"{tmp_path}/jobs.db", gate, answers)) for _ in range(count)]
    for process in processes:
        process.start()
    applied = [name for _ in processes for name in answers.get(timeout=50)]
    for process in processes:
        process.join()

    assert applied == list(schema.migrations())
    assert all(process.exitcode == 0 for process in processes)
