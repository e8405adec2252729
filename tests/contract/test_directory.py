"""The store of another package keeps the contract: what `examples/directory_store` shows."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from examples.directory_store.stoker_directory import DirectoryStore
from stoker.testing.contract import Place, StoreContract


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(partial(DirectoryStore, tmp_path / "jobs"), between_processes=True)


class TestDirectoryStore(StoreContract):
    """Every test is the contract's."""
