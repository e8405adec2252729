"""The memory store keeps the contract."""

from __future__ import annotations

from functools import cache

import pytest

from stoker.stores.memory import MemoryStore
from stoker.testing.contract import Place, StoreContract


@pytest.fixture
def place() -> Place:
    # All handles are one: the jobs live in the instance.
    return Place(cache(MemoryStore))


class TestMemoryStore(StoreContract):
    """Every test is the contract's."""
