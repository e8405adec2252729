"""The contract suite: what every store must do, as tests to subclass.

A store is proven by a fixture that says where it keeps its jobs, and an empty subclass::

    import pytest
    from stoker.testing.contract import Place, StoreContract

    @pytest.fixture
    def place(tmp_path):
        return Place(partial(MyStore, tmp_path / "jobs"), between_processes=True)

    class TestMyStore(StoreContract):
        pass

Tests of what a store lacks (a missing `Capability`) are skipped, and its refusal is tested instead. Needs pytest and
pytest-asyncio.
"""

from __future__ import annotations

from pkgutil import iter_modules

import pytest

# Before the tests are imported, or their asserts would say nothing when they fail.
pytest.register_assert_rewrite(*(module.name for module in iter_modules(__path__, f"{__name__}.")))

from stoker.testing.contract.base import Connect, Place  # noqa: E402
from stoker.testing.contract.suite import StoreContract  # noqa: E402

__all__ = ["Connect", "Place", "StoreContract"]
