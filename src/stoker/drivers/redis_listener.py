"""The one connection of a process on which servers say that a queue has something for somebody.

A thread reads it and rings the bell, which wakes whoever waits on any event loop. What is said while the connection is
down is lost; so everybody is woken when it is up again.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any, Final

from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as ReadTimeout

from stoker.drivers.redis import RedisDriver
from stoker.drivers.redis_link import Link
from stoker.errors import StokerError

QUIET: Final = 10.0
"""Seconds of silence after which the server is asked whether it is still there; after as many more it is not."""
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
"""Seconds between two tries to connect."""


class Listener:
    """Hears the channels ``channel + queue`` and calls ``ring`` with the queue."""

    def __init__(self, driver: RedisDriver, channel: str, ring: Callable[[Collection[str]], None]) -> None:
        self._driver = driver
        self._channel = channel
        self._ring = ring
        self._changed = threading.Condition()
        self._wanted: set[str] = set()
        self._heard: set[str] = set()
        self._connection: Link | None = None
        self._thread: threading.Thread | None = None
        self._stopped = False

    def hears(self, queues: Collection[str]) -> bool:
        """Tell whether a ring for any of the queues would be heard now."""
        return self._heard.issuperset(queues)

    def listen(self, queues: Collection[str], patience: float) -> bool:
        """Hear these queues too; tell whether that was so within ``patience`` seconds."""
        with self._changed:
            new = set(queues) - self._wanted
            self._wanted |= new
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="stoker-redis-listener", daemon=True)
                self._thread.start()
            elif self._connection is not None and new:
                with suppress(RedisError, OSError):
                    self._subscribe(self._connection, new)
            return self._changed.wait_for(lambda: self.hears(queues) or self._stopped, patience)

    def stop(self) -> None:
        """Close the connection and end the thread."""
        with self._changed:
            self._stopped = True
            if self._connection is not None:
                self._connection.disconnect()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopped:
            try:
                connection = self._driver.connect(QUIET)
            except (RedisError, OSError, StokerError):
                connection = None
            if connection is not None:
                pause = FIRST_PAUSE
                with suppress(RedisError, OSError):
                    self._serve(connection)
                with self._changed:
                    self._connection = None
                    self._heard.clear()
                connection.disconnect()
            with self._changed:
                self._changed.wait_for(lambda: self._stopped, pause * random.uniform(0.5, 1))
            pause = min(2 * pause, LONGEST_PAUSE)

    def _serve(self, connection: Link) -> None:
        with self._changed:
            if self._stopped:
                return
            self._connection = connection
            self._subscribe(connection, self._wanted)
        asked = False
        while True:
            try:
                message: Any = connection.read_response(disable_decoding=True, disconnect_on_error=False)
            except ReadTimeout:
                if asked:
                    return
                asked = True
                with self._changed:
                    connection.send_command("PING")
                continue
            asked = False
            self._hear(message)

    def _hear(self, message: Any) -> None:
        kind = message[0]
        if kind not in (b"subscribe", b"message"):
            return
        queue = message[1].decode()[len(self._channel) :]
        if kind == b"subscribe":
            with self._changed:
                self._heard.add(queue)
                self._changed.notify_all()
        self._ring((queue,))

    def _subscribe(self, connection: Link, queues: Collection[str]) -> None:
        connection.send_command("SUBSCRIBE", *(self._channel + queue for queue in sorted(queues)))
