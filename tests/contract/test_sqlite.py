"""The SQLite store keeps the contract."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from stoker.stores.sqlite import SqliteStore
from stoker.testing.contract import Place, StoreContract


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(partial(SqliteStore, f"sqlite:///{tmp_path}/jobs.db"), between_processes=True)


class TestSqliteStore(StoreContract):
    """Every test is the contract's."""
