"""The wake-up inside one process: whoever makes a job available rings, and workers that wait for its queue wake."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import partial
from weakref import WeakKeyDictionary

from stoker.core.clock import Clock


class _Listener:
    """One sleeping `wait`, and the loop whose thread must wake it."""

    __slots__ = ("answer", "loop", "queues")

    def __init__(self, queues: frozenset[str], loop: asyncio.AbstractEventLoop) -> None:
        self.queues = queues
        self.loop = loop
        self.answer: asyncio.Future[bool] = loop.create_future()

    def wake(self) -> None:
        # A loop that was closed while its task still waited has nobody left to wake.
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(_answer, self.answer, True)


class Bell:
    """Rung from any thread, with or without an event loop; heard by waiters on any number of loops.

    No ring is lost between two waits: a `wait` for queues that were rung since the previous one on the same loop for
    the same queues returns at once. Not to be carried over a fork.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._strokes = 0
        self._rung: dict[str, int] = {}
        self._listeners: set[_Listener] = set()
        self._heard: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[frozenset[str], int]] = WeakKeyDictionary()

    def ring(self, queues: Collection[str]) -> None:
        """Wake those who wait for one of the queues, and let the next wait for them return at once."""
        with self._lock:
            self._strokes += 1
            for queue in queues:
                self._rung[queue] = self._strokes
            if not self._listeners:
                return
            woken = [listener for listener in self._listeners if not listener.queues.isdisjoint(queues)]
            self._listeners.difference_update(woken)
        for listener in woken:
            listener.wake()

    async def wait(self, queues: Sequence[str], timeout: float, clock: Clock) -> bool:
        """Wait until one of the queues is rung, at most ``timeout`` seconds by ``clock``; tell whether it was."""
        listener = _Listener(frozenset(queues), asyncio.get_running_loop())
        if self._missed_one(listener):
            return True
        if timeout <= 0:
            self._stop(listener)
            return False
        timer = clock.call_later(timeout, partial(_answer, listener.answer, False))
        try:
            rung = await listener.answer
        except BaseException:
            # What was rung meanwhile counts as unheard: the caller may never look.
            self._stop(listener)
            raise
        finally:
            timer.cancel()
        self._hear(listener)
        return rung

    def _missed_one(self, listener: _Listener) -> bool:
        # One lock over looking and listening, or a ring between the two would wake nobody.
        with self._lock:
            heard = self._heard.setdefault(listener.loop, {})
            latest = max((self._rung.get(queue, 0) for queue in listener.queues), default=0)
            if latest > heard.get(listener.queues, 0):
                heard[listener.queues] = self._strokes
                return True
            self._listeners.add(listener)
            return False

    def _hear(self, listener: _Listener) -> None:
        with self._lock:
            self._listeners.discard(listener)
            self._heard.setdefault(listener.loop, {})[listener.queues] = self._strokes

    def _stop(self, listener: _Listener) -> None:
        with self._lock:
            self._listeners.discard(listener)


def _answer(answer: asyncio.Future[bool], rung: bool) -> None:
    if not answer.done():
        answer.set_result(rung)
