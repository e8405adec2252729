"""The Redis store keeps the contract on the oldest server that it takes."""

from __future__ import annotations

from functools import partial

import pytest

from stoker.stores.redis import RedisStore
from stoker.testing.contract import Place, StoreContract


@pytest.fixture
def place(old_redis_url: str) -> Place:
    return Place(partial(RedisStore, old_redis_url), between_processes=True)


class TestRedisStoreOnRedis6(StoreContract):
    """Every test is the contract's."""
