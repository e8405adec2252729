"""How workers of this process learn that something came into a queue, whoever put it there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stoker.core.clock import Clock
from stoker.drivers.bell import Bell
from stoker.drivers.forks import follow_forks
from stoker.drivers.redis import RedisDriver
from stoker.drivers.redis_lookout import Lookout


class Waiting:
    """A lookout for each queue while somebody waits for it, and a bell that wakes them."""

    def __init__(self, driver: RedisDriver, list_of: Callable[[str], str], clock: Clock) -> None:
        self._driver = driver
        self._list_of = list_of
        self._clock = clock
        self._start_over()
        follow_forks(self)

    async def wait(self, queues: Sequence[str], timeout: float) -> bool:
        """Wait until there is something in a queue, at most ``timeout`` seconds."""
        if timeout <= 0:
            return False
        lookouts = [self._lookout(queue) for queue in queues]
        for lookout in lookouts:
            lookout.wanted(1)
        try:
            return await self._bell.wait(queues, timeout, self._clock)
        finally:
            for lookout in lookouts:
                lookout.wanted(-1)

    def close(self) -> None:
        """End the lookouts; a later wait begins again."""
        lookouts = self._lookouts
        self._start_over()
        for lookout in lookouts.values():
            lookout.stop()

    def pause_for_fork(self) -> None:
        """Nothing to prepare: a child makes its own."""

    def resume_after_fork(self) -> None:
        """Nothing changed."""

    def start_over_in_child(self) -> None:
        """Forget the parent's threads, which do not run here."""
        self._start_over()

    def _start_over(self) -> None:
        self._bell = Bell()
        self._lookouts: dict[str, Lookout] = {}

    def _lookout(self, queue: str) -> Lookout:
        found = self._lookouts.get(queue)
        if found is None:
            bell = self._bell
            found = Lookout(self._driver, self._list_of(queue), lambda: bell.ring((queue,)))
            # Two loops may come at once: one lookout too many would never be stopped.
            found = self._lookouts.setdefault(queue, found)
        return found
