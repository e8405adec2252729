"""`stoker bench` on servers: a place of its own, which it removes, and what only a server can be asked."""

from __future__ import annotations

import json
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from click.testing import CliRunner

from stoker.cli.program import program

ONE = ("--concurrency", "10", "--processes", "1")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The places that a bench makes; others may make theirs on the same server at the same time."""
    made: list[str] = []

    def name(size: int) -> str:
        made.append(token_hex(size))
        return made[-1]

    monkeypatch.setattr("stoker.bench.ground.secrets.token_hex", name)
    return made


def taken(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(program, ["bench", "--json", *arguments], prog_name="stoker", catch_exceptions=False)
    assert done.exit_code == 0, done.output
    answer: dict[str, Any] = json.loads(done.stdout)
    assert all(result["verified"] is True for result in answer["results"])
    return answer


def exists(server: str, schema: str) -> bool:
    with psycopg.connect(server) as connection:
        return connection.execute("SELECT to_regnamespace(%s)::text", (schema,)).fetchone() != (None,)


def test_postgres_is_measured_in_schemas_of_its_own(postgres_server: str, postgres_url: str, places: list[str]) -> None:
    only = "bare,enqueue,enqueue_many,drain"
    answer = taken("--url", postgres_url, "--n", "40", "--only", only, *ONE)
    assert [result["measure"] for result in answer["results"]] == [
        *("bare", "bare", "enqueue", "enqueue_many"),
        *("drain", "drain", "drain"),
    ]
    assert answer["conditions"]["fsync"] in ("on", "off")
    assert [result["of_bare"] is None for result in answer["results"]] == [False, False, False, True, *[False] * 3]
    assert len(places) >= 7
    assert not any(exists(postgres_server, f"stoker_bench_{place}") for place in places)
    assert not exists(postgres_server, urlsplit(postgres_url).query.removeprefix("schema="))


def test_a_latency_of_postgres_is_held_against_bare_handovers(postgres_url: str) -> None:
    results = taken("--url", postgres_url, "--n", "5", "--only", "bare,latency")["results"]
    assert [(result["measure"], result["n"]) for result in results] == [("bare", 5)] * 3 + [("latency", 5)] * 2
    assert all(result["of_bare"] > 0 for result in results)


def test_a_snapshot_is_old_and_a_backlog_waits_while_postgres_is_measured(postgres_url: str) -> None:
    sizes = ("--n", "600", "--backlog", "1500", "--pin-snapshot")
    (drain,) = taken("--url", postgres_url, "--only", "drain", *sizes, *ONE)["results"]
    assert len(drain["fifths"]) == 5


def test_the_cpu_time_of_a_postgres_server_of_this_machine_is_taken(postgres_url: str) -> None:
    (idle,) = taken("--url", postgres_url, "--only", "idle")["results"]
    assert 0 <= idle["server_cpu_percent"] < 100


def test_redis_is_measured_under_keys_of_its_own(redis_server: str, redis_url: str, places: list[str]) -> None:
    sizes = ("--n", "600", "--backlog", "1500")
    answer = taken("--url", redis_url, "--only", "enqueue_many,drain,idle", *sizes, *ONE)
    assert [result["measure"] for result in answer["results"]] == ["enqueue_many", "drain", "idle"]
    assert answer["results"][-1]["server_cpu_percent"] >= 0
    with redis.Redis.from_url(redis_server) as client:
        assert not [key for place in places for key in client.scan_iter(match=f"*{place}*", count=1000)]


def test_a_cluster_is_measured_on_the_server_that_has_the_keys(redis_cluster_url: str, places: list[str]) -> None:
    answer = taken("--url", redis_cluster_url, "--n", "50", "--only", "drain,idle", *ONE)
    assert answer["results"][-1]["server_cpu_percent"] >= 0
    host, _, port = urlsplit(redis_cluster_url).netloc.partition(",")[0].rpartition(":")
    with redis.RedisCluster(host=host, port=int(port)) as client:
        assert not [key for place in places for key in client.scan_iter(match=f"*{place}*", count=1000)]


def test_redis_behind_sentinels_is_measured_on_its_primary(redis_sentinel: Any) -> None:
    (drain, idle) = taken("--url", redis_sentinel.url, "--n", "50", "--only", "drain,idle", "--keep", "default", *ONE)[
        "results"
    ][-2:]
    assert idle["server_cpu_percent"] >= 0
    assert drain["rate"] > 0
