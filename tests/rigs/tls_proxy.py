"""A server with TLS in front of one without: the tests' Valkey is built without."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.rigs.tls import Authority


class Tls:
    """Where it listens, and the file with the certificate of the authority that has signed its own."""

    def __init__(self, port: int, authority: Path) -> None:
        self.port = port
        self.authority = authority


@contextmanager
def tls_before(port: int, folder: Path) -> Iterator[Tls]:
    """Hand on what comes in through TLS to a port of this machine."""
    authority = Authority(folder)
    certificate, key = authority.sign("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    loop = asyncio.new_event_loop()
    serving = threading.Thread(target=loop.run_forever, daemon=True)
    serving.start()

    connections: set[asyncio.Task[None]] = set()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        connections.add(task)
        # The handshake is made here and not by the server, so that who ends the connections ends those in it too.
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.start_tls(context)
            await _hand_on_both(port, reader, writer)

    async def listen() -> asyncio.Server:
        return await asyncio.start_server(connect, "127.0.0.1", 0)

    async def end() -> None:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        for _ in range(3):  # the loop closes the sockets of aborted connections, those inside TLS last
            await asyncio.sleep(0)

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(10)
    try:
        yield Tls(server.sockets[0].getsockname()[1], authority.certificate)
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        serving.join(10)
        loop.close()


async def _hand_on_both(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
    ways = (_hand_on(reader, inner_writer), _hand_on(inner_reader, writer))
    try:
        await asyncio.gather(*ways)
    finally:
        # Closed and not aborted, TLS would wait for the other side's farewell for longer than the loop lives.
        for one in (writer, inner_writer):
            one.transport.abort()


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()
