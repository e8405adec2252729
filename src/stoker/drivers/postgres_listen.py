"""The ear of one process: a session of its own that listens, in a thread, for what others make available."""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

import psycopg
from psycopg import sql

from stoker.drivers.postgres_exchange import Link
from stoker.drivers.postgres_session import open_link

log = logging.getLogger("stoker")

PROBE_SECONDS: Final = 15.0
"""How long it may be silent before we ask whether it is still there."""
ANSWER_SECONDS: Final = 5.0
FIRST_DELAY, LONGEST_DELAY = 0.2, 10.0


class Listener:
    """Listens on a channel, and on what `also` names.

    ``heard`` is given the payload of each notification, or None after each connect: then anything may have been missed.
    Started by the first `start`; begun anew after a fork.
    """

    def __init__(self, params: Mapping[str, Any], channel: str, heard: Callable[[str | None], None]) -> None:
        self._params = params
        self._channels = frozenset({channel})
        self._heard = heard
        self._thread: threading.Thread | None = None
        self._process = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.armed = threading.Event()
        """Set once it listens, or knows that it cannot."""
        self._link: Link | None = None

    def also(self, channels: Iterable[str]) -> None:
        """Listen on these channels too."""
        if (wanted := self._channels.union(channels)) != self._channels:
            self._channels = wanted
            # It waits for what its session hears: another session hears more.
            if self._process == os.getpid() and self._link is not None:
                _cut(self._link)

    @property
    def hears(self) -> bool:
        """Whether it has a session that listens, as far as one can know."""
        return self._link is not None and self.armed.is_set()

    def start(self) -> bool:
        """Listen from now on; returns at once. Tell whether nobody did before."""
        if self._thread is not None and self._process == os.getpid():
            return False
        with self._lock:
            if self._thread is None or self._process != os.getpid():
                self._process = os.getpid()
                self._stopped = threading.Event()
                self._thread = threading.Thread(target=self._run, name="stoker-postgres-listen", daemon=True)
                self._thread.start()
        return True

    def stop(self) -> None:
        """Listen no longer."""
        thread, self._thread = self._thread, None
        self._stopped.set()
        if thread is not None and self._process == os.getpid():
            if self._link is not None:
                _cut(self._link)
            if thread is not threading.current_thread():
                thread.join(ANSWER_SECONDS)

    def _run(self) -> None:
        stopped, delay = self._stopped, FIRST_DELAY
        while not stopped.is_set():
            try:
                link = open_link(self._params)
            except (psycopg.Error, OSError) as error:
                log.debug("cannot listen for wake-ups: %s", error)
                self.armed.set()
            else:
                if link.pooled:
                    link.drop()
                    log.info(
                        "behind a connection pooler: polling for jobs; listen_url= in the URL names a way around it"
                    )
                    self.armed.set()
                    return
                delay = FIRST_DELAY
                self._listen(link, stopped)
            stopped.wait(delay * random.uniform(0.8, 1.2))
            delay = min(delay * 2, LONGEST_DELAY)

    def _listen(self, link: Link, stopped: threading.Event) -> None:
        connection: psycopg.Connection[Any] = link.connection  # type: ignore[assignment]
        self._link = link
        try:
            for channel in self._channels:
                connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            self._heard(None)
            self.armed.set()
            while not stopped.is_set():
                for notice in connection.notifies(timeout=PROBE_SECONDS):
                    self._heard(notice.payload)
                self._probe(link, connection)
        except (psycopg.Error, OSError) as error:
            if not stopped.is_set():
                log.debug("stopped listening for wake-ups: %s", error)
        finally:
            self._link = None
            link.drop()

    def _probe(self, link: Link, connection: psycopg.Connection[Any]) -> None:
        """Ask for an answer; a peer that is silently gone never gives one, and then the socket is shut down."""
        timer = threading.Timer(ANSWER_SECONDS, _cut, (link,))
        timer.daemon = True
        timer.start()
        try:
            connection.execute("SELECT 1")
        finally:
            timer.cancel()


def _cut(link: Link) -> None:
    with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(link.connection.fileno())) as shared:
        shared.shutdown(socket.SHUT_RDWR)
