"""A listener's mailbox: a bounded queue, read by a thread of its own.

So a listener that blocks keeps nobody waiting, and one that is too slow loses events, never memory. Both are said once.
"""

from __future__ import annotations

import atexit
import inspect
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any, Final
from weakref import WeakSet

SIZE: Final = 10_000
"""Events that may wait for one listener."""
AT_EXIT: Final = 2.0
"""Seconds that listeners have to hear the last events of a process."""
log = logging.getLogger("stoker.events")
_all: WeakSet[Mailbox] = WeakSet()


class Mailbox:
    """Calls one listener with each event put in, in order; the thread starts with the first."""

    def __init__(self, listener: Callable[[Any], object], size: int = SIZE) -> None:
        self._listener = listener
        self._size = size
        self._start_over()
        _all.add(self)

    def _start_over(self) -> None:
        self._pid = os.getpid()
        self._waiting: deque[Any] = deque()
        self._changed = threading.Condition()
        self._busy = self._closed = False
        self._thread: threading.Thread | None = None
        self._raised = False
        self.lost = 0
        """How many events found the box full."""

    def put(self, event: object) -> None:
        """Leave an event; never waits."""
        if self._pid != os.getpid():
            self._start_over()  # a forked child has neither the thread nor a claim on what waits here
        with self._changed:
            if self._closed:
                return
            if len(self._waiting) >= self._size:
                self._lose()
                return
            self._waiting.append(event)
            if self._thread is None:
                self._thread = threading.Thread(target=self._read, name="stoker-listener", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:  # the interpreter is ending
                    self._thread, self._closed = None, True
            self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait until everything put in so far was heard; False where that takes longer than ``timeout`` seconds."""
        if self._pid != os.getpid() or threading.current_thread() is self._thread:
            return True
        with self._changed:
            return self._changed.wait_for(lambda: self._closed or not (self._waiting or self._busy), timeout)

    def close(self) -> None:
        """Let the thread end; what it has not heard is dropped."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def _lose(self) -> None:
        self.lost += 1
        if self.lost == 1:
            log.error(
                "event listener %r does not keep up: %d events wait for it, further ones are dropped; "
                "it is reported once",
                self._listener,
                self._size,
            )

    def _read(self) -> None:
        hear = _sync(self._listener)
        while (event := self._next()) is not None:
            try:
                hear(event)
            except BaseException:  # SystemExit too: this thread is the listener's for as long as the process lives
                if not self._raised:
                    self._raised = True
                    log.exception("event listener %r raised; it is reported once", self._listener)

    def _next(self) -> object | None:
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            self._busy = True
            event: object = self._waiting.popleft()
            return event


def flush(mailboxes: Iterable[Mailbox], timeout: float) -> bool:
    """Wait until the listeners of some mailboxes have heard everything so far; False where that takes longer."""
    end = monotonic() + timeout
    heard = [mailbox.flush(max(0.0, end - monotonic())) for mailbox in mailboxes]
    return all(heard)


@atexit.register
def _hear_the_last() -> None:
    flush(tuple(_all), AT_EXIT)


def _sync(listener: Callable[[Any], object]) -> Callable[[Any], object]:
    """Give a function that calls the listener; an async one on a loop that is this thread's."""
    if not any(inspect.iscoroutinefunction(one) for one in (listener, type(listener).__call__)):
        return listener
    import asyncio

    runner = asyncio.Runner()
    return lambda event: runner.run(_awaited(listener, event))


async def _awaited(listener: Callable[[Any], Any], event: object) -> None:
    await listener(event)
