"""How units travel: in libpq's pipeline mode, each with one Sync behind it, moved along by psycopg's ``wait``.

Own code, because a cursor costs more of this process's time than a small command costs the server, and cannot leave an
answer for later: what comes after a unit (a notification) goes out with it, but nobody waits for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeAlias

import psycopg
from psycopg import AsyncConnection, Connection, pq
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.waiting import Wait

from stoker.core.command import Command, Replies, Row, Sql, Value
from stoker.drivers.postgres_text import Texts
from stoker.errors import NotSupported

MOST_PREPARED: Final = 100
"""Statements that one session keeps ready; further ones are planned each time."""

DURABLE: Final = b"RESET synchronous_commit"
QUICK: Final = b"SET synchronous_commit = off"
# Behind a pooler they are set anew for each unit, and end with it: the session is another client's in a moment.
_FOR_THE_UNIT: Final = b"""
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
    set_config('jit', 'off', true), set_config('lock_timeout', '10s', true)"""
_AND_QUICK: Final = b", set_config('synchronous_commit', 'off', true)"

AnyConnection: TypeAlias = Connection[Any] | AsyncConnection[Any]
Take: TypeAlias = Callable[[pq.abc.PGresult], None]


class Link:
    """An open session, and what is known of it."""

    __slots__ = ("_expected", "_named", "_prepared", "connection", "durable", "pgconn", "pooled", "types")

    def __init__(self, connection: AnyConnection, *, pooled: bool) -> None:
        self.connection = connection
        self.pgconn = connection.pgconn
        self.pooled = pooled
        """A pooler stands between: a session's settings and prepared statements would be another client's."""
        self.durable = True
        self.types = Transformer(connection)
        self._expected: deque[Take] = deque()
        self._prepared: dict[bytes, bytes] = {}
        self._named = 0

    @property
    def lost(self) -> bool:
        """Whether it cannot be used again."""
        return self.pgconn.status != pq.ConnStatus.OK

    def drop(self) -> None:
        """Close it at once, from any thread and without an event loop."""
        self.pgconn.finish()

    # -- what is sent: nothing of it waits ----------------------------------------------------------------------------

    def send(self, text: bytes, values: Sequence[bytes | None], take: Take, *, prepared: bool) -> None:
        """Send a statement; ``take`` is given its result, whatever that is."""
        name = self._prepared.get(text) if prepared else None
        if name is None and prepared and len(self._prepared) < MOST_PREPARED:
            self._named += 1
            name = b"stoker_%d" % self._named
            self._prepared[text] = name
            self.pgconn.send_prepare(name, text)
            self._expected.append(partial(self._made_ready, text, take))
        if name is None:
            self.pgconn.send_query_params(text, values, result_format=pq.Format.BINARY)
        else:
            self.pgconn.send_query_prepared(name, values, result_format=pq.Format.BINARY)
        self._expected.append(take)

    def sync(self, take: Take) -> None:
        """End a unit."""
        self.pgconn.pipeline_sync()
        self._expected.append(take)

    def advance(self) -> None:
        """Take in what has arrived."""
        self.pgconn.consume_input()
        expected = self._expected
        while expected and not self.pgconn.is_busy():
            result = self.pgconn.get_result()
            # The results of one statement end with none at all.
            if result is not None:
                expected.popleft()(result)
            elif self.lost:
                raise psycopg.OperationalError("the connection was lost")

    def _made_ready(self, text: bytes, take: Take, result: pq.abc.PGresult) -> None:
        if result.status != pq.ExecStatus.COMMAND_OK:
            del self._prepared[text]
            # What is wrong with it is said only here.
            take(result)


def exchange(link: Link, command: Command[Any], after: Sql | None, texts: Texts, now: int | None) -> Replies:
    """Run a command as a unit of its own; what comes ``after`` it is another, for which nobody waits."""
    connection = link.connection
    assert isinstance(connection, Connection)  # noqa: S101 - told to the type checkers
    replies = connection.wait(_Unit(link, command, None if link.pooled else after, texts, now).travel())
    if link.pooled and after is not None:
        # A pooler gives the server away where a unit ends, and what was sent behind it to another one.
        connection.wait(_Unit(link, replace(command, steps=(after,)), None, texts, now).travel())
    return replies


async def aexchange(link: Link, command: Command[Any], after: Sql | None, texts: Texts, now: int | None) -> Replies:
    """Run a command as a unit of its own, on an async connection."""
    connection = link.connection
    assert isinstance(connection, AsyncConnection)  # noqa: S101 - told to the type checkers
    replies = await connection.wait(_Unit(link, command, None if link.pooled else after, texts, now).travel())
    if link.pooled and after is not None:
        await connection.wait(_Unit(link, replace(command, steps=(after,)), None, texts, now).travel())
    return replies


class _Unit:
    """A command on its way: sent as a whole when it is made."""

    def __init__(self, link: Link, command: Command[Any], after: Sql | None, texts: Texts, now: int | None) -> None:
        self._link = link
        self._replies: list[Sequence[Row]] = []
        self._error: psycopg.Error | None = None
        self._ended = False
        if link.pgconn.pipeline_status == pq.PipelineStatus.OFF:
            link.pgconn.enter_pipeline_mode()
        if link.pooled:
            link.send(_FOR_THE_UNIT if command.durable else _FOR_THE_UNIT + _AND_QUICK, (), self._check, prepared=False)
        elif link.durable != command.durable:
            link.send(DURABLE if command.durable else QUICK, (), self._check, prepared=False)
            link.sync(_ignore)
            link.durable = command.durable
        for step in command.steps:
            self._send(command, step, self._take, texts, now)
        link.sync(self._end)
        if after is not None:
            self._send(command, after, _ignore, texts, now)
            link.sync(_ignore)

    def travel(self) -> Generator[Wait, Any, Replies]:
        """Wait for the answer, as psycopg's generators do: each yield says what for."""
        pgconn = self._link.pgconn
        try:
            while (unsent := pgconn.flush()) or not self._ended:
                yield Wait.RW if unsent else Wait.R
                self._link.advance()
        except psycopg.OperationalError as lost:
            # Why the server hung up says more than that it did.
            raise self._error or lost from None
        if self._error is not None:
            raise self._error
        return self._replies

    def _send(self, command: Command[Any], step: object, take: Take, texts: Texts, now: int | None) -> None:
        if not isinstance(step, Sql) or not isinstance(step.params, Mapping):
            raise NotSupported(f"{command.name} was made by another store than this one", verb=command.name)
        text, names = texts.sent(step.text)
        params, prepared = step.params, not (step.replan or self._link.pooled)
        values = [_written(now if name == "now" else params[name]) for name in names]
        self._link.send(text, values, take, prepared=prepared)

    def _take(self, result: pq.abc.PGresult) -> None:
        if result.status == pq.ExecStatus.TUPLES_OK:
            types = self._link.types
            types.set_pgresult(result)
            self._replies.append(types.load_rows(0, result.ntuples, tuple))
        else:
            self._replies.append(())
            self._check(result)

    def _check(self, result: pq.abc.PGresult) -> None:
        # Without a code it is libpq that says so: the connection is lost, which `travel` finds out.
        failed = result.status == pq.ExecStatus.FATAL_ERROR and result.error_field(pq.DiagnosticField.SQLSTATE)
        if failed and self._error is None:
            self._error = error_from_result(result)

    def _end(self, result: pq.abc.PGresult) -> None:
        # A commit itself may fail.
        self._check(result)
        self._ended = True


def _ignore(result: pq.abc.PGresult) -> None:
    """Nobody waits for this result."""


def _written(value: Value) -> bytes | None:
    """Give a value as the server reads it: its statement says of what type it is."""
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return b"\\x" + value.hex().encode()
    return str(value).encode()
