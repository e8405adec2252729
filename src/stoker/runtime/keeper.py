"""The keeper: a thread that renews leases and sends what attempts note, also while a handler blocks the event loop.

It stops renewing when the loop has not turned for ``stuck_after``: a worker that is really stuck must lose its jobs.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from stoker.core.clock import Clock
from stoker.core.job import Extended, Token
from stoker.errors import StoreError
from stoker.runtime.leases import Leases
from stoker.runtime.notes import Notes
from stoker.stores.base import Store
from stoker.telemetry.board import Events
from stoker.telemetry.events import LoopStuck, StoreFailed

T = TypeVar("T")
log = logging.getLogger("stoker")


class Keeper:
    """Extends the leases of one store; ``deliver`` is called on the event loop with what came back."""

    def __init__(
        self,
        store: Store,
        leases: Leases,
        clock: Clock,
        events: Events,
        *,
        lease: int,
        interval: float,
        stuck_after: float,
        deliver: Callable[[Extended], None],
        notes: Notes,
        beat: Callable[[], None],
    ) -> None:
        self._store = store
        self._leases = leases
        self._clock = clock
        self._events = events
        self._lease = lease
        self._interval = interval
        self._stuck_after = stuck_after
        self._deliver = deliver
        self._notes = notes
        self._beat = beat
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turned = self.answered = clock.monotonic()
        self._reported = False
        self.stopping = False
        """Whether the leases are marked as of a worker that shuts down in order."""

    def start(self) -> None:
        """Begin to renew, from a thread of its own; called on the event loop."""
        self._loop = asyncio.get_running_loop()
        self._turned = self._clock.monotonic()
        self._thread = threading.Thread(target=self._run, name="stoker-keeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread after its current tick."""
        self._ended.set()

    def tick(self) -> None:
        """Renew the leases once, unless the event loop is stuck."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._turn)
        tokens = self._leases.tokens
        silent = self._clock.monotonic() - self._turned
        if silent > self._stuck_after:
            self._report_stuck(silent, tokens)
            return
        self._reported = False
        if tokens:
            extended = self._store.run(self._store.extend(tokens, self._lease, stopping=self.stopping))
            self.answered = self._clock.monotonic()
            if extended.missing or extended.cancel:
                self._hand_over(extended)
        if self._notes:
            self._notes.send()
        self._beat()

    def on_loop(self, act: Callable[[T], None], value: T) -> None:
        """Do something on the event loop, from whatever thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(act, value)

    def _run(self) -> None:
        while not self._ended.wait(self._interval):
            try:
                self.tick()
            except StoreError as error:
                self._events.emit(StoreFailed("extend", error, self._interval))
            except Exception:
                # Whatever went wrong: a keeper that dies loses every lease of a worker that is well.
                log.exception("the keeper goes on after an error")

    def _turn(self) -> None:
        self._turned = self._clock.monotonic()

    def _hand_over(self, extended: Extended) -> None:
        if self._loop is None:
            self._deliver(extended)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver, extended)

    def _report_stuck(self, silent: float, tokens: tuple[Token, ...]) -> None:
        if not self._reported:
            self._reported = True
            self._events.emit(LoopStuck(silent, tokens))
