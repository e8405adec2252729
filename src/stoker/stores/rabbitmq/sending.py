"""Publishing so that it is known to have arrived: declared before, confirmed after, returned when no queue takes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from stoker.drivers.rabbitmq_link import Channel, Link, Message, Properties, Unconfirmed
from stoker.errors import StoreError
from stoker.stores.rabbitmq.lane import Lane
from stoker.stores.rabbitmq.topology import DELAY, Topology


async def send(
    link: Link, channel: Channel, topology: Topology, messages: Sequence[Message], lanes: Iterable[Lane]
) -> None:
    """Publish messages whose queues may have to be declared; returns when the broker has them all.

    StoreError when one belongs to no queue although everything was declared anew; LinkLost, Unconfirmed.
    """
    lanes, whole = list(lanes), len(messages)
    for _ in range(2):
        await topology.ensure_lanes(link, lanes)
        await topology.ensure_rungs(link, topology.rungs_of(messages))
        try:
            messages = await channel.publish(messages)
        except Unconfirmed as error:
            error.partly = error.partly or len(messages) < whole
            raise
        if not messages:
            return
        topology.forget()  # somebody deleted a queue
    raise StoreError(f"no queue takes {messages[0].key!r}: the broker returned {len(messages)} messages")


def onward(topology: Topology, key: str, body: bytes, properties: Any, wait: int, exchange: str = "") -> Message:
    """Give the message that arrives in the queue ``key`` in ``wait`` µs, or begins to wait for that long."""
    if wait <= 0:
        return Message(exchange, key, body, properties)
    name = topology.rung(topology.step(wait))
    return Message(topology.delays, key, body, with_headers(properties, {**(properties.headers or {}), DELAY: name}))


def with_headers(properties: Any, headers: dict[str, Any], expiration: str | None = None) -> Any:
    """Give properties with other headers."""
    return Properties(
        content_type=properties.content_type,
        delivery_mode=2,
        headers=headers,
        message_id=properties.message_id,
        timestamp=properties.timestamp,
        type=properties.type,
        expiration=expiration,
        priority=properties.priority,
    )
