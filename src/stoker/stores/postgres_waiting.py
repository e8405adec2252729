"""How workers learn that something may have become available: a bell in this process, notifications between them.

What we commit ourselves is announced after the commit, in a transaction of its own: one that notifies holds a lock of
the whole server until it is on disk. The first announcement goes at once, and after it at most one every few
milliseconds for all that came since. Inside a caller's transaction the notification is part of it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias, TypeVar, cast

from stoker.core.clock import Clock
from stoker.core.command import Command, Rings, Sql, Value, Wakes
from stoker.drivers.bell import Bell
from stoker.drivers.forks import follow_forks
from stoker.drivers.postgres import PostgresDriver
from stoker.drivers.postgres_listen import Listener
from stoker.errors import StoreError
from stoker.stores.codes import encode

T = TypeVar("T")
Values: TypeAlias = Mapping[str, Value]

SILENCE: Final = 0.005
"""Seconds between two announcements of one process."""
PATIENCE: Final = 0.002
"""Seconds that are left after the silence to whoever enqueues next: what goes with a command costs almost nothing."""
LONGEST_START: Final = 2.0
"""Seconds for which the first sleeper waits until somebody listens; then it may have to poll."""
MOST_BYTES: Final = 7000
"""Of a payload; PostgreSQL takes 8000."""
_PAYLOADS: Final = "FROM json_array_elements_text(:payloads::json) AS payload"
NOTIFY: Final = f"SELECT pg_notify(:channel::text, payload) {_PAYLOADS}"
# A notification alone is a transaction with a number, whose commit would wait for the disk; nothing of it needs to.
NOTIFY_APART: Final = (
    f"SELECT set_config('synchronous_commit', 'off', true), pg_notify(:channel::text, payload) {_PAYLOADS}"
)
AND_NOTIFY: Final = f"WHERE (SELECT count(pg_notify(:channel::text, payload)) {_PAYLOADS}) > 0"
"""Makes a statement that ends in a SELECT of one table notify too: one statement is one exchange and no savepoint."""

log = logging.getLogger("stoker")


class Waiting:
    """A bell for what this process commits, an ear for what others do, and a voice.

    ``missed`` is called whenever something may have been missed: after the listener connected. ``heard_on`` gives a
    channel on which others tell of a queue.
    """

    def __init__(
        self,
        driver: PostgresDriver,
        listen: Mapping[str, Any],
        channel: str,
        clock: Clock,
        missed: Callable[[], None],
        heard_on: Callable[[str], str] | None = None,
    ) -> None:
        self._driver = driver
        self._listen = listen
        self._channel = channel
        self._clock = clock
        self._missed = missed
        self._heard_on = heard_on
        self._bell = Bell()
        self._queues: frozenset[str] = frozenset()
        """Every queue that somebody in this process has waited for."""
        self._listener = Listener(listen, channel, self._hear)
        self._lock = threading.Lock()
        self._pending: frozenset[str] = frozenset()
        self._voice: threading.Thread | None = None
        self._wanted = threading.Event()
        self._quiet_until = 0.0
        follow_forks(self)

    def ring(self, queues: Collection[str] | None) -> None:
        """Wake those of this process who wait for one of the queues; None means everybody."""
        self._bell.ring(self._queues if queues is None else queues)

    async def wait(self, queues: Sequence[str], timeout: float) -> bool:
        """Wait until the bell rings for one of the queues, at most ``timeout`` seconds."""
        self._queues |= frozenset(queues)
        if self._heard_on is not None:
            self._listener.also(map(self._heard_on, queues))
        if self._listener.start() and timeout > 0:
            # Whoever sleeps may rely on being woken from the first time on.
            await asyncio.to_thread(self._listener.armed.wait, LONGEST_START)
        return await self._bell.wait(queues, timeout, self._clock)

    @property
    def hears(self) -> bool:
        """Whether it would be told of what others do."""
        return self._listener.hears

    def announcement(self, command: Command[Any]) -> Sql | None:
        """Give what is to tell other processes right behind the command; None if nothing is, or one was just told."""
        if not isinstance(command, Rings) or isinstance(command, Wakes):
            return None
        with self._lock:
            now = time.monotonic()
            if now < self._quiet_until:
                return None
            self._quiet_until = now + SILENCE
            queues, self._pending = self._pending | _named(command), frozenset()
        return self._apart(queues)

    def committed(self, command: Command[Any], announced: Sql | None) -> None:
        """Wake this process's workers, and tell other processes in a moment if that was not done at once.

        Only now, because a commit may take longer than the silence.
        """
        if not isinstance(command, Rings):
            return
        self.ring(command.queues)
        if announced is not None:
            return
        with self._lock:
            self._pending |= _named(command)
            if self._voice is None:
                self._voice = threading.Thread(target=self._speak, name="stoker-postgres-announce", daemon=True)
                self._voice.start()
        self._wanted.set()

    def notification(self, queues: Collection[str]) -> Sql:
        """Give the statement that tells of the queues."""
        return Sql(NOTIFY, {"channel": self._channel, "payloads": encode(_payloads(queues))})

    def _apart(self, queues: Collection[str]) -> Sql:
        return replace(self.notification(queues), text=NOTIFY_APART)

    def notifying(self, command: Command[T]) -> Command[T]:
        """Give a command for a caller's transaction, with the notification inside: it goes out with the commit."""
        if not isinstance(command, Rings) or not command.steps:
            return command
        told = self.notification(_named(command))
        if len(command.steps) > 1:
            # Not at the end, where the answer is read.
            return replace(command, steps=(told, *command.steps))
        (only,) = cast("tuple[Sql]", command.steps)
        params = {**cast("Values", only.params), **cast("Values", told.params)}
        return replace(command, steps=(Sql(f"{only.text}\n{AND_NOTIFY}", params),))

    def stop(self) -> None:
        """Stop listening, and announce what was to be announced in a moment."""
        self._listener.stop()
        with self._lock:
            voice, self._voice = self._voice, None
        if voice is not None:
            self._wanted.set()
            voice.join()

    # -- forks: the listener's thread and session stay with the parent -----------------------------------------------

    def pause_for_fork(self) -> None:
        """Nothing is put away."""

    def resume_after_fork(self) -> None:
        """Nothing was put away."""

    def start_over_in_child(self) -> None:
        """Begin anew."""
        self._bell = Bell()
        self._queues = frozenset()
        self._listener = Listener(self._listen, self._channel, self._hear)
        self._lock = threading.Lock()
        self._pending = frozenset()
        self._voice = None
        self._wanted = threading.Event()

    def _hear(self, payload: str | None) -> None:
        if payload is None:
            self._missed()
        self.ring(payload.splitlines() if payload else None)

    def _speak(self) -> None:
        wanted = self._wanted
        while True:
            wanted.wait()
            wanted.clear()
            while (silence := self._quiet_until + PATIENCE - time.monotonic()) > 0:
                time.sleep(silence)
            self._announce()
            if self._voice is not threading.current_thread():
                return

    def _announce(self) -> None:
        with self._lock:
            queues, self._pending = self._pending, frozenset()
            if not queues:
                return
            self._quiet_until = time.monotonic() + SILENCE
        try:
            self._driver.run(Command("notify", (self._apart(queues),), lambda _: None, writes=False))
        except StoreError as error:
            log.debug("not announced, so workers find it when they poll: %s", error)


def _named(command: Rings[Any]) -> frozenset[str]:
    """Give the queues of a command, the empty name standing for all."""
    return frozenset({""}) if command.queues is None else command.queues


def _payloads(queues: Collection[str]) -> list[str]:
    """Put queue names together into payloads of bounded length; an empty one means all queues."""
    if "" in queues:
        return [""]
    payloads: list[str] = []
    for queue in sorted(queues):
        if payloads and len(payloads[-1].encode()) + len(queue.encode()) < MOST_BYTES:
            payloads[-1] += f"\n{queue}"
        else:
            payloads.append(queue)
    return payloads
