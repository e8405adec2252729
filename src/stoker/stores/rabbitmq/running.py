"""Runs the conversations of one store in this process: on a loop of their own, again where that does no harm."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from stoker.core.clock import Clock
from stoker.core.command import Retry
from stoker.drivers.bell import Bell
from stoker.drivers.rabbitmq_link import LinkLost, Refused, Unconfirmed, Untrusted
from stoker.drivers.rabbitmq_loop import SideLoop
from stoker.errors import StokerError, StoreError, StoreUnavailable
from stoker.stores.rabbitmq.buffalo import BuffaloTopology
from stoker.stores.rabbitmq.commands import Talk
from stoker.stores.rabbitmq.ranks import RankedTopology
from stoker.stores.rabbitmq.session import Session
from stoker.stores.rabbitmq.topology import Topology
from stoker.stores.rabbitmq.urls import RabbitUrl

T = TypeVar("T")
FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 1.0
_FORBIDDEN: Final = 403


class Running:
    """Has the session of this process, and begins a new one in a forked child."""

    def __init__(self, parsed: RabbitUrl, url: str, clock: Clock, bell: Callable[[], Bell]) -> None:
        self._parsed = parsed
        self._url = url
        self._clock = clock
        self._bell = bell
        self._session: Session | None = None
        self._loop = SideLoop("stoker-rabbitmq", self._start_over)

    def run(self, command: Talk[T]) -> T:
        """Run a command in this thread; StoreUnavailable when the broker does not answer."""
        return self._loop.run(lambda: self._converse(command))

    async def arun(self, command: Talk[T]) -> T:
        """Do the same without blocking the event loop."""
        return await self._loop.arun(lambda: self._converse(command))

    def close(self) -> None:
        """End connections and thread; a later command opens them again."""
        if self._session is not None:
            self._loop.run(self._end)
        self._loop.close()

    def topology(self) -> Topology:
        """Give the names of the queues, and with them the form of the messages."""
        if self._parsed.ranked:
            return RankedTopology(self._parsed.prefix)
        if self._parsed.exchange is None:
            return Topology(self._parsed.prefix)
        return BuffaloTopology(self._parsed.prefix, self._parsed.exchange)

    def _start_over(self) -> None:
        self._session = None

    async def _end(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _converse(self, command: Talk[T]) -> T:
        if self._session is None:
            self._session = Session(self._parsed.parameters, self.topology(), self._clock, self._bell())
        session = self._session
        if command.course is None:
            return command.read(None)
        deadline = time.monotonic() + self._parsed.timeout
        pause, uncertain = 0.0, False
        while True:
            try:
                async with asyncio.timeout(max(0.1, deadline - time.monotonic())):
                    answer: T = await command.course(session)
                    return answer
            except Untrusted as error:
                raise self._unavailable(session, command, error, uncertain=uncertain) from error
            except (LinkLost, Refused) as error:
                if isinstance(error, Refused) and error.code == _FORBIDDEN:
                    raise StoreError(f"{self._url} refused ({command.name}): {error}", store=self._url) from error
                reason: Exception = error
                uncertain = uncertain or session.reached
            except Unconfirmed as error:
                reason, uncertain = error, uncertain or error.partly
            except TimeoutError as error:
                reason, uncertain = error, True
            except StoreError as error:
                error.store, error.verb = self._url, command.name
                raise
            if time.monotonic() >= deadline or (uncertain and command.retry is Retry.NEVER):
                raise self._unavailable(session, command, reason, uncertain=uncertain) from reason
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(max(FIRST_PAUSE, 2 * pause), LONGEST_PAUSE)

    def _unavailable(self, session: Session, command: Talk[Any], reason: Exception, *, uncertain: bool) -> StokerError:
        text = str(reason) or "no answer in time"
        if session.blocked:
            text = f"the broker takes no messages: {session.blocked}; it has too little memory or disk"
        return StoreUnavailable(
            f"{self._url} does not answer ({command.name}): {text}",
            store=self._url,
            verb=command.name,
            uncertain=uncertain and command.retry is Retry.NEVER,
        )
