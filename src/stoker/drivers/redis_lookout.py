"""A thread that waits, while somebody wants to know, until a list has something, and takes nothing from it."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from redis.exceptions import RedisError

from stoker.drivers.redis import RedisDriver
from stoker.drivers.redis_link import Link
from stoker.errors import StokerError

LOOK: Final = 2.0
"""Seconds that the server lets one look take."""
PAUSE: Final = 0.05
"""Seconds between two looks at a list that has something: those who were told may be about to take it."""
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
"""Seconds between two tries to connect."""


class Lookout:
    """Calls ``found`` when the list has something; made cheap, its thread starts when it is first wanted."""

    def __init__(self, driver: RedisDriver, key: str, found: Callable[[], None]) -> None:
        self._driver = driver
        self._key = key
        self._found = found
        self._changed = threading.Condition()
        self._wanted = 0
        self._stopped = False
        self._link: Link | None = None
        self._thread: threading.Thread | None = None

    def wanted(self, more: int) -> None:
        """Hear that one more, or one less, wants to know."""
        with self._changed:
            self._wanted += more
            if self._thread is None and self._wanted and not self._stopped:
                self._thread = threading.Thread(target=self._run, name="stoker-redis-lookout", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def stop(self) -> None:
        """Close the connection and end the thread."""
        with self._changed:
            self._stopped = True
            if self._link is not None:
                self._link.disconnect()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopped:
            with suppress(RedisError, OSError, StokerError):
                link = self._driver.connect(LOOK + self._driver.target.timeout)
                pause = FIRST_PAUSE
                with self._changed:
                    self._link = link
                try:
                    self._look_out(link)
                finally:
                    link.disconnect()
            self._rest(pause * random.uniform(0.5, 1))
            pause = min(2 * pause, LONGEST_PAUSE)

    def _look_out(self, link: Link) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wanted or self._stopped)
            if self._stopped:
                return
            # From the right end to the right end: nothing moves, and whoever else waits for the list is served next.
            link.send_command("BLMOVE", self._key, self._key, "RIGHT", "RIGHT", LOOK)
            if link.read_response(disable_decoding=True) is not None:
                self._found()
                self._rest(PAUSE)

    def _rest(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped, seconds)
