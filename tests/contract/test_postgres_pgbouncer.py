"""The PostgreSQL store keeps the contract behind PgBouncer in transaction mode: each unit meets another session."""

from __future__ import annotations

from functools import partial
from urllib.parse import quote

import pytest

from stoker.stores.postgres import PostgresStore
from stoker.testing.contract import Place, StoreContract
from tests.contract.test_postgres import losing_a_reply
from tests.rigs.shared import with_option


@pytest.fixture
def place(pgbouncer_server: str, postgres_server: str, emptied_schema: str) -> Place:
    url = with_option(pgbouncer_server, f"schema={emptied_schema}&listen_url={quote(postgres_server)}")
    return Place(partial(PostgresStore, url), between_processes=True, losing_a_reply=losing_a_reply)


class TestPostgresStoreBehindPgBouncer(StoreContract):
    """Every test is the contract's."""
