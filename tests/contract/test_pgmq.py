"""The store in pgmq's queues keeps the contract as far as its flags say."""

from __future__ import annotations

from functools import partial

import psycopg
import pytest

from stoker.stores.pgmq import open_pgmq
from stoker.testing.contract import Place, StoreContract
from tests.contract.test_postgres import losing_a_reply


@pytest.fixture
def place(pgmq_url: str, postgres_server: str) -> Place:
    # Archived, or nobody could look at what became of the jobs.
    connect = partial(open_pgmq, f"{pgmq_url}&on_success=archive")
    transaction = partial(psycopg.connect, postgres_server)
    return Place(connect, between_processes=True, losing_a_reply=losing_a_reply, transaction=transaction)


class TestPgmqStore(StoreContract):
    """Every test is the contract's."""
