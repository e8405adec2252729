"""A server with TLS in front of one without: the tests' Valkey is built without."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
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

    async def listen() -> asyncio.Server:
        return await asyncio.start_server(partial(_connect, port), "127.0.0.1", 0, ssl=context)

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(10)
    try:
        yield Tls(server.sockets[0].getsockname()[1], authority.certificate)
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        serving.join(10)
        loop.close()


async def _connect(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(OSError, ssl.SSLError):
        await asyncio.gather(_hand_on(reader, inner_writer), _hand_on(inner_reader, writer))


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
