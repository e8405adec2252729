"""What the contract's tests need on a broker: claims that wait for what is on its way, and delays that a clock ends.

A broker pushes: what it has confirmed arrives a moment later, and a worker sleeps until it does. The tests ask once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from stoker.core.clock import Clock
from stoker.core.command import Command, Retry
from stoker.core.duration import Duration
from stoker.core.job import Claimed, Token
from stoker.drivers.rabbitmq_link import Message
from stoker.stores.rabbitmq.commands import talk
from stoker.stores.rabbitmq.session import Session
from stoker.stores.rabbitmq.store import RabbitStore
from stoker.testing.fake_clock import FakeClock

T = TypeVar("T")


class PatientStore(RabbitStore):
    """Claims as often as the broker has something to push."""

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        super().__init__(url, clock=clock)
        self.was_reached = False
        """Whether the broker was ever asked anything."""
        if isinstance(clock, HurriedClock):
            clock.stores.append(self)

    def run(self, command: Command[T], on: object | None = None) -> T:
        self.was_reached = True
        return super().run(command, on)

    async def arun(self, command: Command[T], on: object | None = None) -> T:
        self.was_reached = True
        return await super().arun(command, on)

    def claim(
        self,
        demand: Mapping[str, int],
        names: Sequence[str],
        routes: Sequence[str],
        token: Token,
        worker: str,
        lease: int,
        *,
        oldest: bool = False,
    ) -> Command[Claimed]:
        once = super().claim(demand, names, routes, token, worker, lease, oldest=oldest)
        if not any(demand.values()) or not names or "" not in routes:
            return once

        async def claim(session: Session) -> Claimed:
            repeated = token in session.deliveries.tokens
            claims = await session.claim(demand, names, token)
            if repeated:
                return Claimed(claims, None, self._clock.now())
            left = dict(demand)
            for claimed in claims:
                left[claimed.queue] -= 1
            while any(left.values()) and await self._coming(session, [*demand], names):
                await asyncio.sleep(0.005)
                session.look_for_suspects_at = 0.0
                more = await session.take(left, names, token)
                for claimed in more:
                    left[claimed.queue] -= 1
                claims += more
            return Claimed(claims, None, self._clock.now())

        return talk("claim", claim, Retry.KEYED)

    async def _coming(self, session: Session, queues: Sequence[str], names: Sequence[str]) -> bool:
        link, _ = await session.connect("publishing")
        lanes = [lane for lane in await session.topology.lanes(link) if lane.queue in queues and lane.name in names]
        if any(not lane.suspects and lane not in {one.lane for one in session.deliveries.lanes} for lane in lanes):
            return True
        for lane in lanes:
            if not (lane.suspects and session._suspect) and await session.topology.waiting(link, lane):
                return True
        return bool(session._aside) or any(one.buffer for one in session.deliveries.lanes)

    def hurry(self) -> None:
        """End all delays: the store itself must see which are over."""
        if self._running._session is not None:
            self.run(talk("hurry", _end_delays))


class HurriedClock(FakeClock):
    """A clock whose every step ends the broker's delays."""

    def __init__(self) -> None:
        super().__init__()
        self.stores: list[PatientStore] = []

    def advance(self, duration: Duration) -> None:
        super().advance(duration)
        for store in self.stores[:1]:
            store.hurry()


async def _end_delays(session: Session) -> None:
    link, _ = await session.connect("publishing")
    channel: Any = await link.channel()
    for rung in session.topology.rungs():
        name = session.topology.rung(rung)
        if name not in session.topology._declared:
            continue
        found: list[tuple[Any, Any, bytes]] = []

        def take(_channel: Any, *message: Any, found: list[Any] = found) -> None:
            found.append(message)

        while await channel.get(name, take, lambda: True):
            method, properties, body = found.pop()
            await channel.publish([Message("", method.routing_key, body, properties)])
            channel.ack(method.delivery_tag)
    await channel.close()
