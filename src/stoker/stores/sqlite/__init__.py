"""Jobs kept in a SQLite file: no server, and as durable as one."""

from stoker.stores.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
