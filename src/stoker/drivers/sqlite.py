"""How commands travel to a SQLite file: a connection that writes, one that reads, and a caller's own.

Each process has one connection for writing and one for reading, opened at the first command. `run` uses them in the
calling thread, `arun` in a thread of their own, so that a whole unit costs one hop.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from stoker.core.clock import Clock
from stoker.core.command import Command, Replies, Retry
from stoker.drivers.forks import follow_forks
from stoker.drivers.sqlite_errors import is_busy, is_lasting, unavailable
from stoker.drivers.sqlite_fork import abandon
from stoker.drivers.sqlite_unit import UnitFailed, exchange
from stoker.drivers.switching import eager_switching
from stoker.errors import ConfigurationError, StoreError

T = TypeVar("T")
Preparation = Callable[[sqlite3.Connection], None]
Consequence = Callable[[Command[Any]], None]

OLDEST: Final = (3, 33, 0)
"""The first SQLite with UPDATE … FROM."""
BREATHER: Final = 0.0005
"""Seconds between a commit and our next write. Without it a busy process takes the lock again before any other has
looked: of four that saturate one file three wait for seconds."""
SHORTEST_LOOK: Final = 0.0003
LONGEST_LOOK: Final = 0.0012
"""Seconds between two tries for a lock. SQLite's own busy handler backs off up to 100 ms and so starves."""
CACHE_KIB: Final = 32_768
CHECKPOINT_PAGES: Final = 4_000
WAL_LIMIT: Final = 64 * 1024 * 1024
SHRINK_TRIES: Final = 20


_NOTHING: Final = Command("open", (), lambda _: None)


class Lane:
    """One connection, the lock of whoever uses it, and the thread that carries async commands."""

    def __init__(self, name: str) -> None:
        self.lock = threading.Lock()
        self.connection: sqlite3.Connection | None = None
        self.committed = 0.0
        self.synchronous = ""
        self._name = name
        self._thread: ThreadPoolExecutor | None = None

    def thread(self) -> ThreadPoolExecutor:
        """Give the lane's thread, started at first use."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix=self._name)
        return self._thread

    def drop(self) -> None:
        """Close the connection; whoever calls holds the lock."""
        if self.connection is not None:
            with suppress(sqlite3.Error):
                self.connection.close()
            self.connection = None

    def close(self) -> None:
        """Close the connection after the command under way, and let the thread end."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.shutdown()
        with self.lock:
            self.drop()


