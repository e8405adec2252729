"""The Redis store keeps the contract on one server, and its scripts keep to the keys that they declare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from stoker.core.command import Script
from stoker.errors import StoreError
from stoker.stores.redis import RedisStore
from stoker.testing.contract import Place, StoreContract
from tests.contract.redis_faults import guarded, losing_a_reply


@pytest.fixture
def place(redis_url: str) -> Iterator[Place]:
    with guarded():
        yield Place(partial(RedisStore, redis_url), between_processes=True, losing_a_reply=losing_a_reply)


class TestRedisStore(StoreContract):
    """Every test is the contract's."""


def test_the_guard_notices_a_key_that_was_not_declared(redis_url: str) -> None:
    with guarded():
        store = RedisStore(redis_url)
        command = store.lead("role", "holder", 1)
        (step,) = command.steps
        assert isinstance(step, Script)
        step = replace(step, source=step.source.replace("call('HGET', k_leaders", "call('HGET', 'elsewhere'"))
        with pytest.raises(StoreError, match="undeclared key: HGET elsewhere"):
            store._driver.run(step, command.retry, "lead")
        store.close()
