"""Jobs as messages of pgmq, a queue inside PostgreSQL that Roadster and others use too."""

from stoker.stores.pgmq.store import PgmqStore, open_pgmq

__all__ = ["PgmqStore", "open_pgmq"]
