"""graphile-worker beside stoker, on the same PostgreSQL server."""
