"""A worker inside the user's process, on an event loop and a thread of its own: the mode ``async``."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from stoker.runtime.process import run
from stoker.runtime.worker import Worker

POOLS: Final = ThreadPoolExecutor
"""Imported by name, and so before `_at_exit`: of what is registered for the exit the last comes first."""


class EmbeddedWorker:
    """Starts at the first `ensure`; at exit it works off what is there, within its grace period."""

    def __init__(self, serve: Callable[[Callable[[Worker], None]], object], grace: float) -> None:
        self._serve = serve
        self._grace = grace
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._worker: Worker | None = None

    def ensure(self) -> None:
        """Start the worker unless it runs; a forked child starts one of its own."""
        if self._thread is not None and self._pid == os.getpid():
            return
        with self._lock:
            if self._thread is not None and self._pid == os.getpid():
                return
            self._pid = os.getpid()
            self._ready.clear()
            self._thread = threading.Thread(target=self._run, name="stoker-worker", daemon=True)
            self._thread.start()
            _at_exit(self.stop)

    def stop(self) -> None:
        """Let it empty the store, at most for the grace period, then stop it."""
        thread, self._thread = self._thread, None
        if thread is None or self._pid != os.getpid():
            return
        self._ready.wait(self._grace)
        if self._loop is not None and self._worker is not None and thread.is_alive():
            self._loop.call_soon_threadsafe(self._worker.finish)
        thread.join(self._grace)
        if self._loop is not None and self._worker is not None and thread.is_alive():
            self._loop.call_soon_threadsafe(self._worker.stop)

    def _run(self) -> None:
        try:
            run(self._main())
        finally:
            self._ready.set()  # a lifespan that failed has nothing to wait for

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._serve(self._started)  # type: ignore[misc]

    def _started(self, worker: Worker) -> None:
        self._worker = worker
        self._ready.set()


def _at_exit(stop: Callable[[], None]) -> None:
    """Call at exit, before Python ends its thread pools: a handler may need one (`asyncio.to_thread`, name lookups).

    `atexit` alone comes after that, hence the private function by which the pools themselves are told.
    """
    getattr(threading, "_register_atexit", atexit.register)(stop)
