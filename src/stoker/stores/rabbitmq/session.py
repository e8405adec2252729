"""What one process has open at the broker: a connection that publishes, one that consumes, one that looks.

Several, because a broker that runs out of memory stops reading from those that publish; endings must still get through.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from secrets import token_hex
from typing import Any, Final

from stoker.core.clock import Clock
from stoker.core.job import AttemptFailure, Claim, JobId, NewJob, State, Token
from stoker.core.settlement import Settled, Settlement
from stoker.drivers.bell import Bell
from stoker.drivers.rabbitmq_link import Channel, Link, LinkLost, Message, Refused, Unconfirmed
from stoker.errors import LeaseExpired, StokerError
from stoker.stores.rabbitmq import endings, losing, wire
from stoker.stores.rabbitmq.deliveries import LIFE, Consumed, Consumer, Deliveries, Delivery, come_to_rest
from stoker.stores.rabbitmq.lane import Lane
from stoker.stores.rabbitmq.sending import onward, send
from stoker.stores.rabbitmq.topology import Topology

log = logging.getLogger("stoker")
_NOT_FOUND: Final = 404
_TICK: Final = 0.5
_CHECK_EVERY: Final = 10.0
_SUSPECTS_EVERY: Final = 1.0
"""Seconds between two looks for suspects."""


class Session:
    """Lives on one event loop."""

    def __init__(self, parameters: Any, topology: Topology, clock: Clock, bell: Bell) -> None:
        self._parameters = parameters
        self._clock = clock
        self._bell = bell
        self._opening = asyncio.Lock()
        self._links: dict[str, tuple[Link, Channel]] = {}
        self._loop = asyncio.get_running_loop()
        self._aside: list[tuple[Delivery, Message]] = []
        self._asides: asyncio.Task[None] | None = None
        self._upkeep: asyncio.Task[None] | None = None
        self._suspect: Delivery | None = None
        self._fetched: deque[Delivery] = deque()
        """Suspects that nobody has claimed yet."""
        self._following: Channel | None = None
        self._listed: dict[Lane, Consumed] = {}
        self.look_for_suspects_at = 0.0
        self._check_again = self._loop.time() + _CHECK_EVERY
        self.topology = topology
        self._form = topology.form
        self.deliveries = Deliveries(lambda queue: bell.ring((queue,)), topology.forget)
        self._giving_back = asyncio.Lock()

    # -- connections ---------------------------------------------------------------------------------------------------

    async def connect(self, purpose: str) -> tuple[Link, Channel]:
        """Give the connection for ``publishing``, ``consuming`` or ``looking``; LinkLost when there is none."""
        found = self._links.get(purpose)
        if found is not None and found[1].ended is None:
            return found
        async with self._opening:
            found = self._links.get(purpose)
            if found is not None and isinstance(found[1].ended, Refused) and found[1].ended.code == _NOT_FOUND:
                self.topology.forget()  # somebody deleted a queue
            if found is None or not found[0].alive:
                link = await Link.open(self._parameters)
            elif found[1].ended is None:
                return found
            else:
                link = found[0]
            self._links[purpose] = (link, await link.channel())
            if purpose == "consuming":
                self._links[purpose][1].on_end = self._lost
            return self._links[purpose]

    @property
    def reached(self) -> bool:
        """Whether a connection was ever there: else nothing can have been done."""
        return bool(self._links)

    @property
    def blocked(self) -> str | None:
        """Why the broker takes no messages, if it said so."""
        found = self._links.get("publishing")
        return found[0].blocked if found is not None else None

    async def close(self) -> None:
        """Give back what nobody claimed, then end the connections."""
        try:
            async with asyncio.timeout(3), self._giving_back:
                if "consuming" in self._links and self._links["consuming"][1].ended is None:
                    await self._give_back(self.deliveries.lanes)
                    await self._move([(one, endings.suspect(self.topology, one, one.crashes)) for one in self._fetched])
        except (LinkLost, Refused, Unconfirmed, TimeoutError, StokerError) as error:
            log.warning("rabbitmq: unclaimed jobs go back when the connection ends: %s", error)
        if self._upkeep is not None:
            self._upkeep.cancel()
        for link, _ in self._links.values():
            await link.close()
        self._links.clear()

    def _lost(self) -> None:
        losing.say_why(self._links["consuming"][1].ended)
        self.deliveries.lost()
        self._aside.clear()
        self._fetched.clear()
        self._suspect = None

    # -- verbs ---------------------------------------------------------------------------------------------------------

    async def enqueue(self, jobs: Sequence[NewJob], ids: Sequence[JobId]) -> None:
        """Publish new jobs."""
        now, form = self._clock.now(), self._form
        messages: list[Message] = []
        lanes: dict[Lane, str] = {}
        for job, id in zip(jobs, ids, strict=True):
            lane = Lane(job.queue, job.name)
            key = lanes.get(lane) or lanes.setdefault(lane, self.topology.key(lane))
            due = job.due.resolve(now)
            properties = form.properties(job, id, now, due)
            messages.append(onward(self.topology, key, form.body(job), properties, due - now, form.exchange))
        link, channel = await self.connect("publishing")
        await send(link, channel, self.topology, messages, lanes)

    async def claim(self, demand: Mapping[str, int], names: Sequence[str], token: Token) -> list[Claim]:
        """Take what has been pushed, and have more pushed where that was not enough; once under each token."""
        if (under := self.deliveries.tokens.get(token)) is not None:
            return [self._claimed(self.deliveries.held[id, token], token) for id in under]
        return await self.take(demand, names, token)

    async def take(self, demand: Mapping[str, int], names: Sequence[str], token: Token) -> list[Claim]:
        """Do the same however often."""
        link, channel = await self.connect("consuming")
        await self._follow(link)
        asked: list[tuple[list[Consumed], int]] = []
        for queue, wanted in demand.items():
            if self._form.every_name:
                await self._serve(link, queue, names)
            consumed = [lane for name in names if (lane := self._listed.get(Lane(queue, name))) is not None]
            asked.append((consumed, wanted))
            if wanted > 0:
                await self._fetch_suspect(link, channel, consumed)
            room = (
                wanted - sum(len(lane.buffer) for lane in consumed) - any(one.lane in consumed for one in self._fetched)
            )
            for lane in consumed if room > 0 else ():
                if lane.full:
                    await self.topology.ensure_lanes(link, [lane.lane])
                    await self.deliveries.widen(channel, lane, room, self._receiver)
        self._start_upkeep()
        # Without a pause from here on: what is taken is held, or the channel ended before and nothing is there.
        taken = [delivery for consumed, wanted in asked for delivery in self._take(consumed, wanted)]
        return [self._claimed(delivery, token) for delivery in taken if self.deliveries.hold(delivery, token)]

    def _take(self, lanes: Sequence[Consumed], wanted: int) -> list[Delivery]:
        if wanted > 0 and self._suspect is None:
            self._suspect = next((one for one in self._fetched if one.lane in lanes), None)
            if self._suspect is not None:
                self._fetched.remove(self._suspect)
                return [self._suspect, *self.deliveries.take(lanes, wanted - 1)]
        return self.deliveries.take(lanes, wanted)

    def extend(self, tokens: Sequence[Token]) -> frozenset[Token]:
        """Tell which tokens hold nothing any more."""
        return frozenset(token for token in tokens if token not in self.deliveries.tokens)

    async def settle(self, settlements: Sequence[Settlement]) -> dict[JobId, Settled]:
        """End attempts: what carries a job on is published and confirmed first, then the delivery is acknowledged."""
        now = self._clock.now()
        answers: dict[JobId, Settled] = {}
        messages: list[Message] = []
        ended: list[tuple[Settlement, Delivery]] = []
        try:
            for ending in settlements:
                wrong = ending.state is State.RUNNING
                delivery = None if wrong else self.deliveries.held.pop((ending.id, ending.token), None)
                if delivery is None:
                    answers.setdefault(ending.id, Settled.LOST)
                    continue
                answers[ending.id] = Settled.ACCEPTED
                ended.append((ending, delivery))
                if message := endings.after(self.topology, delivery, ending, now):
                    messages.append(message)
        except BaseException:
            self._hold_again(ended)
            raise
        if not ended:
            return answers
        link, channel = await self.connect("consuming")
        if messages:
            try:
                await send(link, channel, self.topology, messages, _lanes_of(ended))
            except BaseException as error:
                if channel.ended is None:
                    self._hold_again(ended)
                elif isinstance(error, (LinkLost, Refused)):
                    # The deliveries went with the channel: they run again, and some of what was published may be there.
                    return dict.fromkeys(answers, Settled.LOST)
                raise
        self.deliveries.acknowledge(channel, {delivery.tag for _, delivery in ended})
        for ending, delivery in ended:
            self.deliveries.release(ending.id, ending.token)
            if delivery is self._suspect:
                self._suspect, self.look_for_suspects_at = None, 0.0
                self._bell.ring((delivery.lane.lane.queue,))
        return answers

    def _hold_again(self, ended: Sequence[tuple[Settlement, Delivery]]) -> None:
        for ending, delivery in ended:
            self.deliveries.held[ending.id, ending.token] = delivery

    async def _follow(self, link: Link) -> None:
        """Know all lanes there are, and hear of new ones: a worker consumes none in which nobody ever enqueued."""
        if self._following is None or self._following.ended is not None:
            self._following = await self.topology.follow(link, self._hear_of)

    async def _serve(self, link: Link, queue: str, names: Sequence[str]) -> None:
        """Have a queue for each name, as those who only publish expect it."""
        new = [lane for name in names if (lane := Lane(queue, name)) not in self._listed]
        if new:
            await self.topology.ensure_lanes(link, new)
            for lane in new:
                self._hear_of(lane)

    def _hear_of(self, lane: Lane) -> None:
        self._listed[lane] = self.deliveries.lane(lane, self.topology.key(lane))
        self._bell.ring((lane.queue,))

    # -- what is pushed ------------------------------------------------------------------------------------------------

    def _receiver(self, consumer: Consumer) -> Any:
        guests, lane = self._form.has_guests, consumer.lane

        def receive(_channel: Any, method: Any, properties: Any, body: bytes) -> None:
            self.deliveries.received(consumer, method.delivery_tag)
            redelivered: bool = method.redelivered
            properties.message_id = properties.message_id or f"foreign-{token_hex(8)}"
            if guests:
                self._form.adopt(properties, self._clock.now())
            delivery = Delivery(lane, method.delivery_tag, properties, body, self._loop.time())
            headers = properties.headers
            if redelivered:
                self._put_aside(delivery, self._accused(delivery))
            elif headers and (due := headers.get(wire.DUE)) and due > (now := self._clock.now()):
                self._put_aside(delivery, endings.early(self.topology, delivery, due, now))
            else:
                if headers and wire.CRASHES in headers:
                    delivery.crashes = wire.number(headers, wire.CRASHES)
                lane.place(delivery)
                self._bell.ring((lane.lane.queue,))

        return receive

    def _accused(self, delivery: Delivery) -> Message:
        """Give what becomes of a job that was with a worker when that went silent."""
        headers = delivery.properties.headers or {}
        return self._judged(delivery, wire.number(headers, wire.CRASHES) + 1)

    def _judged(self, delivery: Delivery, crashes: int) -> Message:
        headers = delivery.properties.headers or {}
        delivery.crashes = crashes
        if crashes < wire.number(headers, wire.CRASH_LIMIT, 3):
            return endings.suspect(self.topology, delivery, crashes)
        attempt = wire.number(headers, wire.FAILURES) + crashes
        reason = f"the worker that performed it went silent, {crashes} times"
        keep = wire.kept(headers, wire.KEEP_FAILED, 1_209_600_000_000)
        error = AttemptFailure(attempt, 0, LeaseExpired.__name__, reason)
        return endings.parked(self.topology, delivery, error, keep, self._clock.now())

    async def _fetch_suspect(self, link: Link, channel: Channel, lanes: Sequence[Consumed]) -> None:
        """Fetch one suspect, if this process has none: when the worker dies, it alone is counted."""
        if not self._wants_suspect() or self._loop.time() < self.look_for_suspects_at:
            return
        for lane in lanes:
            suspects = lane.lane._replace(suspects=True)
            if suspects not in self._listed:
                continue
            await self.topology.ensure_lanes(link, [suspects])
            key, fetched = self.topology.key(suspects), functools.partial(self._receive_suspect, lane)
            while await channel.get(key, fetched, self._wants_suspect):
                pass
        if not self._fetched:
            self.look_for_suspects_at = self._loop.time() + _SUSPECTS_EVERY

    def _wants_suspect(self) -> bool:
        return self._suspect is None and not self._fetched

    def _receive_suspect(self, lane: Consumed, _channel: Any, method: Any, properties: Any, body: bytes) -> None:
        self.deliveries.received(lane.fetched, method.delivery_tag)
        delivery = Delivery(lane, method.delivery_tag, properties, body, self._loop.time())
        headers = properties.headers or {}
        now = self._clock.now()
        delivery.crashes = wire.number(headers, wire.CRASHES) + max(
            wire.number(headers, wire.DELIVERIES), int(method.redelivered)
        )
        if delivery.crashes >= wire.number(headers, wire.CRASH_LIMIT, 3):
            self._put_aside(delivery, self._judged(delivery, delivery.crashes))
        elif (due := wire.number(headers, wire.DUE)) > now:
            self._put_aside(delivery, endings.early_suspect(self.topology, delivery, due, now))
        else:
            self._fetched.append(delivery)

    def _put_aside(self, delivery: Delivery, message: Message) -> None:
        """Send a delivery elsewhere, unclaimed."""
        self._aside.append((delivery, message))
        if self._asides is None or self._asides.done():
            self._asides = self._loop.create_task(self._send_aside())

    async def _send_aside(self) -> None:
        while self._aside:
            moved, self._aside = self._aside, []
            channel = self._links["consuming"][1]
            try:
                await self._move(moved)
            except (LinkLost, Refused, Unconfirmed, StokerError) as error:
                if channel.ended is not None:
                    continue  # what stands there by now came on another
                log.warning("rabbitmq: jobs that are to wait elsewhere stay here for a second: %s", error)
                self._aside = [*moved, *self._aside]
                await asyncio.sleep(1)

    async def _move(self, moved: Sequence[tuple[Delivery, Message]]) -> None:
        link, channel = self._links["consuming"]
        lanes = {delivery.lane.lane for delivery, _ in moved}
        accused = {lane._replace(suspects=True) for lane in lanes if any(one.crashes for one, _ in moved)}
        await send(link, channel, self.topology, [message for _, message in moved], lanes | accused)
        self.deliveries.acknowledge(channel, {delivery.tag for delivery, _ in moved})
        self.look_for_suspects_at = 0.0
        for lane in lanes:
            self._bell.ring((lane.queue,))

    # -- upkeep --------------------------------------------------------------------------------------------------------

    def _start_upkeep(self) -> None:
        if self._upkeep is None or self._upkeep.done():
            self._upkeep = self._loop.create_task(self._keep_up())

    async def _keep_up(self) -> None:
        """Give back what nobody claims, and have somebody look for suspects, which are not pushed."""
        while True:
            await asyncio.sleep(_TICK)
            if self._suspect is None and self._loop.time() >= self.look_for_suspects_at:
                self._bell.ring({lane.queue for lane in self._listed if lane.suspects})
            oldest = self._loop.time() - LIFE
            for fetched in [one for one in self._fetched if one.arrived < oldest]:
                self._fetched.remove(fetched)
                self._put_aside(fetched, endings.suspect(self.topology, fetched, fetched.crashes))
            await self._see_to_deleted()
            stale = [lane for lane in self.deliveries.lanes if lane.buffer and lane.buffer[0].arrived < oldest]
            try:
                async with self._giving_back:
                    await self._give_back(stale)
            except (LinkLost, Refused, Unconfirmed, StokerError) as error:
                log.warning("rabbitmq: unclaimed jobs could not be given back: %s", error)

    async def _see_to_deleted(self) -> None:
        """Notice queues that are gone: not each deletion is told to those who consume."""
        if self._loop.time() < self._check_again:
            return
        self._check_again = self._loop.time() + _CHECK_EVERY
        for lane in [*self.deliveries.lanes]:
            with contextlib.suppress(LinkLost, Refused, StokerError):
                link, _ = self._links["consuming"]
                if lane.consumers and not await self.topology.exists(link, lane.lane):
                    lane.consumers.clear()
                    self.topology.forget()
                    self._bell.ring((lane.lane.queue,))

    async def _give_back(self, lanes: Iterable[Consumed]) -> None:
        lanes = [lane for lane in lanes if lane.consumers or lane.buffer]
        await come_to_rest(lanes)
        for lane in lanes:
            _, channel = self._links["consuming"]
            if left := await self.deliveries.stop(channel, lane):
                try:
                    await self._move([(delivery, endings.unharmed(delivery)) for delivery in left])
                except BaseException:
                    if channel.ended is None:
                        lane.buffer.extendleft(reversed(left))
                    raise

    def _claimed(self, delivery: Delivery, token: Token) -> Claim:
        lane = delivery.lane.lane
        body = self._form.args(delivery.body)
        properties, crashes, rank = delivery.properties, delivery.crashes, self._form.priority(delivery.properties)
        return wire.claim_of(properties, body, lane.queue, lane.name, token, crashes, rank)


def _lanes_of(ended: Sequence[tuple[Settlement, Delivery]]) -> set[Lane]:
    return {delivery.lane.lane._replace(suspects=delivery.crashes > 0) for _, delivery in ended}
