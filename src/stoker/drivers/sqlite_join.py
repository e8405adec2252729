"""A caller's own SQLite connection, whose open transaction a command joins.

We never commit, and change no setting. The transaction must be open: where Python opens it by itself at the first
write (the default isolation level), we open it just as Python would, because the enqueue is that first write; a
connection in autocommit mode has nothing to join and is refused.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from stoker.core.command import Command, Replies
from stoker.drivers.sqlite_unit import exchange_inside
from stoker.errors import EnqueueError, NotSupported, StoreUnavailable, WrongDatabase

T = TypeVar("T")

_TOO_OLD: Final = (
    "the transaction given as transaction= has read before it writes, and another connection has written since: "
    "roll it back and run it again, begun with BEGIN IMMEDIATE"
)


def join(
    on: object, path: Path, url: str, command: Command[T], now: int, prepare: Callable[[sqlite3.Connection], None]
) -> Replies:
    """Run a command inside the transaction of a caller's `sqlite3.Connection`; ``prepare`` sees it first.

    Raises NotSupported for anything else and for commands that cannot join, WrongDatabase for a connection to another
    file, EnqueueError where no transaction is open and none opens by itself, StoreUnavailable where the transaction is
    too old to write. Other errors are the caller's and pass unchanged.
    """
    if not command.joins:
        raise NotSupported(f"{command.name} cannot join a transaction", store=url, verb=command.name)
    if not isinstance(on, sqlite3.Connection):
        kind = f"{type(on).__module__}.{type(on).__qualname__}"
        raise NotSupported(
            f"{url} cannot join a transaction of {kind}: give a sqlite3.Connection", store=url, verb=command.name
        )
    _check_file(on, path, url)
    begun = _begin(on)
    try:
        prepare(on)
        return exchange_inside(on, command, now)
    except BaseException as error:
        if begun and on.in_transaction:
            on.rollback()
        if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_BUSY_SNAPSHOT:
            raise StoreUnavailable(_TOO_OLD, store=url, verb=command.name) from error
        raise


def _check_file(connection: sqlite3.Connection, path: Path, url: str) -> None:
    cursor = sqlite3.Cursor(connection)
    file = next((row[2] for row in cursor.execute("PRAGMA database_list") if row[1] in ("main", b"main")), "")
    named = Path(file.decode() if isinstance(file, bytes) else file)
    if not (file and named.exists() and path.exists() and named.samefile(path)):
        shown = named if file else "a database in memory"
        raise WrongDatabase(f"transaction= is a connection to {shown}, but the jobs are kept in {path} ({url})")


def _begin(connection: sqlite3.Connection) -> bool:
    """Open the transaction that Python would open for a first write; tell whether that was needed."""
    if connection.in_transaction:
        return False
    if connection.isolation_level is None or getattr(connection, "autocommit", -1) is True:
        raise EnqueueError(
            "the connection given as transaction= is in autocommit mode and has no open transaction to join: "
            "execute BEGIN first, or leave transaction= out"
        )
    sqlite3.Cursor(connection).execute(f"BEGIN {connection.isolation_level}")
    return True
