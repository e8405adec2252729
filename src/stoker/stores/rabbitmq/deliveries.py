"""What the broker has pushed to this process: which lanes are consumed, what waits to be claimed, what is in hand.

The lease of a job is the channel that it was delivered on: when that ends, the broker gives the job to somebody else,
and whatever is said of it here is too late.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from stoker.core.job import JobId, Token
from stoker.drivers.rabbitmq_link import Channel
from stoker.stores.rabbitmq.lane import Lane

STEPS: Final = 4
"""A window that was full is made larger by a quarter at least, so that there are few consumers."""
_ON_ITS_WAY: Final = 0.2
"""Seconds after an acknowledgement in which the next job arrives, also from a busy broker."""
_LOOKS: Final = 5
LIFE: Final = 1.0
"""Seconds after which a job that nobody claimed goes back: another worker may be free."""


class Delivery:
    """A message in our hands."""

    __slots__ = ("arrived", "body", "crashes", "lane", "properties", "tag")

    def __init__(self, lane: Consumed, tag: int, properties: Any, body: bytes, arrived: float) -> None:
        self.lane = lane
        self.tag = tag
        self.properties = properties
        self.body = body
        self.arrived = arrived
        self.crashes = 0


class Consumer:
    """One consumer at the broker, or what was fetched without one."""

    __slots__ = ("lane", "open", "window")

    def __init__(self, lane: Consumed, window: int = 0) -> None:
        self.lane = lane
        self.open = 0
        """Deliveries that are not acknowledged, claimed or not."""
        self.window = window
        """How many of them the broker allows."""


class Consumed:
    """One lane as this process consumes it."""

    __slots__ = ("buffer", "consumers", "fetched", "key", "lane", "open", "pushed")

    def __init__(self, lane: Lane, key: str) -> None:
        self.lane = lane
        self.key = key
        self.buffer: deque[Delivery] = deque()
        self.open = 0
        """Deliveries that are not acknowledged, claimed or not."""
        self.pushed = 0
        """Deliveries ever."""
        self.consumers: dict[str, Consumer] = {}
        """By tag. A window cannot be changed, and a consumer that ended for the sake of a larger one would give back
        what is on its way, which then looks like a crash: so there is one more for each step."""
        self.fetched = Consumer(self)

    @property
    def window(self) -> int:
        """How many unacknowledged deliveries the broker allows to the consumers there are."""
        return sum(one.window for one in self.consumers.values())

    @property
    def full(self) -> bool:
        """Whether the broker pushes no more before something is acknowledged."""
        return sum(one.open for one in self.consumers.values()) >= self.window

    def place(self, delivery: Delivery) -> None:
        """Put a delivery behind those of its priority and above."""
        place = len(self.buffer)
        while place and _rank(self.buffer[place - 1]) < _rank(delivery):
            place -= 1
        self.buffer.insert(place, delivery)

    def lost(self) -> None:
        """Begin anew: the channel has ended."""
        self.buffer.clear()
        self.open = 0
        self.fetched = Consumer(self)
        self.consumers.clear()


class Deliveries:
    """All that one channel has brought."""

    def __init__(self, rung: Callable[[str], None], gone: Callable[[], None]) -> None:
        """``rung`` is told in which queue something may be new, ``gone`` that the broker has ended a consumer."""
        self._rung = rung
        self._gone = gone
        self._lanes: dict[Lane, Consumed] = {}
        self._tags: dict[int, Consumer] = {}
        self._subscribing = asyncio.Lock()
        self.held: dict[tuple[JobId, Token], Delivery] = {}
        self.tokens: dict[Token, dict[JobId, None]] = {}

    @property
    def lanes(self) -> Iterable[Consumed]:
        """The lanes that were ever asked for."""
        return self._lanes.values()

    def lane(self, lane: Lane, key: str) -> Consumed:
        """Give what is known of a lane."""
        found = self._lanes.get(lane)
        if found is None:
            found = self._lanes[lane] = Consumed(lane, key)
        return found

    def lost(self) -> None:
        """Forget everything: the channel has ended, and the broker gives all of it to others."""
        self._tags.clear()
        self.held.clear()
        self.tokens.clear()
        for lane in self._lanes.values():
            lane.lost()
            self._rung(lane.lane.queue)

    def take(self, lanes: Sequence[Consumed], wanted: int) -> list[Delivery]:
        """Take up to so many of what waits, in the order of arrival."""
        full = [lane.buffer for lane in lanes if lane.buffer]
        taken: list[Delivery] = []
        if len(full) == 1:
            while full[0] and len(taken) < wanted:
                taken.append(full[0].popleft())
            return taken
        while full and len(taken) < wanted:
            first = min(full, key=_age)
            taken.append(first.popleft())
            if not first:
                full.remove(first)
        return taken

    def hold(self, delivery: Delivery, token: Token) -> bool:
        """Keep a delivery under a token, unless that has another of the same job: a copy, which waits for the next."""
        id = JobId(delivery.properties.message_id)
        if (id, token) in self.held:
            delivery.lane.buffer.appendleft(delivery)
            return False
        self.held[id, token] = delivery
        self.tokens.setdefault(token, {})[id] = None
        return True

    def release(self, id: JobId, token: Token) -> None:
        """Forget a delivery that has ended."""
        self.held.pop((id, token), None)
        if (ids := self.tokens.get(token)) is not None:
            ids.pop(id, None)
            if not ids:
                del self.tokens[token]

    def received(self, consumer: Consumer, tag: int) -> None:
        """Count a delivery."""
        lane = consumer.lane
        consumer.open += 1
        lane.open += 1
        lane.pushed += 1
        self._tags[tag] = consumer

    def acknowledge(self, channel: Channel, tags: set[int]) -> None:
        """Acknowledge deliveries, in one word those before which nothing is open."""
        last = 0
        for tag in self._tags:
            if tag not in tags:
                break
            last = tag
        single = sorted(tag for tag in tags if tag > last)
        for tag in tags:
            if consumer := self._tags.pop(tag, None):
                consumer.open -= 1
                consumer.lane.open -= 1
        if last:
            channel.ack(last, multiple=True)
        for tag in single:
            channel.ack(tag)

    async def widen(self, channel: Channel, lane: Consumed, room: int, deliver: Callable[[Consumer], Any]) -> None:
        """Have the broker push up to ``room`` more, where it is not already allowed to."""
        async with self._subscribing:
            if not lane.full:
                return
            consumer = Consumer(lane, max(room, lane.window // STEPS))

            def cancelled(tag: str) -> None:
                # The queue was deleted, or its leader moved: the next claim declares and consumes it again.
                lane.consumers.pop(tag, None)
                self._gone()
                self._rung(lane.lane.queue)

            def begun(tag: str) -> None:
                lane.consumers[tag] = consumer

            await channel.consume(lane.key, deliver(consumer), cancelled, consumer.window, begun=begun)

    async def stop(self, channel: Channel, lane: Consumed) -> list[Delivery]:
        """Have nothing more pushed of a lane, and give what was pushed and not claimed."""
        async with self._subscribing:
            while lane.consumers:
                tag, _ = lane.consumers.popitem()
                await channel.stop_consuming(tag)
            left = [*lane.buffer]
            lane.buffer.clear()
            return left


async def come_to_rest(lanes: Sequence[Consumed]) -> None:
    """Let arrive what is on its way: the broker keeps it from a consumer that ends, and counts it as delivered."""
    for _ in range(_LOOKS):
        before = [lane.pushed for lane in lanes]
        if all(lane.full for lane in lanes):
            return
        await asyncio.sleep(_ON_ITS_WAY)
        if before == [lane.pushed for lane in lanes]:
            return


def _age(buffer: deque[Delivery]) -> tuple[int, int]:
    return -_rank(buffer[0]), buffer[0].tag


def _rank(delivery: Delivery) -> int:
    return delivery.properties.priority or 0
