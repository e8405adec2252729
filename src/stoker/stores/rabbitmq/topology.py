"""The queues of this store: their names, their arguments, and how they come to be.

A queue of ours for each queue and job name (`Lane`), so that a worker takes the names it knows, and another for its
suspects once there are any. One for what was given up, one for each rung of the delays, and a stream that lists the
lanes, because nobody can ask a broker for the names of its queues.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

from stoker.core.duration import SECOND
from stoker.drivers.rabbitmq_link import Channel, Link, Message, Refused
from stoker.errors import ConfigurationError, EnqueueError
from stoker.stores.rabbitmq import listing
from stoker.stores.rabbitmq.form import Form
from stoker.stores.rabbitmq.lane import Lane

RUNGS: Final = tuple(
    int(rung * SECOND)
    for rung in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400, 604800)
)
"""The delays there are queues for. What is left over takes further rungs, so a job comes a tenth of a second late."""
DELAY: Final = "stoker-delay"
_LONGEST_NAME: Final = 255
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_OTHERWISE: Final = 406
_QUORUM: Final = {"x-queue-type": "quorum"}
_STREAM: Final = {"x-queue-type": "stream"}


class Topology:
    """The names under one prefix, and what of them is known to be declared."""

    kind = "durable quorum queues"
    """What jobs lie in."""

    def __init__(self, prefix: str, form: Form | None = None) -> None:
        self._prefix = prefix
        self.form = form or Form()
        self.parked = f"{prefix}:parked"
        self.delays = f"{prefix}:delay"
        self.listing = f"{prefix}:lanes"
        self._declared: set[str] = set()
        self._lock = asyncio.Lock()
        self._turns: WeakKeyDictionary[Link, asyncio.Lock] = WeakKeyDictionary()
        self._asking: WeakKeyDictionary[Link, Channel] = WeakKeyDictionary()

    def key(self, lane: Lane) -> str:
        """Give the broker's name of a lane's queue."""
        kind = "suspects" if lane.suspects else "jobs"
        return _short(f"{self._prefix}:{kind}:{_escaped(lane.queue)}:{_escaped(lane.name)}")

    def rung(self, rung: int) -> str:
        """Give the name of the queue of one delay, which is also the value of its header."""
        return f"{self._prefix}:delay:{rung / SECOND:g}s"

    def step(self, wait: int) -> int:
        """Give the rung on which a delay waits next."""
        return split(wait)

    def rungs_of(self, messages: Sequence[Message]) -> set[int]:
        """Tell which rungs messages are to wait on."""
        names = {one.properties.headers[DELAY] for one in messages if one.exchange == self.delays}
        return {rung for rung in self.rungs() if self.rung(rung) in names} if names else set()

    def rungs(self) -> Iterable[int]:
        """Give the rungs that there may be queues for."""
        return RUNGS

    def forget(self) -> None:
        """Declare everything anew when it is next needed: something is missing."""
        self._declared.clear()

    async def ensure_lanes(self, link: Link, lanes: Iterable[Lane]) -> None:
        """Declare the queues of lanes. ConfigurationError where one is there with other arguments; LinkLost."""
        new = [lane for lane in lanes if self.key(lane) not in self._declared]
        if not new:
            return
        async with self._lock:
            await self._once(link, self.parked, _QUORUM)
            for lane in new:
                key = self.key(lane)
                if key in self._declared:
                    continue
                if await self._is_new(link, lane):
                    await self._list(link, lane)
                await self._declare(link, "queue_declare", key, durable=True, arguments=self._arguments(lane))
                await self._bind(link, lane)
                self._declared.add(key)

    async def ensure_rungs(self, link: Link, rungs: Iterable[int]) -> None:
        """Declare the queues of delays; as `ensure_lanes`."""
        new = {rung for rung in rungs if self.rung(rung) not in self._declared}
        if not new:
            return
        async with self._lock:
            if self.delays not in self._declared:
                await self._declare(link, "exchange_declare", self.delays, exchange_type="headers", durable=True)
                self._declared.add(self.delays)
            for rung in sorted(new):
                name = self.rung(rung)
                await self._declare(link, "queue_declare", name, durable=True, arguments=self._waiting_on(rung))
                match = {"x-match": "all", DELAY: name}
                await self._declare(link, "queue_bind", name, exchange=self.delays, arguments=match)
                self._declared.add(name)

    async def waiting(self, link: Link, lane: Lane) -> int:
        """Count the jobs of a lane that no worker has in hand; 0 where nobody ever enqueued one."""
        return await self._count(link, self.key(lane)) or 0

    async def exists(self, link: Link, lane: Lane) -> bool:
        """Tell whether a lane has its queue."""
        return await self._count(link, self.key(lane)) is not None

    async def delayed(self, link: Link) -> int:
        """Count what waits for its time, in whatever lane."""
        return sum([await self._count(link, self.rung(rung)) or 0 for rung in self.rungs()])

    async def parked_jobs(self, link: Link) -> int:
        """Count what was given up."""
        return await self._count(link, self.parked) or 0

    async def follow(self, link: Link, listed: Callable[[Lane], None]) -> Channel:
        """Tell of each lane there is, before this returns, and of each new one for as long as the channel lives."""
        await self._ensure_listing(link)
        return await listing.follow(link, self.listing, listed, self.forget)

    async def lanes(self, link: Link) -> list[Lane]:
        """Read the list of lanes."""
        lanes: dict[Lane, None] = {}
        channel = await self.follow(link, lambda lane: lanes.update({lane: None}))
        await channel.close()
        return list(lanes)

    async def delete(self, link: Link) -> None:
        """Delete all queues there are under the prefix, with their jobs."""
        for lane in self._ours(await self.lanes(link)):
            await self._declare(link, "queue_delete", self.key(lane))
        for name in (self.parked, self.listing, *map(self.rung, self.rungs())):
            await self._declare(link, "queue_delete", name)
        await self._declare(link, "exchange_delete", self.delays)
        self.forget()

    async def _is_new(self, link: Link, lane: Lane) -> bool:
        return await self._count(link, self.key(lane)) is None

    async def _bind(self, link: Link, lane: Lane) -> None:
        """Bind the queue of a lane, where new jobs do not go to it by its name."""

    def _ours(self, lanes: Iterable[Lane]) -> Iterable[Lane]:
        """Leave out lanes whose queues belong to others too."""
        return lanes

    def _waiting_on(self, rung: int) -> dict[str, Any]:
        # Without a routing key of its own a message that has waited goes on with the one it came with.
        arguments = {**_QUORUM, "x-message-ttl": rung // 1000, "x-dead-letter-exchange": ""}
        return arguments | {"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}

    def _arguments(self, lane: Lane) -> dict[str, Any] | None:
        # A delivery limit of the broker's own would drop jobs that we count ourselves; what it drops all the same is
        # parked. The number is one that every version takes: -1 is none in version 4 and an error before.
        return {
            **_QUORUM,
            "x-delivery-limit": 1_000_000,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": self.parked,
        }

    async def _list(self, link: Link, lane: Lane) -> None:
        # Before the queue is made, because after a crash in between nobody would list it any more.
        await self._ensure_listing(link)
        await listing.add(link, self.listing, lane, self.key(lane))

    async def _ensure_listing(self, link: Link) -> None:
        if self.listing in self._declared:
            return
        new = await self._count(link, self.listing) is None
        await self._once(link, self.listing, _STREAM)
        if new:
            await listing.begin(link, self.listing)

    async def _count(self, link: Link, name: str) -> int | None:
        """Give how many messages wait in a queue, None if there is no such queue."""
        try:
            frame = await self._declare(link, "queue_declare", name, passive=True)
        except ConfigurationError as error:
            if isinstance(error.__cause__, Refused) and error.__cause__.code == _NOT_FOUND:
                return None
            raise
        count: int = frame.method.message_count
        return count

    async def _once(self, link: Link, name: str, arguments: dict[str, Any]) -> None:
        if name not in self._declared:
            await self._declare(link, "queue_declare", name, durable=True, arguments=arguments)
            self._declared.add(name)

    async def _declare(self, link: Link, method: str, name: str, /, **words: Any) -> Any:
        """Ask on a channel of its own, one thing at a time: a refusal closes it."""
        async with self._turns.setdefault(link, asyncio.Lock()):
            channel = self._asking.get(link)
            if channel is None or channel.ended is not None:
                channel = self._asking[link] = await link.channel()
            try:
                return await channel.call(method, name, **words)
            except Refused as refused:
                raise ConfigurationError(_explained(name, refused)) from refused
            except asyncio.CancelledError:
                # The answer may be a refusal, which is not the next question's.
                self._asking.pop(link, None)
                channel.end()
                raise


def split(delay: int) -> int:
    """Give the longest rung that is no longer than a delay, and the shortest for less than that."""
    return max((rung for rung in RUNGS if rung <= delay), default=RUNGS[0])


def _explained(name: str, refused: Refused) -> str:
    if refused.code == _OTHERWISE:
        return (
            f"{name!r} is on this broker already, made with other properties than stoker's ({refused.text}): somebody "
            f"else uses that name, or another version made it. Choose another ?prefix=, or empty and delete it"
        )
    if refused.code == _FORBIDDEN:
        return f"this user may not declare {name!r} ({refused.text}): grant it configure, write and read on its prefix"
    return f"the broker refused {name!r}: {refused.text}"


def _escaped(part: str) -> str:
    return part.replace("%", "%25").replace(":", "%3A")


def _short(name: str) -> str:
    if len(name.encode()) > _LONGEST_NAME:
        raise EnqueueError(f"{name!r} is longer than the {_LONGEST_NAME} bytes that the name of a queue may have")
    return name
