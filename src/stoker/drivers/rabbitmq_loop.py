"""A thread with an event loop, for a connection that must outlive its callers' loops and answer while they are busy."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from stoker.drivers.forks import follow_forks
from stoker.drivers.switching import eager_switching

T = TypeVar("T")
_INHERITED: Final[list[object]] = []
"""Loops of a parent process: collected as garbage they would close what the parent still uses."""


class SideLoop:
    """Runs coroutines for callers on any thread and any loop; the thread starts with the first."""

    def __init__(self, name: str, started_over: Callable[[], None]) -> None:
        """``started_over`` is called in a forked child, where nothing of this runs any more."""
        self._name = name
        self._started_over = started_over
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        follow_forks(self)

    def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine to its end and give what it returns; not to be called on the side loop."""
        return self._submit(work).result()

    async def arun(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do the same without blocking the caller's loop. Given up by the caller, it is cancelled."""
        return await asyncio.wrap_future(self._submit(work))

    def close(self) -> None:
        """End the thread."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def _submit(self, work: Callable[[], Coroutine[Any, Any, T]]) -> Future[T]:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_turn, args=(self._loop,), name=self._name, daemon=True)
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(work(), self._loop)

    # -- forks: threads stay behind -----------------------------------------------------------------------------------

    def pause_for_fork(self) -> None:
        """Keep others from starting a thread meanwhile."""
        self._lock.acquire()

    def resume_after_fork(self) -> None:
        """Go on, in the parent."""
        self._lock.release()

    def start_over_in_child(self) -> None:
        """Forget the parent's loop and its connections, unclosed."""
        _INHERITED.append(self._loop)
        self._lock = threading.Lock()
        self._loop = self._thread = None
        self._started_over()


def _turn(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    with eager_switching():
        loop.run_forever()
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
