"""What `stoker doctor` looks for where queues of pgmq are."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from stoker.core.finding import Finding
from stoker.stores.pgmq.urls import PgmqUrl


def examine(connection: Connection[Any], schema: str, url: PgmqUrl) -> list[Finding]:
    """Look at the server and the queues."""
    return []
