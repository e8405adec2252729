"""The PostgreSQL store keeps the contract."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
import pytest

from stoker.core.command import Replies
from stoker.drivers import postgres as driver
from stoker.drivers.postgres_exchange import exchange
from stoker.stores.base import Store
from stoker.stores.postgres import PostgresStore
from stoker.testing.contract import Place, StoreContract
from tests.rigs.shared import with_option


@contextmanager
def losing_a_reply(_store: Store) -> Iterator[None]:
    """Let the next unit be committed and look like one whose connection was lost; the driver then sends again."""
    lost: list[Replies] = []

    def exchange_and_lose(*args: Any) -> Replies:
        replies = exchange(*args)
        if lost:
            return replies
        lost.append(replies)
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(driver, "exchange", exchange_and_lose)
        yield
    assert lost


@pytest.fixture
def place(postgres_server: str, emptied_schema: str) -> Place:
    connect = partial(PostgresStore, with_option(postgres_server, f"schema={emptied_schema}"))
    transaction = partial(psycopg.connect, postgres_server)
    return Place(connect, between_processes=True, losing_a_reply=losing_a_reply, transaction=transaction)


class TestPostgresStore(StoreContract):
    """Every test is the contract's."""
