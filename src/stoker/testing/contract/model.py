"""The store against a model: what it does in random order is what the memory store does."""

from __future__ import annotations

import pytest

from stoker.core.capability import Capability
from stoker.stores.base import Store
from stoker.stores.memory import MemoryStore
from stoker.testing.contract.base import ContractTests, needs
from stoker.testing.contract.voyage import Voyage
from stoker.testing.fake_clock import FakeClock

STEPS = 120


class ModelContract(ContractTests):
    @needs(MemoryStore.capabilities & ~Capability.NOTIFY)
    @pytest.mark.parametrize("seed", range(8))
    def test_on_a_random_voyage_the_store_does_as_the_model(self, store: Store, clock: FakeClock, seed: int) -> None:
        voyage = Voyage(seed, MemoryStore(clock), store, clock)
        for _ in range(STEPS):
            voyage.step()
