"""Threads for sync handlers.

Daemon threads, because a handler that never returns must not keep the process alive after the grace period; endings
come back to the loop in batches, because waking a loop costs more than most handlers.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
_Work = tuple["asyncio.Future[Any]", Context, Callable[[], Any]]


class Threads:
    """Up to ``size`` threads, started when first needed."""

    def __init__(self, size: int, name: str = "stoker-job") -> None:
        self._size = size
        self._name = name
        self._threads: list[threading.Thread] = []
        self._work: SimpleQueue[_Work | None] = SimpleQueue()
        self._idle = 0
        self._ended: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._delivering = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Run a function in a thread, in a copy of the current context; the future ends when it returns.

        Cancelling the future does not stop the function.
        """
        self._loop = loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._idle <= self._work.qsize() and len(self._threads) < self._size:
            self._start()
        self._work.put((future, copy_context(), call))
        return future

    def prestart(self) -> None:
        """Start one thread now: an interpreter that shuts down (3.12 and later) starts none, yet may have jobs left."""
        if not self._threads:
            self._start()

    def close(self) -> None:
        """Let idle threads end; those that run a function end after it, or with the process."""
        for _ in self._threads:
            self._work.put(None)
        self._threads.clear()

    def _start(self) -> None:
        thread = threading.Thread(target=self._serve, name=f"{self._name}-{len(self._threads)}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            if not self._threads:
                raise
        else:
            self._threads.append(thread)

    def _serve(self) -> None:
        while True:
            self._idle += 1
            work = self._work.get()
            self._idle -= 1
            if work is None:
                return
            future, context, call = work
            try:
                self._deliver_soon(future, context.run(call), None)
            except BaseException as error:  # SystemExit in a handler ends the attempt, not the worker
                self._deliver_soon(future, None, error)
            del work, future, context, call

    def _deliver_soon(self, future: asyncio.Future[Any], value: object, error: BaseException | None) -> None:
        self._ended.append((future, value, error))
        if self._delivering:
            return
        self._delivering = True
        loop = self._loop
        try:
            if loop is not None:
                loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:
            # The loop closed while the handler ran: the process is ending and nobody waits for this any more.
            self._ended.clear()

    def _deliver(self) -> None:
        self._delivering = False
        while self._ended:
            future, value, error = self._ended.popleft()
            if future.done():
                continue
            if error is None:
                future.set_result(value)
            elif isinstance(error, StopIteration):
                # A future refuses StopIteration, and a generator would swallow it.
                future.set_exception(RuntimeError(f"the handler raised {error!r}"))
            else:
                future.set_exception(error)
