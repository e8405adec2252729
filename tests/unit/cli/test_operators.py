"""Queues, names, workers, status, schemas and settings."""

from __future__ import annotations

import pytest

from stoker import Stoker
from stoker.core.capability import Capability
from stoker.stores.base import Store
from stoker.stores.sqlite.store import SqliteStore
from tests.unit.cli.conftest import Shell


def test_queues_are_listed_with_their_lag_and_states(shop: Shell, jobs: Stoker[None]) -> None:
    jobs.get("send").enqueue("a@example.org")

    (mail,) = shop.answer("queues", "list")

    assert (mail["name"], mail["paused"], mail["served"], mail["states"]["available"]) == ("mail", False, False, 1)
    assert mail["lag_seconds"] >= 0


def test_a_queue_is_paused_and_resumed(shop: Shell, jobs: Stoker[None]) -> None:
    jobs.get("send").enqueue("a@example.org")

    assert shop("queues", "pause", "mail", "sms").stdout == "2 queues paused\n"
    assert [queue["paused"] for queue in shop.answer("queues", "list")] == [True, True]
    assert shop("queues", "pause", "mail").stdout == "0 queues paused, 1 already paused\n"
    assert shop.answer("queues", "resume", "mail")["changed"] == 1
    assert {queue["name"]: queue["paused"] for queue in shop.answer("queues", "list")} == {"mail": False, "sms": True}


def test_a_name_is_paused_and_resumed(shop: Shell, jobs: Stoker[None]) -> None:
    jobs.get("send").enqueue("a@example.org")

    assert shop("names", "pause", "send").stdout == "1 name paused\n"
    (send,) = shop.answer("names", "list")
    assert (send["name"], send["paused"], send["states"]["available"]) == ("send", True, 1)
    assert "paused names: send" in shop("status").stdout
    assert shop("names", "resume", "send").stdout == "1 name resumed\n"


def test_no_worker_is_an_empty_list(shop: Shell) -> None:
    assert shop.answer("workers", "list") == []


def test_status_has_the_documented_shape(shop: Shell, jobs: Stoker[None]) -> None:
    jobs.get("send").enqueue("a@example.org")

    (store,) = shop.answer("status")["stores"]

    assert store["name"] == "default"
    assert store["url"] == f"sqlite:///{shop.folder}/jobs.sqlite3"
    assert store["workers"] == []
    (queue,) = store["queues"]
    assert {"name", "paused", "lag_seconds", "states", "unserved"} <= queue.keys()
    assert queue["unserved"] == {"names": ["send"], "tags": []}


def test_status_says_which_queue_nobody_serves(shop: Shell, jobs: Stoker[None]) -> None:
    jobs.get("send").enqueue("a@example.org")

    assert "queue mail: no live worker serves it; 1 job waiting" in shop("status").stdout


def test_status_speaks_of_every_store(shop: Shell) -> None:
    shop.write("config/development.yaml", "stores: {legacy: 'sqlite:///old.sqlite3'}\n")

    assert [store["name"] for store in shop.answer("status")["stores"]] == ["default", "legacy"]
    assert shop.answer("queues", "list", "--store", "legacy") == []
    assert shop("queues", "list", "--store", "nope").exit_code == 2


def test_production_has_its_schema_made_by_migrate_alone(shop: Shell) -> None:
    assert shop("-e", "production", "migrate", "status").exit_code == 4
    assert shop("-e", "production", "status").exit_code == 4
    assert shop("-e", "production", "migrate").exit_code == 0
    assert shop("-e", "production", "migrate", "up").stdout == "default: up to date\n"
    assert shop("-e", "production", "migrate", "status").exit_code == 0
    assert shop("-e", "production", "status").exit_code == 0


def test_a_store_that_cannot_be_reached_exits_3(shop: Shell) -> None:
    shop.write("jobs.sqlite3", "this is no database, however long it may be\n" * 50)

    result = shop("status")

    assert result.exit_code == 3, result.output
    assert result.stderr.count("\n") == 1
    assert "jobs.sqlite3 is not available (workers): the file is not a SQLite database" in result.stderr


