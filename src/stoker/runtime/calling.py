"""Performing for sync code: the event loop in a thread of its own, sync handlers in the caller's.

So an async handler has a loop to itself, and a sync one finds the connections and locals of its caller, and no event
loop that runs: as in a worker's thread, where it may enqueue and even call `asyncio.run`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from queue import SimpleQueue
from typing import Any, TypeVar

from stoker.runtime.threads import Threads

T = TypeVar("T")


class CallersThread(Threads):
    """Runs sync handlers in the thread that waits in `complete`; made anew for each wait."""

    def __init__(self) -> None:
        super().__init__(0)
        self._asked: SimpleQueue[tuple[asyncio.Future[Any], Context, Callable[[], Any]] | None] = SimpleQueue()
        self._main: asyncio.Task[Any] | None = None

    def run(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Have a function run by the waiting thread; the future ends when it returns."""
        self._loop = loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._asked.put((future, copy_context(), call))
        return future

    def complete(self, main: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end on another thread's loop, and here what `run` is given meanwhile."""
        ended: list[Callable[[], T]] = []
        thread = threading.Thread(target=copy_context().run, args=(self._elsewhere, main, ended), name="stoker-loop")
        thread.start()
        try:
            self._serve_until_told()
        except BaseException:  # an interrupt from the keyboard, or a test that takes too long
            self._cancel()
            raise
        finally:
            thread.join()
        return ended[0]()

    def _serve_until_told(self) -> None:
        while (asked := self._asked.get()) is not None:
            future, context, call = asked
            try:
                value = context.run(call)
            except BaseException as error:  # the attempt's ending, whatever it is
                self._deliver_soon(future, None, error)
            else:
                self._deliver_soon(future, value, None)

    def _elsewhere(self, main: Coroutine[Any, Any, T], ended: list[Callable[[], T]]) -> None:
        async def noted() -> T:
            self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
            return await main

        try:
            value = asyncio.run(noted())
        except BaseException as error:
            failure = error

            def fail() -> T:
                raise failure

            ended.append(fail)
        else:
            ended.append(lambda: value)
        finally:
            self._asked.put(None)

    def _cancel(self) -> None:
        if self._loop is not None and self._main is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._main.cancel)
