"""What a store's commands cost, counted and not timed, so that it is the same on a busy machine.

Pages on PostgreSQL, commands on Redis, instructions of SQLite's machine, and lines of Python where jobs are in memory.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

import psycopg
import pytest
import redis
from psycopg.sql import SQL, Identifier

from stoker.stores.base import Store
from stoker.stores.memory import MemoryStore
from stoker.stores.postgres import PostgresStore
from stoker.stores.postgres_urls import parse
from stoker.stores.redis import RedisStore
from stoker.stores.sqlite import SqliteStore
from tests.rigs.plans import watched_plans


class Cost:
    """Counts what an act costs."""

    def __init__(self, count: Callable[[Callable[[], object]], int], tidy: Callable[[], object] = lambda: None) -> None:
        self._count = count
        self._tidy = tidy

    def __call__(self, act: Callable[[], object]) -> int:
        """Give the cost of an act."""
        return self._count(act)

    def tidy(self) -> None:
        """Do now what a server does on its own when it finds the time: it changes what the next act costs."""
        self._tidy()


KINDS: Final = ("memory", "sqlite", "postgres", "redis")


@contextmanager
def counted(kind: str, request: pytest.FixtureRequest) -> Iterator[tuple[Store, Cost]]:
    """Give an empty store and what counts the cost of what is done with it."""
    with pytest.MonkeyPatch.context() as patched:
        match kind:
            case "memory":
                store, cost = _memory()
            case "sqlite":
                store, cost = _sqlite(request.getfixturevalue("tmp_path"), patched)
            case "postgres":
                store, cost = _postgres(request.getfixturevalue("postgres_url"), patched)
            case _:
                store, cost = _redis(request.getfixturevalue("redis_url"))
        try:
            yield store, cost
        finally:
            store.close()


def _memory() -> tuple[Store, Cost]:
    def lines(act: Callable[[], object]) -> int:
        ran = 0

        def trace(_frame: FrameType, event: str, _arg: object) -> Any:
            nonlocal ran
            ran += event == "line"
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            act()
        finally:
            sys.settrace(before)
        return ran

    return MemoryStore(), Cost(lines)


def _sqlite(folder: Path, patched: pytest.MonkeyPatch) -> tuple[Store, Cost]:
    connect, ran = sqlite3.connect, 0
    opened: list[sqlite3.Connection] = []

    def connecting(*args: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)
        opened.append(connection)
        return connection

    def tick() -> int:
        nonlocal ran
        ran += 1
        return 0

    def instructions(act: Callable[[], object]) -> int:
        """Count in tens."""
        nonlocal ran
        ran = 0
        for one in opened:
            one.set_progress_handler(tick, 10)
        act()
        for one in opened:
            one.set_progress_handler(None, 0)
        return ran

    patched.setattr(sqlite3, "connect", connecting)
    return SqliteStore("sqlite:///jobs.db", root=folder), Cost(instructions)


def _postgres(url: str, patched: pytest.MonkeyPatch) -> tuple[Store, Cost]:
    plans = watched_plans(patched)

    def pages(act: Callable[[], object]) -> int:
        plans.forget()
        act()
        return plans.pages

    def vacuum() -> None:
        parsed = parse(url)
        with psycopg.connect(parsed.conninfo, autocommit=True) as connection:
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [parsed.schema])
            for (table,) in tables.fetchall():
                connection.execute(SQL("VACUUM (ANALYZE) {}").format(Identifier(parsed.schema, table)))

    return PostgresStore(url), Cost(pages, vacuum)


def _redis(url: str) -> tuple[Store, Cost]:
    def commands(act: Callable[[], object]) -> int:
        with redis.Redis.from_url(url.partition("?")[0], protocol=2) as client:
            client.config_resetstat()
            act()
            statistics = client.info("commandstats")
        return sum(int(row["calls"]) for row in statistics.values())

    return RedisStore(url), Cost(commands)