def test_config_show_gives_origins(shop: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOKER_WORKERS__CONCURRENCY", "3")

    rows = {row["key"]: row for row in shop.answer("config", "show")}

    assert rows["workers.concurrency"] == {
        "key": "workers.concurrency",
        "value": "3",
        "origin": "STOKER_WORKERS__CONCURRENCY",
    }
    assert rows["queue.uri"]["origin"] == "constructor"
    assert rows["workers.lease"]["origin"] == "default"


def test_config_show_needs_no_application(stoker: Shell) -> None:
    result = stoker("config", "show", "--url", "postgres://me:secret@db/jobs")

    assert result.exit_code == 0
    assert "postgresql://me:***@db/jobs" in result.stdout
    assert "secret" not in result.stdout


def test_config_check_counts_what_it_found(shop: Shell) -> None:
    assert shop("config", "check").stdout.endswith("; 2 jobs defined\n")
    assert shop.answer("config", "check")["jobs"] == ["resize", "send"]


def test_config_check_names_the_first_mistake(shop: Shell) -> None:
    shop.write("config/development.yaml", "workers: {concurency: 3}\n")

    result = shop("config", "check")

    assert result.exit_code == 2
    assert "did you mean workers.concurrency?" in result.stderr


def test_config_check_resolves_the_types_of_all_jobs(shop: Shell) -> None:
    shop.write("shop.py", "from stoker import Stoker\napp = Stoker()\n@app.job\ndef send(to: 'Nobody') -> None: ...\n")

    result = shop("config", "check")

    assert result.exit_code == 2
    assert "Nobody" in result.stderr


def test_the_memory_of_this_process_is_not_the_applications(shop: Shell) -> None:
    assert "not your application's" in shop("status", "--url", "memory://").stderr


def test_the_migrations_can_be_printed_instead_of_applied(shop: Shell) -> None:
    printed = shop("-e", "production", "migrate", "--sql")
    assert "CREATE TABLE stoker_job" in printed.stdout
    assert shop("-e", "production", "migrate", "sql").stdout == printed.stdout
    assert shop("-e", "production", "migrate", "status").exit_code == 4


def test_the_doctor_names_what_is_wrong_and_what_to_do(shop: Shell) -> None:
    examined = shop("-e", "production", "doctor")
    assert examined.exit_code == 1
    assert "FAIL  default  schema: 0001_jobs, " in examined.stdout
    assert " missing\n      run: stoker migrate\n" in examined.stdout


def test_the_doctor_is_content_with_warnings(shop: Shell) -> None:
    shop("migrate")
    examined = shop("doctor")
    assert examined.exit_code == 0
    assert "warn  default  workers: none is alive" in examined.stdout


def test_of_a_store_that_does_not_know_its_workers_nothing_is_said_of_them(
    shop: Shell, jobs: Stoker[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.get("send").enqueue("a@example.org")
    monkeypatch.setattr(SqliteStore, "capabilities", SqliteStore.capabilities & ~Capability.PRESENCE)

    status = shop("status").stdout
    assert "  does not know its workers\n" in status
    assert "no live worker" not in status
    assert [queue["served"] for queue in shop.answer("queues", "list")] == [None]
    assert [name["served"] for name in shop.answer("names", "list")] == [None]
    assert shop.answer("status")["stores"][0]["workers"] is None
    examined = shop("doctor").stdout
    assert "ok    default  workers: this store does not know them" in examined
    assert "no live worker" not in examined


def test_a_refusal_says_in_words_what_the_store_cannot_do(shop: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqliteStore, "entries", Store.entries)

    refused = shop("periodic", "list")

    assert refused.exit_code == 2
    assert refused.stderr.endswith(" cannot list periodic entries: it lacks TICK\n")
