"""A TCP proxy that does to connections what networks do: silence, resets, refusals, and replies that get lost."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, Self
from urllib.parse import urlsplit

_PORTS = {"postgresql": 5432, "redis": 6379}
_RESET = struct.pack("ii", 1, 0)
Direction = Literal["requests", "replies"]


@dataclass(eq=False)
class _Link:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    doomed: LostReply | None = None

    def cut(self) -> None:
        for writer in (self.client, self.server):
            raw = writer.get_extra_info("socket")
            with suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()


class LostReply:
    """A reply that shall be lost: the request arrives, is carried out, and its connection is reset."""

    def __init__(self, to: bytes) -> None:
        self.to = to
        self._happened = threading.Event()

    def happen(self) -> None:
        self._happened.set()

    def wait(self, seconds: float = 30.0) -> None:
        """Wait until it happened."""
        assert self._happened.wait(seconds), f"no reply to {self.to!r} was there to be lost within {seconds} s"


class Proxy:
    """Stands between a client and the server of a URL, from a thread of its own; a context manager."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = parts.hostname or "127.0.0.1", parts.port or _PORTS[parts.scheme]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._links: set[_Link] = set()
        self._gates: dict[Direction, asyncio.Event] = {"requests": asyncio.Event(), "replies": asyncio.Event()}
        self._traps: list[LostReply] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self.port = 0
        self._thread.start()
        self.resume()
        at, host = parts.netloc.rpartition("@")[1::-1]
        self.url = parts._replace(netloc=f"{host}{at}127.0.0.1:{self.port}").geturl()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def connections(self) -> int:
        """How many connections go through it now."""
        return len(self._links)

    def stall(self, *directions: Direction) -> None:
        """Forward nothing any more, or nothing of one direction; connections stay open, and new ones are taken."""
        self._do(self._stall(directions or ("requests", "replies")))

    def cut(self) -> None:
        """Reset all connections; new ones are taken."""
        self._do(self._cut())

    def refuse(self) -> None:
        """Take no new connections; those that are open stay."""
        self._do(self._refuse())

    def resume(self) -> None:
        """Forward what was held back, and take connections again."""
        self._do(self._resume())

    def lose_reply(self, to: bytes = b"") -> LostReply:
        """Lose the reply to the next request that contains ``to``, once."""
        trap = LostReply(to)
        self._traps.append(trap)
        return trap

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _stall(self, directions: tuple[Direction, ...]) -> None:
        for direction in directions:
            self._gates[direction].clear()

    async def _cut(self) -> None:
        for link in self._links:
            link.cut()
        # An aborted transport closes its socket in the loop's next turn.
        await asyncio.sleep(0)

    async def _refuse(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _resume(self) -> None:
        for gate in self._gates.values():
            gate.set()
        if self._listener is None:
            self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
            self.port = self._listener.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        await self._refuse()
        await self._cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            from_server, to_server = await asyncio.open_connection(*self._target)
        except OSError:
            to_client.transport.abort()
            return
        link = _Link(to_client, to_server)
        self._links.add(link)
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump("requests", from_client, to_server, lambda data: self._note(link, data)))
                pumps.create_task(self._pump("replies", from_server, to_client, lambda _: self._lose(link)))
        except* OSError:
            link.cut()
        finally:
            self._links.discard(link)
            to_client.close()
            to_server.close()

    async def _pump(
        self,
        direction: Direction,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        look: Callable[[bytes], None],
    ) -> None:
        while data := await source.read(1 << 16):
            await self._gates[direction].wait()
            look(data)
            target.write(data)
            await target.drain()
        await self._gates[direction].wait()
        if target.can_write_eof():
            target.write_eof()

    def _note(self, link: _Link, data: bytes) -> None:
        found = next((trap for trap in self._traps if trap.to in data), None)
        if found is not None and link.doomed is None:
            self._traps.remove(found)
            link.doomed = found

    def _lose(self, link: _Link) -> None:
        if link.doomed is not None:
            link.doomed.happen()
            raise ConnectionResetError
