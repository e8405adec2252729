"""What `stoker bench` asks of a PostgreSQL server beside the store's verbs: its own schema, an old snapshot, facts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final

import psycopg
from psycopg.sql import SQL, Identifier

from stoker.drivers.postgres_errors import explain
from stoker.drivers.postgres_session import open_link, parameters
from stoker.drivers.system_processes import parent, title
from stoker.stores.postgres_urls import PostgresUrl, parse

_FACTS: Final = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers")


class PostgresSide:
    """The server and schema of a URL; ``shown`` is the URL as errors may show it."""

    def __init__(self, url: str | PostgresUrl, shown: str) -> None:
        parsed = parse(url) if isinstance(url, str) else url
        self.schema = parsed.schema
        self._params = parameters(parsed.conninfo)
        self._shown = shown

    def particulars(self) -> dict[str, object]:
        """Say which server it is and how carefully it writes."""
        with self.connected() as connection:
            values = [connection.execute("SELECT current_setting(%s)", (name,)).fetchone() for name in _FACTS]
        version, *rest = [value[0] if value else None for value in values]
        return {"postgresql": version, **dict(zip(_FACTS[1:], rest, strict=True))}

    def drop(self) -> None:
        """Delete the schema with everything in it."""
        with self.connected() as connection:
            connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(self.schema)))

    @contextlib.contextmanager
    def pinned(self) -> Iterator[None]:
        """Hold a snapshot open, so that the server must keep all that others delete meanwhile."""
        with self.connected() as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            connection.execute("SELECT count(*) FROM pg_catalog.pg_namespace")
            yield
            connection.execute("ROLLBACK")  # raises if the server has ended the session: then nothing was held

    def server_pid(self) -> int | None:
        """Give the process that all others of the server come from; None when it is not on this machine."""
        with self.connected() as connection:
            row = connection.execute("SELECT pg_backend_pid(), inet_client_port()").fetchone()
            pid, port = row or (0, None)
            # A process of that number is that backend only if its title names the port from which we came.
            named = f"({port})" if port else "[local]"
            return parent(pid) if named in title(pid) else None

    @contextlib.contextmanager
    def connected(self) -> Iterator[psycopg.Connection[Any]]:
        """Give a connection of the kind that the store uses; its errors become ours."""
        try:
            link = open_link(self._params)
            try:
                yield link.connection  # type: ignore[misc]
            finally:
                link.drop()
        except psycopg.Error as error:
            raise explain(error, self._shown, "bench") from error
