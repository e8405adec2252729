"""How workers of this process learn that something may have become available, whoever made it so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stoker.core.clock import Clock
from stoker.drivers.bell import Bell
from stoker.drivers.forks import follow_forks
from stoker.drivers.redis import RedisDriver
from stoker.drivers.redis_listener import Listener

PATIENCE: Final = 2.0
"""Seconds a wait takes to be sure that it would hear a ring; later it waits in the hope that it will."""


class Waiting:
    """One connection that listens for all waiters of this process, and a bell that wakes them."""

    def __init__(self, driver: RedisDriver, channel: str, clock: Clock) -> None:
        self._driver = driver
        self._channel = channel
        self._clock = clock
        self._start_over()
        follow_forks(self)

    async def wait(self, queues: Sequence[str], timeout: float) -> bool:
        """Wait until a queue is rung, at most ``timeout`` seconds; at once when nobody has listened until now."""
        listener, bell = self._listener, self._bell
        if not listener.hears(queues):
            heard = await self._driver.in_thread(lambda: listener.listen(queues, PATIENCE))
            if heard:
                await bell.wait(queues, 0, self._clock)  # that we listen now was rung, too
                return True
        return await bell.wait(queues, timeout, self._clock)

    def close(self) -> None:
        """Stop listening; a later wait begins again."""
        listener = self._listener
        self._start_over()
        listener.stop()

    def pause_for_fork(self) -> None:
        """Nothing to prepare: a child makes its own."""

    def resume_after_fork(self) -> None:
        """Nothing changed."""

    def start_over_in_child(self) -> None:
        """Forget the parent's thread, which does not run here."""
        self._start_over()

    def _start_over(self) -> None:
        self._bell = Bell()
        self._listener = Listener(self._driver, self._channel, self._bell.ring)
