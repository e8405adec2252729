"""A place on a PostgreSQL server for contract tests, one after the other: to empty it is quicker than to make it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.sql import SQL, Composed, Identifier


class Schema:
    """A schema of this process's tests; the first one's store makes its tables."""

    def __init__(self, server: str) -> None:
        self.name = f"t_{secrets.token_hex(6)}"
        self._connection = psycopg.connect(server, autocommit=True, options="-c lock_timeout=20s")
        self._emptying: Composed | None = None

    def empty(self) -> None:
        """Delete what a test has left."""
        if self._emptying is None:
            listed = "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename <> 'migration'"
            tables = [table for (table,) in self._connection.execute(listed, [self.name]).fetchall()]
            self._emptying = (
                SQL("; ").join(SQL("DELETE FROM {}").format(Identifier(self.name, table)) for table in tables)
                if tables
                else None
            )
        if self._emptying is not None:
            self._connection.execute(self._emptying)

    def drop(self) -> None:
        """Drop it."""
        self._connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(self.name)))
        self._connection.close()


@pytest.fixture(scope="session")
def schema_of_process(postgres_server: str) -> Iterator[Schema]:
    schema = Schema(postgres_server)
    yield schema
    schema.drop()


@pytest.fixture
def emptied_schema(schema_of_process: Schema) -> Iterator[str]:
    """The name of a schema in which there is nothing."""
    yield schema_of_process.name
    schema_of_process.empty()
