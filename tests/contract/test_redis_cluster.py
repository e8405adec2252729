"""The Redis store keeps the contract on a cluster of three nodes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from stoker.stores.redis import RedisStore
from stoker.testing.contract import Place, StoreContract
from tests.contract.redis_faults import guarded, losing_a_reply


@pytest.fixture
def place(redis_cluster_url: str) -> Iterator[Place]:
    with guarded():
        yield Place(partial(RedisStore, redis_cluster_url), between_processes=True, losing_a_reply=losing_a_reply)


class TestRedisStoreInACluster(StoreContract):
    """Every test is the contract's."""
