"""What `stoker bench` asks of a server with pgmq's queues: queues and a schema of its own, and facts."""

from __future__ import annotations

from psycopg.sql import SQL, Identifier

from stoker.stores.pgmq.look import LISTED
from stoker.stores.pgmq.urls import parse
from stoker.stores.postgres_side import PostgresSide

_VERSION = """
SELECT coalesce((SELECT extversion FROM pg_extension WHERE extname = 'pgmq'), 'plain SQL')"""

_THERE = "SELECT to_regclass('pgmq.meta') IS NOT NULL"


class PgmqSide(PostgresSide):
    """The server, schema and queues of a URL; ``shown`` as errors may show it."""

    def __init__(self, url: str, shown: str) -> None:
        self._parsed = parse(url, shown)
        super().__init__(self._parsed.database, shown)

    def particulars(self) -> dict[str, object]:
        """Say which server and which pgmq it is."""
        with self.connected() as connection:
            row = connection.execute(_VERSION).fetchone()
        return {**super().particulars(), "pgmq": row[0] if row else None}

    def drop(self) -> None:
        """Delete the schema, and the queues of the prefix; without one none, because they may be anybody's."""
        with self.connected() as connection:
            if self._parsed.prefix and connection.execute(_THERE).fetchone() == (True,):
                listed = LISTED.replace(":prefix::text", "%(prefix)s::text").replace("'%'", "'%%'")
                for (queue,) in connection.execute(listed.encode(), {"prefix": self._parsed.prefix}).fetchall():
                    connection.execute("SELECT pgmq.drop_queue(%s::text)", (queue,))
            connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(self.schema)))
