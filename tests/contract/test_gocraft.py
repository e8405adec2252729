"""The gocraft store keeps the contract as far as its flags say, and its scripts keep to the keys that they declare."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from stoker.stores.gocraft import GocraftStore
from stoker.testing.contract import Place, StoreContract
from tests.contract.redis_faults import guarded, losing_a_reply


@pytest.fixture
def place(gocraft_url: str) -> Iterator[Place]:
    with guarded():
        yield Place(partial(GocraftStore, gocraft_url), between_processes=True, losing_a_reply=losing_a_reply)


class TestGocraftStore(StoreContract):
    """Every test is the contract's."""
