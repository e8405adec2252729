"""A script's usual way from async code: an idle connection, written and read by the event loop, without a thread.

Only what goes well goes this way. Whatever does not is left to the blocking way, which knows what errors mean.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any, Final

import hiredis

from stoker.drivers.redis_link import Link

READ_SIZE: Final = 256 * 1024
_INCOMPLETE: Final = object()


class NotQuick(Exception):
    """The answer was an error: nothing was changed, and the blocking way will hear it again."""


def plain_socket(link: Link) -> socket.socket | None:
    """Give the socket of a connection that an event loop can use as it is; None for TLS."""
    found: object = getattr(link, "_sock", None)
    return found if type(found) is socket.socket else None


async def exchange(raw: socket.socket, packed: Sequence[bytes], patience: float) -> Any:
    """Send a command, read its answer; TimeoutError or OSError when none comes within ``patience`` seconds.

    The socket is as before afterwards, unless an error is raised: then it must not be used any more.
    """
    loop = asyncio.get_running_loop()
    reader: Any = hiredis.Reader(notEnoughData=_INCOMPLETE)
    before = raw.gettimeout()
    raw.setblocking(False)
    async with asyncio.timeout(patience):
        await loop.sock_sendall(raw, b"".join(packed))
        reply: Any = _INCOMPLETE
        while reply is _INCOMPLETE:
            part = await loop.sock_recv(raw, READ_SIZE)
            if not part:
                raise ConnectionResetError("the server closed the connection")
            reader.feed(part)
            reply = reader.gets()
    raw.settimeout(before)
    if isinstance(reply, hiredis.ReplyError):
        raise NotQuick(str(reply))
    return reply
