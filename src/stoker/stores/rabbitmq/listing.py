"""The list of the lanes there are: a stream, because nobody can ask a broker for the names of its queues."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

import msgspec

from stoker.drivers.rabbitmq_link import Channel, Link, Message, Properties
from stoker.stores.rabbitmq.lane import Lane

_OFFSET: Final = "x-stream-offset"
_BEGINNING: Final = Lane("", "")
"""What is listed first, and is no lane: whoever reads an empty stream could not tell that it has no end to wait for."""
_SILENT, _QUIET = 1.0, 0.02
"""Seconds in which an empty stream says nothing, and in which the rest of its last chunk arrives."""


async def begin(link: Link, stream: str) -> None:
    """Write the beginning of a list that was just made."""
    await add(link, stream, _BEGINNING, "")


async def add(link: Link, stream: str, lane: Lane, key: str) -> None:
    """List a lane, whose queue is ``key``."""
    channel = await link.channel()
    await channel.publish([Message("", stream, msgspec.json.encode(lane), Properties(message_id=key))])
    await channel.close()


async def follow(link: Link, stream: str, listed: Callable[[Lane], None], gone: Callable[[], None]) -> Channel:
    """Tell of each lane there is, before this returns, and of each new one for as long as the channel lives.

    When the stream is deleted, that is told and the channel ends.
    """
    channel = await link.channel()
    last = await _last_offset(channel, stream)
    read, heard = -1, asyncio.Event()

    def hear(_raw: Any, method: Any, properties: Any, body: bytes) -> None:
        nonlocal read
        lane = Lane(*msgspec.json.decode(body, type=tuple[str, str, bool]))
        if lane != _BEGINNING:
            listed(lane)
        channel.ack(method.delivery_tag)
        read = properties.headers[_OFFSET]
        heard.set()

    def cancelled(_tag: str) -> None:
        gone()
        channel.end()

    await channel.consume(stream, hear, cancelled, 1000, {_OFFSET: "first"})
    # The chunk that begins with the last offset may hold more, which comes with it.
    with contextlib.suppress(TimeoutError):
        while True:
            heard.clear()
            await asyncio.wait_for(heard.wait(), _QUIET if read >= last else _SILENT)
    return channel


async def _last_offset(channel: Channel, stream: str) -> int:
    """Give the offset of the last chunk, -1 if there is none: a broker's own count of a stream is seconds old."""
    offset: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def hear(_raw: Any, method: Any, properties: Any, _body: bytes) -> None:
        channel.ack(method.delivery_tag)
        if not offset.done():
            offset.set_result(properties.headers[_OFFSET])

    tag = await channel.consume(stream, hear, _nothing, 1000, {_OFFSET: "last"})
    try:
        return await asyncio.wait_for(offset, _SILENT)
    except TimeoutError:
        return -1
    finally:
        await channel.stop_consuming(tag)


def _nothing(_tag: str) -> None: ...
