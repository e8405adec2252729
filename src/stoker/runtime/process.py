"""Running workers as a process: the event loop, the signals, and what a second signal means."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
SECOND_SIGNAL = 130


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a new event loop, uvloop's where it is installed."""
    try:
        import uvloop
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


@contextlib.asynccontextmanager
async def stop_on_signals(stop: Callable[[], None], leave: Callable[[], None] = lambda: None) -> AsyncIterator[None]:
    """Call ``stop`` at the first SIGTERM or SIGINT and leave the process at the second, with exit code 130.

    ``leave`` is called before that.

    What the store was told at the first signal makes the second one harmless: the running jobs go back uncounted when
    their lease ends. Outside the main thread, where Python cannot take signals, nothing is installed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    seen = 0

    def received() -> None:
        nonlocal seen
        seen += 1
        if seen > 1:
            sys.stderr.write("second signal: leaving at once; running jobs go back when their lease ends\n")
            sys.stderr.flush()
            leave()
            os._exit(SECOND_SIGNAL)
        stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, received)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