class SqliteDriver:
    """Runs commands on one file.

    ``prepare`` sees each new connection first and may bring the schema up to date; ``committed`` is told each command
    that is done, in the thread that ran it. ``busy_timeout`` (seconds) bounds the wait for other processes.
    """

    def __init__(
        self,
        path: Path,
        url: str,
        clock: Clock,
        prepare: Preparation,
        committed: Consequence,
        *,
        synchronous: str,
        busy_timeout: float,
    ) -> None:
        if sqlite3.sqlite_version_info < OLDEST:
            raise ConfigurationError(f"{url} needs SQLite 3.33 or newer; this Python has {sqlite3.sqlite_version}")
        self.path = path
        self._url = url
        self._clock = clock
        self._prepare = prepare
        self._committed = committed
        self._synchronous = synchronous
        self._busy_timeout = busy_timeout
        self._seen: int | None = None
        self._start_over()
        follow_forks(self)

    def run(self, command: Command[T]) -> T:
        """Run a command in this thread.

        Raises StoreUnavailable, SchemaOutdated, and what ``read`` makes of the answer.
        """
        replies = self._replies(command)
        self._committed(command)
        return command.read(replies)

    async def arun(self, command: Command[T]) -> T:
        """Run a command in the lane's thread."""
        thread = self._lane(command).thread()
        return await asyncio.get_running_loop().run_in_executor(thread, self._run_beside_a_loop, command)

    def visit(self, task: Callable[[sqlite3.Connection], T], verb: str) -> T:
        """Do a task on a connection of its own, which nobody has prepared; done again while the file is locked."""

        def attempt() -> T:
            with closing(sqlite3.connect(self.path, timeout=0, isolation_level=None)) as connection:
                return task(connection)

        return self._wait_for_lock(attempt, verb)

    def configure(self, connection: sqlite3.Connection) -> None:
        """Make a connection keep a write-ahead log (so does every other one from then on), and as careful as asked."""
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise ConfigurationError(f"{self._url}: SQLite cannot keep a write-ahead log there (a network drive?)")
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT}")

    async def listen(self) -> bool:
        """Make `changed` able to see; tell whether it was not before, and so may have missed something."""
        lane = self._writing
        if lane.connection is not None:
            return False
        with suppress(StoreError):
            await asyncio.get_running_loop().run_in_executor(lane.thread(), self._replies, _NOTHING)
        return True

    def changed(self) -> bool:
        """Tell, in a few microseconds and without waiting, whether another connection committed since the last call.

        Never True for our own commits. False while our own connection is at work: then somebody looks anyway. True
        while it is closed (after a fork or a failure), because nobody knows.
        """
        lane = self._writing
        if not lane.lock.acquire(blocking=False):
            return False
        try:
            if lane.connection is None:
                return True
            seen = self._version(lane.connection)
        except sqlite3.Error:
            return False
        finally:
            lane.lock.release()
        changed, self._seen = seen != self._seen, seen
        return changed

    def shrink(self) -> None:
        """Empty the write-ahead log if it has grown large and others leave it alone for a moment."""
        log, lane = Path(f"{self.path}-wal"), self._writing
        with suppress(OSError, sqlite3.Error), lane.lock:
            for _ in range(SHRINK_TRIES):
                if lane.connection is None or log.stat().st_size <= WAL_LIMIT:
                    return
                lane.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                time.sleep(random.uniform(SHORTEST_LOOK, LONGEST_LOOK))

    def close(self) -> None:
        """Close the connections and end the threads; a later command opens them again."""
        self._writing.close()
        self._reading.close()

    # -- forks: nothing of SQLite may cross one, not even to be closed (see sqlite_fork) -----------------------------

    def pause_for_fork(self) -> None:
        """Finish what is under way and close, so that a child inherits nothing; keep others out until the fork."""
        for lane in (self._writing, self._reading):
            if lane.lock.acquire(timeout=self._busy_timeout + 1):
                lane.drop()
                self._paused.append(lane)

    def resume_after_fork(self) -> None:
        """Let commands run again in the parent."""
        while self._paused:
            self._paused.pop().lock.release()

    def start_over_in_child(self) -> None:
        """Forget the parent's locks and threads; a connection that could not be closed in time is left open."""
        for lane in (self._writing, self._reading):
            if lane.connection is not None:
                abandon(lane.connection)
        self._start_over()

    # -- the steps of a command, in the order in which they happen ---------------------------------------------------

    def _start_over(self) -> None:
        self._writing = Lane("stoker-sqlite-write")
        self._reading = Lane("stoker-sqlite-read")
        self._paused: list[Lane] = []

    def _lane(self, command: Command[T]) -> Lane:
        return self._writing if command.writes else self._reading

    def _run_beside_a_loop(self, command: Command[T]) -> T:
        with eager_switching():
            return self.run(command)

    def _replies(self, command: Command[T]) -> Replies:
        lane = self._lane(command)
        with lane.lock:
            try:
                return self._wait_for_lock(lambda: self._attempt(lane, command), command.name)
            except UnitFailed as failed:
                lane.drop()
                return self._once_more(lane, command, failed.error)
            except StoreError as error:
                if is_lasting(error):
                    lane.drop()
                raise

    def _once_more(self, lane: Lane, command: Command[T], error: sqlite3.Error) -> Replies:
        """Send again what may or may not have happened, if the store would recognise it."""
        try:
            if command.retry is not Retry.NEVER:
                return self._wait_for_lock(lambda: self._attempt(lane, command), command.name)
        except (UnitFailed, StoreError):
            lane.drop()
        raise unavailable(error, self._url, command.name, uncertain=True) from error

    def _wait_for_lock(self, attempt: Callable[[], T], verb: str) -> T:
        """Repeat an attempt until no other process is in its way, or the busy timeout is over."""
        deadline = time.monotonic() + self._busy_timeout
        while True:
            try:
                return attempt()
            except sqlite3.Error as error:
                if not is_busy(error) or time.monotonic() >= deadline:
                    raise unavailable(error, self._url, verb) from error
            time.sleep(random.uniform(SHORTEST_LOOK, LONGEST_LOOK))

    def _attempt(self, lane: Lane, command: Command[T]) -> Replies:
        connection = lane.connection
        if connection is None:
            connection = lane.connection = self._open(writes=command.writes)
            lane.synchronous = self._synchronous
        if not command.writes:
            return exchange(connection, command, self._clock.now())
        breather = lane.committed + BREATHER - time.monotonic()
        if breather > 0:
            time.sleep(breather)
        self._sync(lane, connection, self._synchronous if command.durable else "NORMAL")
        replies = exchange(connection, command, self._clock.now())
        lane.committed = time.monotonic()
        return replies

    def _sync(self, lane: Lane, connection: sqlite3.Connection, mode: str) -> None:
        """Choose whether the next commit waits for the disk; one that does takes all before it along."""
        if lane.synchronous != mode:
            connection.execute(f"PRAGMA synchronous = {mode}")
            lane.synchronous = mode

    def _open(self, *, writes: bool) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        try:
            self.configure(connection)
            self._prepare(connection)
            if writes:
                self._seen = self._version(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _version(self, connection: sqlite3.Connection) -> int:
        version: int = connection.execute("PRAGMA data_version").fetchone()[0]
        return version
