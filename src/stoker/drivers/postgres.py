"""How commands travel to a PostgreSQL server: over own connections, sync or async, again where that is safe."""

from __future__ import annotations

import asyncio
import random
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

import psycopg

from stoker.core.clock import Clock
from stoker.core.command import Command, Replies, Retry, Sql
from stoker.drivers.forks import follow_forks
from stoker.drivers.postgres_errors import Fate, explain, fate
from stoker.drivers.postgres_exchange import aexchange, exchange
from stoker.drivers.postgres_pool import LoopPool, ThreadPool
from stoker.drivers.postgres_session import aopen_link, open_link, parameters
from stoker.drivers.postgres_text import Texts

T = TypeVar("T")

PATIENCE: Final = 120.0
"""Seconds that a worker waits for an answer; none of its commands takes nearly as long."""
TRIES: Final = 4
PAUSES: Final = (0.02, 0.2, 0.8)
"""Seconds between tries; a restart that takes longer is for the callers to wait out."""

_inherited: list[object] = []
"""Connections of a parent process: kept for ever, because to close one would end the parent's session."""


class PostgresDriver:
    """Runs commands in one database. ``prepare`` is called once, before the first command, and may make the schema.

    ``clock`` replaces the server's time, for tests.
    """

    def __init__(
        self,
        conninfo: str,
        url: str,
        texts: Texts,
        clock: Clock | None,
        prepare: Callable[[], None],
        *,
        pool_size: int,
    ) -> None:
        self.params = parameters(conninfo)
        self.texts = texts
        self._url = url
        self._clock = clock
        self._prepare = prepare
        self._pool_size = pool_size
        self._start_over()
        follow_forks(self)

    def run(self, command: Command[T], after: Sql | None = None) -> T:
        """Run a command in this thread, and ``after`` it something that may get lost.

        Raises StoreUnavailable, SchemaOutdated, StoreError, what ``read`` makes.
        """
        if not self._ready:
            self._make_ready()
        attempts = _Attempts(command, self._url)
        while True:
            try:
                replies = self._attempt(command, after, attempts)
            except psycopg.Error as error:
                pause = attempts.after(error)
                _forget(error, self._threads)
            else:
                return command.read(replies)
            time.sleep(pause)

    async def arun(self, command: Command[T], after: Sql | None = None) -> T:
        """Run a command without blocking the event loop."""
        if not self._ready:
            await asyncio.to_thread(self._make_ready)
        attempts = _Attempts(command, self._url)
        while True:
            try:
                replies = await self._aattempt(command, after, attempts)
            except psycopg.Error as error:
                pause = attempts.after(error)
                _forget(error, self._loop_pool())
            else:
                return command.read(replies)
            await asyncio.sleep(pause)

    def visit(self, task: Callable[[psycopg.Connection[Any]], T], verb: str) -> T:
        """Do a task on a connection of its own."""
        try:
            link = open_link(self.params)
            try:
                return task(link.connection)  # type: ignore[arg-type]
            finally:
                link.drop()
        except psycopg.Error as error:
            raise explain(error, self._url, verb) from error

    def close(self) -> None:
        """Close the connections; a later command opens them again."""
        self._threads.idle.closed = True
        self._threads.idle.drop()
        for pool in list(self._loops.values()):
            pool.idle.closed = True
            pool.idle.drop()
        self._new_pools()

    # -- forks: a child leaves the parent's sockets alone -------------------------------------------------------------

    def pause_for_fork(self) -> None:
        """Nothing crosses a fork but idle connections, which the child does not touch."""

    def resume_after_fork(self) -> None:
        """Nothing was put away."""

    def start_over_in_child(self) -> None:
        """Leave the parent's connections unclosed, and forget its threads and loops."""
        _inherited.extend([self._threads, *self._loops.values()])
        self._start_over()

    # -- the steps of a command, in the order in which they happen ----------------------------------------------------

    def _start_over(self) -> None:
        self._ready = False
        self._preparing = threading.Lock()
        self._new_pools()

    def _new_pools(self) -> None:
        self._threads = ThreadPool(self._pool_size, lambda: open_link(self.params))
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopPool] = WeakKeyDictionary()

    def _make_ready(self) -> None:
        with self._preparing:
            if not self._ready:
                self._prepare()
                self._ready = True

    def _attempt(self, command: Command[T], after: Sql | None, attempts: _Attempts) -> Replies:
        pool = self._threads
        link = pool.take(durable=command.durable)
        attempts.sent = True
        try:
            return exchange(link, command, after, self.texts, self._now())
        except BaseException:
            link.drop()
            raise
        finally:
            pool.put(link)

    async def _aattempt(self, command: Command[T], after: Sql | None, attempts: _Attempts) -> Replies:
        pool = self._loop_pool()
        link = await pool.take(durable=command.durable)
        attempts.sent = True
        try:
            async with asyncio.timeout(PATIENCE):
                return await aexchange(link, command, after, self.texts, self._now())
        except TimeoutError:
            # Somebody acknowledges what we send and never answers: a proxy that hangs, say.
            link.drop()
            raise psycopg.OperationalError(f"no answer for {PATIENCE:g} s") from None
        except BaseException:
            # Also when the caller is cancelled: nobody knows what the connection is in the middle of.
            link.drop()
            raise
        finally:
            pool.put(link)

    def _loop_pool(self) -> LoopPool:
        loop = asyncio.get_running_loop()
        pool = self._loops.get(loop)
        if pool is None:
            pool = self._loops[loop] = LoopPool(self._pool_size, lambda: aopen_link(self.params))
            # Loops come and go: nobody tells us, but their connections are to be closed all the same.
            weakref.finalize(loop, pool.idle.drop)
            for other in [other for other in self._loops if other.is_closed()]:
                self._loops.pop(other).idle.drop()
        return pool

    def _now(self) -> int | None:
        return None if self._clock is None else self._clock.now()


class _Attempts:
    """The tries of one command."""

    def __init__(self, command: Command[Any], url: str) -> None:
        self._command = command
        self._url = url
        self._failed = 0
        self._uncertain = False
        self.sent = False
        """Whether the present try may have reached the server."""

    def after(self, error: psycopg.Error) -> float:
        """Tell how long to wait, in seconds, before another try; raises what the caller is to see if there is none."""
        found = fate(error, sent=self.sent)
        self.sent = False
        self._uncertain = self._uncertain or (found is Fate.UNKNOWN and self._command.writes)
        again = found is Fate.NOTHING_DONE or (found is Fate.UNKNOWN and self._command.retry is not Retry.NEVER)
        self._failed += 1
        if not again or self._failed >= TRIES:
            raise explain(error, self._url, self._command.name, uncertain=self._uncertain) from error
        return PAUSES[self._failed - 1] * random.uniform(0.7, 1.3)


def _forget(error: psycopg.Error, pool: ThreadPool | LoopPool) -> None:
    """Where one connection was lost, the idle ones are hardly better off."""
    if fate(error, sent=True) is Fate.UNKNOWN:
        pool.idle.drop()
