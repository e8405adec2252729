"""The PostgreSQL store keeps the contract."""

from __future__ import annotations

from functools import partial

import pytest

from stoker.stores.postgres import PostgresStore
from stoker.testing.contract import Place, StoreContract


@pytest.fixture
def place(postgres_url: str) -> Place:
    return Place(partial(PostgresStore, postgres_url), between_processes=True)


class TestPostgresStore(StoreContract):
    """Every test is the contract's."""
