"""Loco's settings files work unchanged."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from stoker.errors import ConfigurationError
from stoker.settings import load

Write = Callable[..., Path]

LOCO = """
# What `loco new` writes, with every background option
logger: {enable: true, pretty_backtrace: true, level: debug, format: compact}
server:
  port: {{ get_env(name="NODE_PORT", default=5150) }}
  binding: localhost
  host: http://localhost
  middlewares: {}
workers:
  mode: BackgroundQueue
queue:
  kind: Sqlite
  uri: {{ get_env(name="QUEUE_URL", default="sqlite://shop_development.sqlite?mode=rwc") }}
  dangerously_flush: false
  enable_logging: false
  max_connections: {{ get_env(name="DB_MAX_CONNECTIONS", default="1") }}
  min_connections: {{ get_env(name="DB_MIN_CONNECTIONS", default="1") }}
  connect_timeout: {{ get_env(name="DB_CONNECT_TIMEOUT", default="500") }}
  idle_timeout: {{ get_env(name="DB_IDLE_TIMEOUT", default="500") }}
  poll_interval_sec: 2
  num_workers: 4
mailer: {smtp: {enable: true, host: localhost, port: 1025, secure: false}}
initializers: {}
database: {uri: "sqlite://shop.sqlite?mode=rwc", auto_migrate: true}
cache: {kind: Null}
auth: {jwt: {secret: PqRwLF2rhHe8J22oBeHy, expiration: 604800}}
settings: {allow_list: [example.com]}
scheduler:
  output: stdout
  jobs:
    reminders: {run: "send_reminders", schedule: "every 15 minutes", tags: ["base"]}
"""


def test_a_whole_file_is_read(root: Path, write: Write) -> None:
    write(LOCO)
    settings = load(root=root, environ={})

    assert settings.mode == "queue"
    assert settings.queue.uri == "sqlite:///shop_development.sqlite?mode=rwc"
    assert settings.queue.poll_interval == timedelta(seconds=2)
    assert settings.workers.concurrency == 4
    assert settings.scheduler.jobs == {
        "reminders": {"run": "send_reminders", "schedule": "every 15 minutes", "tags": ["base"]}
    }


def test_what_is_not_used_yet_is_said(root: Path, write: Write, caplog: pytest.LogCaptureFixture) -> None:
    write(LOCO.replace("dangerously_flush: false", "dangerously_flush: true"))
    load(root=root, environ={})

    assert caplog.messages == ["config/development.yaml: queue.dangerously_flush is not used by this version"]


def test_queues_are_a_list_or_a_mapping(root: Path, write: Write) -> None:
    write("queue: {uri: 'memory://', queues: [mail, default]}")
    assert list(load(root=root, environ={}).queue.queues) == ["mail", "default"]

    write("queue: {uri: 'memory://', queues: {mail: {concurrency: 2}, default: }}")
    queues = load(root=root, environ={}).queue.queues
    assert {name: queue.concurrency for name, queue in queues.items()} == {"mail": 2, "default": None}


@pytest.mark.parametrize(
    ("kind", "uri", "meant"),
    [
        ("Redis", "redis://127.0.0.1", "redis://127.0.0.1"),
        ("Redis", "rediss://cache", "rediss://cache"),
        ("Postgres", "postgres://loco:loco@localhost:5432/app", "postgresql://loco:loco@localhost:5432/app"),
        ("Sqlite", "sqlite://app.sqlite?mode=rwc", "sqlite:///app.sqlite?mode=rwc"),
        ("Sqlite", "sqlite:///app.sqlite", "sqlite:///app.sqlite"),
        ("Sidekiq", "redis://127.0.0.1/1", "sidekiq+redis://127.0.0.1/1"),
        ("Sidekiq", "sidekiq+redis://127.0.0.1/1", "sidekiq+redis://127.0.0.1/1"),
        ("Pgmq", "postgres://localhost/app", "pgmq+postgresql://localhost/app"),
        ("Amqp", "amqps://mq", "amqps://mq"),
        ("Gocraft", "redis://cache?namespace=work", "gocraft+redis://cache?namespace=work"),
        ("memory", "memory://", "memory://"),
    ],
)
def test_a_kind_and_a_uri_are_one_url(root: Path, kind: str, uri: str, meant: str) -> None:
    settings = load(root=root, environ={}, overrides={"queue": {"kind": kind, "uri": uri}})

    assert settings.queue.uri == meant


def test_memory_and_sqlite_need_no_uri(root: Path) -> None:
    assert load(root=root, environ={"STOKER_QUEUE__KIND": "Memory"}).queue.uri == "memory://"
    assert load(root=root, environ={"STOKER_QUEUE__KIND": "Sqlite"}).queue.uri == "sqlite:///stoker.sqlite3"


def test_any_other_kind_needs_a_uri(root: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"queue\.kind: Redis needs queue\.uri \(STOKER_QUEUE__KIND\)"):
        load(root=root, environ={"STOKER_QUEUE__KIND": "Redis"})


def test_a_kind_that_contradicts_the_uri_is_an_error(root: Path, write: Write) -> None:
    write("queue: {kind: Postgres, uri: 'redis://localhost'}")
    with pytest.raises(ConfigurationError, match=r"redis://localhost does not fit kind Postgres"):
        load(root=root, environ={})


def test_an_unknown_kind_is_an_error_with_the_nearest_name(root: Path, write: Write) -> None:
    write("queue: {kind: Postgre, uri: 'postgres://localhost'}")
    with pytest.raises(ConfigurationError, match=r"unknown kind 'Postgre'; did you mean Postgres\?"):
        load(root=root, environ={})


def test_the_short_url_replaces_the_kind_of_the_file_too(root: Path, write: Write) -> None:
    write("queue: {kind: Redis, uri: 'redis://localhost'}")

    assert load(root=root, environ={"STOKER_URL": "memory://"}).queue.uri == "memory://"


def test_our_own_key_wins_over_locos_in_the_same_file(root: Path, write: Write) -> None:
    write("queue: {num_workers: 2}\nworkers: {concurrency: 5}")

    assert load(root=root, environ={}).workers.concurrency == 5
