"""The form of Buffalo's AMQP adapter (Go), so that its services and stoker's perform each other's jobs.

A handler's name is its queue's name; the body is a JSON object of arguments, or ``null`` without any; the properties
are a content type and a delivery mode. What the adapter has no word for stands in headers, which it does not read.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Final

from stoker.core.duration import SECOND
from stoker.core.job import JobId, NewJob
from stoker.drivers.rabbitmq_link import Link, Properties
from stoker.errors import EnqueueError
from stoker.stores.rabbitmq import wire
from stoker.stores.rabbitmq.form import Form
from stoker.stores.rabbitmq.lane import Lane
from stoker.stores.rabbitmq.topology import Topology

HANDLERS: Final = "default"
"""The queue whose jobs lie where Buffalo's do; other queues are stoker's alone."""

_UNITS: Final = tuple(
    (bound * SECOND, unit * SECOND) for bound, unit in ((60, 1), (3600, 10), (86_400, 60), (49 * 86_400, 600))
)
_DECLARED_FOR: Final = 30.0
"""Seconds for which a declaration counts."""
_SPARED: Final = 600_000
"""Milliseconds for which a delaying queue is there after its last message has gone on."""
_LONGEST_EXPIRES: Final = 2**32 - 1


class BuffaloForm(Form):
    """Reads what the adapter writes, and writes what it reads."""

    every_name = True
    has_guests = True

    def __init__(self, exchange: str) -> None:
        self.exchange = exchange

    def body(self, job: NewJob) -> bytes:
        if not job.args.startswith("{"):
            raise EnqueueError(f"{job.name}: Buffalo takes arguments by name, a JSON object; these are {job.args[:60]}")
        return b"null" if job.args == "{}" else job.args.encode()

    def properties(self, job: NewJob, id: JobId, now: int, due: int) -> Any:
        own = wire.properties_of(job, id, now, due)
        if own.headers.keys() == {wire.AT}:
            return Properties(content_type=own.content_type, delivery_mode=2)
        return own

    def adopt(self, properties: Any, now: int) -> None:
        if wire.AT not in (headers := properties.headers or {}):
            properties.headers = {**headers, wire.AT: now}

    def args(self, body: bytes) -> bytes:
        return b"{}" if body.strip() in (b"", b"null") else body


class BuffaloTopology(Topology):
    """The queues of handlers, which belong to others too: they have no arguments, and are never deleted."""

    kind = "durable queues of handlers"

    def __init__(self, prefix: str, exchange: str) -> None:
        super().__init__(prefix, BuffaloForm(exchange))
        self._known: set[Lane] = set()
        self._steps: dict[int, float] = {}
        """The lengths of delays that there are queues for, with the second in which each was declared."""

    def key(self, lane: Lane) -> str:
        return self.handler(lane.name) if self._shared(lane) else super().key(lane)

    def handler(self, name: str) -> str:
        """Give the name of a handler's queue."""
        return name

    def forget(self) -> None:
        super().forget()
        self._known.clear()
        self._steps = dict.fromkeys(self._steps, 0.0)

    # Nobody but the broker may be there when a delay ends, so it is one wait, a queue for each length of it. They go
    # by themselves when they were not needed for a while; declaring one again keeps it.

    def step(self, wait: int) -> int:
        """Round a delay up: to a second, from a minute on to ten, from an hour on to a minute, from a day on to ten."""
        unit = next((unit for bound, unit in _UNITS if wait <= bound), None)
        if unit is None:
            raise EnqueueError(f"a delay of {wait // SECOND} s is longer than the 49 days that a message may wait")
        rung = -(-wait // unit) * unit
        self._steps.setdefault(rung, 0.0)
        return rung

    def rung(self, rung: int) -> str:
        return f"{self._prefix}:delayed:{rung // SECOND}s"

    def rungs(self) -> Iterable[int]:
        """Give those that this process has used: nobody lists the others."""
        return sorted(self._steps)

    async def ensure_rungs(self, link: Link, rungs: Iterable[int]) -> None:
        now = time.monotonic()
        stale = [rung for rung in rungs if now - self._steps.get(rung, 0.0) > _DECLARED_FOR]
        self._declared.difference_update(map(self.rung, stale))
        await super().ensure_rungs(link, rungs)
        # Of these only: what is published keeps no queue, and the broker deletes one with all that waits in it.
        self._steps.update(dict.fromkeys(stale, now))

    def _waiting_on(self, rung: int) -> dict[str, Any]:
        milliseconds = rung // 1000
        expires = min(milliseconds + _SPARED, _LONGEST_EXPIRES)
        return {"x-message-ttl": milliseconds, "x-dead-letter-exchange": "", "x-expires": expires}

    def _shared(self, lane: Lane) -> bool:
        return lane.queue == HANDLERS and not lane.suspects

    def _arguments(self, lane: Lane) -> dict[str, Any] | None:
        return None if self._shared(lane) else super()._arguments(lane)

    def _ours(self, lanes: Iterable[Lane]) -> list[Lane]:
        return [lane for lane in lanes if not self._shared(lane)]

    async def _is_new(self, link: Link, lane: Lane) -> bool:
        # A queue that is there may have been made by others, who list nothing.
        if lane not in self._known:
            self._known.update(await self.lanes(link))
        return lane not in self._known

    async def _bind(self, link: Link, lane: Lane) -> None:
        """Bind a handler to the exchange: the adapter does not, and all that it publishes there is lost."""
        if self.form.exchange:
            await self._declare(
                link, "exchange_declare", self.form.exchange, exchange_type="direct", durable=True, auto_delete=False
            )
            key = self.key(lane)
            await self._declare(link, "queue_bind", key, exchange=self.form.exchange, routing_key=key)
