"""Servers that all tests of a run share, whichever worker of pytest-xdist runs them; each starts when first needed."""

from __future__ import annotations

import json
import os
import socket
import socketserver
import threading
from collections import defaultdict
from functools import partial
from typing import Any, Protocol

from tests.rigs.servers import Server, make

_EXTERNAL = {
    "postgres-without-fsync": "STOKER_TEST_POSTGRES_URL",
    "rabbitmq": "STOKER_TEST_AMQP_URL",
    "redis": "STOKER_TEST_REDIS_URL",
}


class SharedServers(Protocol):
    """Where the shared servers are."""

    def url(self, kind: str) -> str:
        """Give the URL of the shared server of a kind, without a query; it is started if it does not run yet."""
        ...


class Landlord:
    """Has the servers; lives in the process that was started as pytest, and so outlives every worker."""

    def __init__(self) -> None:
        self._servers: dict[str, Server] = {}
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._desk: _Desk | None = None

    @property
    def address(self) -> str:
        """Where a `Tenant` in another process asks."""
        if self._desk is None:
            self._desk = _Desk(self)
            threading.Thread(target=self._desk.serve_forever, args=(0.05,), daemon=True).start()
        host, port = self._desk.server_address[:2]
        return f"{host!s}:{port}"

    def url(self, kind: str) -> str:
        """See `SharedServers.url`."""
        if external := os.environ.get(_EXTERNAL.get(kind, "")):
            return external
        with self._locks[kind]:
            if kind not in self._servers:
                server = self._make(kind)
                try:
                    server.start()
                except BaseException:
                    server.remove()
                    raise
                self._servers[kind] = server
            return self._servers[kind].url

    def remove(self) -> None:
        """End all servers."""
        if self._desk is not None:
            self._desk.shutdown()
            self._desk.server_close()
        while self._servers:
            self._servers.popitem()[1].remove()

    def _make(self, kind: str) -> Server:
        if kind == "pgbouncer":
            from tests.rigs.pgbouncer import PgBouncer

            return PgBouncer(self.url("postgres-without-fsync"))
        return make(kind)


class Tenant:
    """Asks the `Landlord` in another process."""

    def __init__(self, address: str) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)

    def url(self, kind: str) -> str:
        """See `SharedServers.url`."""
        with (
            socket.create_connection((self._host, self._port), timeout=120) as connection,
            connection.makefile("rwb") as file,
        ):
            file.write(f"{kind}\n".encode())
            file.flush()
            answer: dict[str, str] = json.loads(file.readline())
        assert "url" in answer, answer["problem"]
        return answer["url"]


class _Desk(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, landlord: Landlord) -> None:
        super().__init__(("127.0.0.1", 0), partial(_Talk, landlord))


class _Talk(socketserver.StreamRequestHandler):
    def __init__(self, landlord: Landlord, *request: Any) -> None:
        self._landlord = landlord
        super().__init__(*request)

    def handle(self) -> None:
        kind = self.rfile.readline().decode().strip()
        try:
            answer = {"url": self._landlord.url(kind)}
        except Exception as error:
            answer = {"problem": f"{type(error).__name__}: {error}"}
        self.wfile.write(json.dumps(answer).encode() + b"\n")


def with_option(url: str, option: str) -> str:
    """Give a URL with one more option."""
    return f"{url}{'&' if '?' in url else '?'}{option}"
