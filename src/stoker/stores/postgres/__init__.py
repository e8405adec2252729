"""Jobs in a PostgreSQL schema."""

from stoker.stores.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
