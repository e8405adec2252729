"""The Redis store keeps the contract, on one server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from redis.connection import AbstractConnection
from redis.exceptions import ConnectionError as ConnectionLost

from stoker.drivers.redis import RedisDriver
from stoker.stores.base import Store
from stoker.stores.redis import RedisStore
from stoker.testing.contract import Place, StoreContract


@contextmanager
def losing_a_reply(_store: Store) -> Iterator[None]:
    """Let the next script be carried out and its answer get lost; the driver then sends it again."""
    lost: list[Any] = []
    call = RedisDriver._call

    def call_and_lose(self: RedisDriver, connection: AbstractConnection, *args: Any, **options: Any) -> Any:
        reply = call(self, connection, *args, **options)
        if lost:
            return reply
        lost.append(reply)
        raise ConnectionLost("the connection was cut")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(RedisDriver, "_call", call_and_lose)
        yield
    assert lost


@pytest.fixture
def place(redis_url: str) -> Place:
    connect = partial(RedisStore, redis_url)
    return Place(connect, between_processes=True, losing_a_reply=losing_a_reply)


class TestRedisStore(StoreContract):
    """Every test is the contract's."""
