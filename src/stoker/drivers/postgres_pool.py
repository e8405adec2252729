"""Few connections for many callers: one pool for threads, one for each event loop.

Own code, because psycopg's pools cannot be closed from anywhere but their own event loop, and end with it; a store is
used from loops that come and go, is closed by sync code, and is carried through forks.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

from stoker.drivers.postgres_exchange import Link
from stoker.errors import StoreUnavailable

WAIT: float = 30.0
"""Seconds for which a caller waits for one of the connections to be free."""


class _Idle:
    """The connections that nobody uses, the latest used last."""

    def __init__(self) -> None:
        self._links: list[Link] = []
        self._lock = threading.Lock()
        self.closed = False

    def take(self, *, durable: bool) -> Link | None:
        """Give one, if possible one whose setting need not be changed."""
        with self._lock:
            for place in range(len(self._links) - 1, -1, -1):
                if self._links[place].durable == durable:
                    return self._links.pop(place)
            return self._links.pop() if self._links else None

    def put(self, link: Link) -> None:
        """Keep a connection for the next caller."""
        if link.lost or self.closed:
            link.drop()
        else:
            self._links.append(link)

    def drop(self) -> None:
        """Close them all."""
        with self._lock:
            links, self._links = self._links, []
        for link in links:
            link.drop()


class ThreadPool:
    """At most ``size`` connections for all threads of the process."""

    def __init__(self, size: int, connect: Callable[[], Link]) -> None:
        self._connect = connect
        self._free = threading.BoundedSemaphore(size)
        self.idle = _Idle()

    def take(self, *, durable: bool) -> Link:
        """Give a connection, opened if none is idle. Raises StoreUnavailable when none gets free."""
        if not self._free.acquire(timeout=WAIT):
            raise StoreUnavailable("no connection was free for 30 s: raise pool_size in the URL")
        try:
            return self.idle.take(durable=durable) or self._connect()
        except BaseException:
            self._free.release()
            raise

    def put(self, link: Link) -> None:
        """Take a connection back."""
        self.idle.put(link)
        self._free.release()


class LoopPool:
    """At most ``size`` connections for all tasks of one event loop."""

    def __init__(self, size: int, connect: Callable[[], Awaitable[Link]]) -> None:
        self._connect = connect
        self._free = asyncio.Semaphore(size)
        self.idle = _Idle()

    async def take(self, *, durable: bool) -> Link:
        """Give a connection, opened if none is idle. Raises StoreUnavailable when none gets free."""
        try:
            async with asyncio.timeout(WAIT):
                await self._free.acquire()
        except TimeoutError:
            raise StoreUnavailable("no connection was free for 30 s: raise pool_size in the URL") from None
        try:
            return self.idle.take(durable=durable) or await self._connect()
        except BaseException:
            self._free.release()
            raise

    def put(self, link: Link) -> None:
        """Take a connection back."""
        self.idle.put(link)
        self._free.release()
