"""Each server starts, answers, restarts, and is gone afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from socket import create_connection
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from tests.rigs.postgres import Postgres
from tests.rigs.processes import ROOT, until
from tests.rigs.servers import make, running
from tests.rigs.shared import Landlord, Tenant
from tests.rigs.valkey import Valkey
from tests.rigs.valkey_groups import ValkeyCluster, ValkeySentinel


def sql(url: str, words: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        cursor = connection.execute(words.encode())
        return cursor.fetchall() if cursor.description else []


def test_a_restarted_postgresql_keeps_its_data_and_its_port(own_postgres: Postgres) -> None:
    url = own_postgres.url
    sql(url, "create table kept as select 42 as n")
    own_postgres.restart()
    assert sql(url, "select n from kept") == [(42,)]


def test_a_crashed_postgresql_keeps_what_was_committed(own_postgres: Postgres) -> None:
    assert sql(own_postgres.url, "show fsync") == [("on",)]
    sql(own_postgres.url, "create table kept as select 42 as n")
    own_postgres.restart("immediate")
    assert sql(own_postgres.url, "select n from kept") == [(42,)]


def test_a_removed_postgresql_leaves_nothing_behind() -> None:
    with running(Postgres(fsync=False, statement_timeout="7s")) as server:
        assert sql(server.url, "show statement_timeout") == [("7s",)]
    assert not server.data.parent.exists()
    with pytest.raises(psycopg.OperationalError):
        sql(server.url, "select 1")


def test_a_server_whose_starter_is_killed_ends_too(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.rigs.servers", "redis"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        url = starter.stdout.readline().decode().strip()
        starter.kill()
    until(lambda: not list(tmp_path.iterdir()), what="the server's folder is removed")
    with pytest.raises(ConnectionRefusedError):
        create_connection(("127.0.0.1", urlsplit(url).port or 0))


@pytest.mark.usefixtures("pgbouncer_server")  # which says what is missing where there is none
def test_pgbouncer_gives_each_transaction_any_connection() -> None:
    # One of its own: the shared one has connections of other tests to give.
    with (
        running(make("pgbouncer")) as server,
        psycopg.connect(server.url, prepare_threshold=None) as first,
        psycopg.connect(server.url, prepare_threshold=None) as second,
    ):
        pids = {talk.execute("select pg_backend_pid()").fetchone() for talk in (first, second)}
        assert len(pids) == 2
        first.rollback()
        second.rollback()
        second.execute("select 1")
        seen = first.execute("select pg_backend_pid()").fetchone()
        assert seen in pids


def test_a_crashed_valkey_forgets_what_it_was_not_told_to_persist(own_redis: Valkey) -> None:
    with own_redis.client() as client:
        client.set("key", "value")
        own_redis.kill()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        own_redis.start()
        assert client.get("key") is None


def test_a_valkey_that_appends_keeps_its_data() -> None:
    with running(Valkey(appendonly="yes", appendfsync="always")) as server, server.client() as client:
        client.set("key", "value")
        server.kill()
        server.start()
        assert client.get("key") == b"value"


def test_a_valkey_that_is_stopped_by_a_signal_hangs(own_redis: Valkey) -> None:
    own_redis.send(signal.SIGSTOP)
    with create_connection(("127.0.0.1", own_redis.port), timeout=0.1) as client:
        client.sendall(b"PING\r\n")
        with pytest.raises(TimeoutError):
            client.recv(100)


def test_a_slot_moves_with_its_keys(redis_cluster: ValkeyCluster) -> None:
    with redis.RedisCluster(host="127.0.0.1", port=redis_cluster.nodes[0].port) as client:
        client.set("{jobs}:1", "value")
        slot = redis_cluster.slot_of("{jobs}:2")
        before = redis_cluster.owner_of(slot)
        assert redis_cluster.move_slot(slot) is redis_cluster.owner_of(slot) is not before
        assert client.get("{jobs}:1") == b"value"


def test_sentinels_replace_a_killed_primary(redis_sentinel: ValkeySentinel) -> None:
    first = redis_sentinel.primary
    with first.client() as client:
        client.set("key", "value")
        client.wait(1, 1000)
    redis_sentinel.fail_over()
    assert redis_sentinel.primary is not first
    redis_sentinel.revive()
    with first.client() as client:
        assert client.role()[0] == b"slave"
    with redis_sentinel.primary.client() as client:
        assert client.get("key") == b"value"


def test_all_workers_of_a_run_are_told_the_same_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STOKER_TEST_REDIS_URL", raising=False)
    landlord = Landlord()
    try:
        tenants = [Tenant(landlord.address) for _ in range(2)]
        first, second = (tenant.url("redis") for tenant in tenants)
        assert first == second
        with pytest.raises(AssertionError, match="KeyError"):
            tenants[0].url("oracle")
    finally:
        landlord.remove()


def test_a_server_from_the_environment_is_taken_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOKER_TEST_POSTGRES_URL", "postgresql://elsewhere/db")
    assert Landlord().url("postgres-without-fsync") == "postgresql://elsewhere/db"


def test_a_place_on_a_shared_server_is_fresh(postgres_url: str, redis_url: str, old_redis_url: str) -> None:
    assert "schema=t_" in postgres_url
    assert "prefix=t_" in redis_url
    with redis.Redis.from_url(old_redis_url.partition("?")[0]) as client:
        assert str(client.info("server")["redis_version"]).startswith("6.2.")
