"""The probe port: liveness, readiness and metrics over a little HTTP, for Kubernetes, Prometheus and people."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final, NamedTuple, Protocol

from stoker.errors import StokerError

PATIENCE: Final = 5.0
"""Seconds that a client has to ask."""


class ProbeFailed(StokerError):
    """The probe port is taken, or the address is not this machine's."""


class Health(Protocol):
    """What is asked."""

    def unready(self) -> str:
        """Say why no jobs are taken; '' when they are."""

    def metrics(self) -> str:
        """Give what Prometheus reads."""


class Address(NamedTuple):
    """Where to listen."""

    host: str
    port: int


@contextlib.asynccontextmanager
async def probes(health: Health, address: Address | None) -> AsyncIterator[None]:
    """Answer probes for the length of a block, if there is an address; ProbeFailed when it cannot be had."""
    if address is None:
        yield
        return
    try:
        server = await asyncio.start_server(lambda reader, writer: _talk(health, reader, writer), *address)
    except OSError as error:
        raise ProbeFailed(
            f"cannot listen on {address.host} port {address.port}: {error.strerror or error}; "
            "choose another --probe-port"
        ) from error
    async with server:
        yield


async def _talk(health: Health, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            line = await reader.readline()
            while (await reader.readline()).strip():
                pass
        status, body = _answer(health, line.decode("latin-1").split(" "))
        kind = "text/plain; version=0.0.4; charset=utf-8"
        data = body.encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + data)
        await writer.drain()
    except (TimeoutError, OSError, ValueError):
        pass  # whoever asked is gone, or talks something else
    finally:
        writer.close()


def _answer(health: Health, words: list[str]) -> tuple[str, str]:
    if len(words) < 2 or words[0] not in ("GET", "HEAD"):
        return "405 Method Not Allowed", "GET only\n"
    match words[1].partition("?")[0]:
        case "/livez":
            return "200 OK", "ok\n"  # the event loop turns, or this would not be said
        case "/readyz" | "/startupz":
            why = health.unready()
            return ("503 Service Unavailable", f"{why}\n") if why else ("200 OK", "ok\n")
        case "/metrics":
            return "200 OK", health.metrics()
        case _:
            return "404 Not Found", "there are /livez, /readyz, /startupz and /metrics\n"
