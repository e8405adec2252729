"""How workers of this process learn that something may have become available, whoever put it there: they look."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from stoker.core.clock import Clock
from stoker.drivers.bell import Bell
from stoker.errors import StoreError

POLL_SECONDS: Final = 0.05
"""How often a waiting worker looks; gocraft's own sleep up to 5 s. Nothing in Redis wakes for several lists without
taking a job out of one of them, where it would be lost with its worker."""


class Waiting:
    """Looks, until there is something, while somebody waits."""

    def __init__(self, look: Callable[[Sequence[str]], Awaitable[bool]], clock: Clock) -> None:
        self._look = look
        self._clock = clock
        self._looking: set[asyncio.Task[None]] = set()

    async def wait(self, queues: Sequence[str], timeout: float) -> bool:
        """Wait until there is something in a queue, at most ``timeout`` seconds."""
        if timeout <= 0:
            return False
        bell, over = Bell(), asyncio.Event()
        looking = asyncio.create_task(self._keep_looking(queues, bell, over))
        # Not cancelled: it may be in the middle of an exchange, whose connection would have to be closed.
        self._looking.add(looking)
        looking.add_done_callback(self._looking.discard)
        try:
            return await bell.wait(queues, timeout, self._clock)
        finally:
            over.set()

    async def _keep_looking(self, queues: Sequence[str], bell: Bell, over: asyncio.Event) -> None:
        while not over.is_set():
            if await self._sees(queues):
                bell.ring(queues)
                return
            try:
                await asyncio.wait_for(over.wait(), POLL_SECONDS)
            except TimeoutError:
                continue

    async def _sees(self, queues: Sequence[str]) -> bool:
        try:
            return await self._look(queues)
        except StoreError:
            return False
