"""How scripts travel to Redis: blocking connections, used in the calling thread or in a few threads of our own.

One kind of connection serves sync and async callers: it is bound to no event loop, so nothing is left behind when one
closes, and the answers of a busy worker are so large that the hop to a thread costs nothing beside them.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, Final, TypeVar

from redis.exceptions import AskError, MovedError, NoScriptError, RedisError, ResponseError

from stoker.core.clock import Clock
from stoker.core.command import Retry, Script
from stoker.drivers.forks import follow_forks
from stoker.drivers.redis_errors import PASSING, code_of, unavailable
from stoker.drivers.redis_link import Address, Link, Target, open_link
from stoker.drivers.redis_places import Place, place_of
from stoker.drivers.redis_quick import NotQuick, exchange, plain_socket
from stoker.drivers.switching import eager_switching
from stoker.errors import ConfigurationError, StoreError

T = TypeVar("T")

OLDEST: Final = (6, 2)
THREADS: Final = 8
"""How many async commands may be under way at once, each on a connection of its own."""
FIRST_PAUSE: Final = 0.01
LONGEST_PAUSE: Final = 0.25
"""Seconds between two tries."""
MOST_REDIRECTIONS: Final = 5


class _Refused(Exception):
    """The server did nothing, and says or shows why."""


class _Lost(Exception):
    """The command was sent, and nobody knows whether it was carried out."""


class RedisDriver:
    """Runs scripts. ``clock`` gives the time to scripts where a test wants its own; None lets the server's count."""

    def __init__(self, target: Target, url: str, clock: Clock | None) -> None:
        self.target = target
        self._url = url
        self._clock = clock
        self._checked = False
        self._lock: threading.Lock
        self._threads: ThreadPoolExecutor | None
        self._idle: defaultdict[Address, list[Link]]
        self._place: Place
        self._start_over()
        follow_forks(self)

    async def arun(self, script: Script, retry: Retry, verb: str) -> Any:
        """Do what `run` does without blocking the event loop."""
        uncertain = False
        found = self._take_quick()
        if found is not None:
            address, link, raw = found
            try:
                reply = await exchange(raw, link.pack_command(*self._words("EVALSHA", script)), self.target.timeout)
            except NotQuick:
                self._give_back(address, link)
            except OSError:
                link.disconnect()
                uncertain = True
            except BaseException:
                # Interrupted in the middle: the answer would be taken for that of the next command.
                link.disconnect()
                raise
            else:
                self._give_back(address, link)
                return reply
        return await self.in_thread(lambda: self.run(script, retry, verb, uncertain=uncertain))

    def run(self, script: Script, retry: Retry, verb: str, *, uncertain: bool = False) -> Any:
        """Run a script and give its reply; tried again for as long as `Target.timeout` says.

        ``uncertain`` tells that it was sent before, and nobody knows what became of it. Raises StoreUnavailable, and
        StoreError for what should never happen.
        """
        if uncertain and retry is Retry.NEVER:
            raise unavailable("the connection was lost", self._url, verb, uncertain=True)
        deadline = time.monotonic() + self.target.timeout
        pause = 0.0
        while True:
            try:
                return self._attempt(script, verb)
            except _Refused as error:
                reason = error.__cause__
            except _Lost as error:
                reason, uncertain = error.__cause__, True
            if time.monotonic() >= deadline or (uncertain and retry is Retry.NEVER):
                raise unavailable(reason, self._url, verb, uncertain=uncertain) from reason
            time.sleep(pause * random.uniform(0.5, 1))
            pause = min(max(FIRST_PAUSE, 2 * pause), LONGEST_PAUSE)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do something that blocks without blocking the event loop."""

        def beside_a_loop() -> T:
            with eager_switching():
                return work()

        return await asyncio.get_running_loop().run_in_executor(self._thread_pool(), beside_a_loop)

    def connect(self, read_timeout: float) -> Link:
        """Open a connection for somebody who keeps it; RedisError or OSError."""
        address = self._place.address()
        try:
            return self._open(address, read_timeout=read_timeout)
        except (RedisError, OSError):
            self._place.lost(address)
            raise

    def visit(self, task: Callable[[Link], T], verb: str) -> T:
        """Do a task on a connection of its own; StoreUnavailable when the server does not answer."""
        try:
            link = self.connect(self.target.timeout)
            try:
                return task(link)
            finally:
                link.disconnect()
        except (RedisError, OSError) as error:
            raise unavailable(error, self._url, verb) from error

    def close(self) -> None:
        """Close the connections and end the threads; a later command opens them again."""
        with self._lock:
            threads, idle = self._threads, self._idle
            self._threads, self._idle = None, defaultdict(list)
        if threads is not None:
            threads.shutdown()
        for links in idle.values():
            for link in links:
                link.disconnect()

    # -- forks: a child opens its own ---------------------------------------------------------------------------------

    def pause_for_fork(self) -> None:
        """Keep others from changing what the child will see."""
        self._lock.acquire()

    def resume_after_fork(self) -> None:
        """Go on, in the parent."""
        self._lock.release()

    def start_over_in_child(self) -> None:
        """Forget the parent's connections, which stay open in the parent."""
        self._start_over()

    # -- the steps of a run, in the order in which they happen ---------------------------------------------------------

    def _start_over(self) -> None:
        self._lock = threading.Lock()
        self._threads = None
        self._idle = defaultdict(list)
        self._place = place_of(self.target, self._open_for_place)

    def _thread_pool(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="stoker-redis")
            return self._threads

    def _attempt(self, script: Script, verb: str) -> Any:
        try:
            address = self._place.address()
        except (RedisError, OSError) as error:
            raise _Refused from error
        asking = False
        for _ in range(MOST_REDIRECTIONS):
            try:
                return self._exchange(address, script, asking=asking)
            except MovedError as error:
                address, asking = _redirection(error, address), False
                self._place.moved(address)
            except AskError as error:
                address, asking = _redirection(error, address), True
            except ResponseError as error:
                code = code_of(error)
                if code in PASSING:
                    self._lose(address)
                    raise _Refused from error
                if code:
                    raise unavailable(error, self._url, verb) from error
                raise StoreError(f"{self._url} failed ({verb}): {error}", store=self._url, verb=verb) from error
        raise _Refused from RedisError("the nodes of the cluster send us from one to the other")

    def _exchange(self, address: Address, script: Script, *, asking: bool) -> Any:
        link = self._take(address)
        try:
            try:
                return self._call(link, "EVALSHA", script, asking=asking)
            except NoScriptError:
                return self._call(link, "EVAL", script, asking=asking)
        except ResponseError:
            raise
        except (RedisError, OSError) as error:
            link.disconnect()
            self._lose(address)
            raise _Lost from error
        except BaseException:
            # Interrupted in the middle: the answer would be taken for that of the next command.
            link.disconnect()
            raise
        finally:
            self._give_back(address, link)

    def _call(self, link: Link, verb: str, script: Script, *, asking: bool) -> Any:
        if asking:
            link.send_command("ASKING")
            link.read_response()
        link.send_command(*self._words(verb, script))
        return link.read_response(disable_decoding=True)

    def _words(self, verb: str, script: Script) -> tuple[str | bytes | int | float, ...]:
        now = "" if self._clock is None else self._clock.now()
        what = _sha(script.source) if verb == "EVALSHA" else script.source
        return (verb, what, len(script.keys), *script.keys, now, *script.args)

    def _take_quick(self) -> tuple[Address, Link, socket.socket] | None:
        """Take an idle connection that an event loop can use; None where there is none or nobody knows the server."""
        with self._lock:
            for address, idle in self._idle.items():
                if idle and address == self._place.known and (raw := plain_socket(idle[-1])) is not None:
                    return address, idle.pop(), raw
        return None

    def _take(self, address: Address) -> Link:
        with self._lock:
            idle = self._idle[address]
            if idle:
                return idle.pop()
        try:
            return self._open(address)
        except (RedisError, OSError) as error:
            self._lose(address)
            raise _Refused from error

    def _give_back(self, address: Address, link: Link) -> None:
        if link.is_connected:
            with self._lock:
                self._idle[address].append(link)

    def _lose(self, address: Address) -> None:
        """Forget the connections to an address: what happened to one happens to all."""
        self._place.lost(address)
        with self._lock:
            idle = self._idle.pop(address, [])
        for link in idle:
            link.disconnect()

    def _open_for_place(self, address: Address, sentinel: bool) -> Link:
        return self._open(address, sentinel=sentinel)

    def _open(self, address: Address, *, sentinel: bool = False, read_timeout: float | None = None) -> Link:
        patience = self.target.timeout if read_timeout is None else read_timeout
        link = open_link(self.target, address, sentinel=sentinel, read_timeout=patience)
        if not (self._checked or sentinel):
            self._check_version(link)
        return link

    def _check_version(self, link: Link) -> None:
        try:
            link.send_command("INFO", "server")
            told: bytes = link.read_response(disable_decoding=True)
        except ResponseError:
            return  # not ours to ask, so the server's version is taken on trust
        found = [line for line in told.decode().splitlines() if line.startswith("redis_version:")]
        version = found[0].partition(":")[2] if found else ""
        if version and tuple(map(int, version.split(".")[:2])) < OLDEST:
            link.disconnect()
            raise ConfigurationError(f"{self._url} is Redis {version}; stoker needs 6.2 or later, or Valkey")
        self._checked = True


def _redirection(error: AskError, asked: Address) -> Address:
    # A node that knows no name of its own means the one that was asked.
    return error.host or asked[0], error.port


@lru_cache(maxsize=64)
def _sha(source: str) -> str:
    return hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
