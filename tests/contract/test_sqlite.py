"""The SQLite store keeps the contract."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from stoker.core.command import Replies
from stoker.drivers import sqlite as driver
from stoker.drivers.sqlite_unit import UnitFailed, exchange
from stoker.stores.base import Store
from stoker.stores.sqlite import SqliteStore
from stoker.testing.contract import Place, StoreContract


@contextmanager
def losing_a_reply(_store: Store) -> Iterator[None]:
    """Let the next commit succeed and look like one of which nobody knows; the driver then sends again."""
    lost: list[Replies] = []

    def exchange_and_lose(*args: Any) -> Replies:
        replies = exchange(*args)
        if lost:
            return replies
        lost.append(replies)
        raise UnitFailed(sqlite3.OperationalError("disk I/O error"))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(driver, "exchange", exchange_and_lose)
        yield
    assert lost


@pytest.fixture
def place(tmp_path: Path) -> Place:
    connect = partial(SqliteStore, f"sqlite:///{tmp_path}/jobs.db")

    @contextmanager
    def transaction() -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(tmp_path / "jobs.db")) as connection, connection:
            yield connection

    return Place(connect, True, losing_a_reply, transaction)


class TestSqliteStore(StoreContract):
    """Every test is the contract's."""
