"""The proxy's faults do what they say."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from select import select
from socket import create_connection, socket
from time import monotonic

import pytest

from tests.rigs.daemon import free_port
from tests.rigs.processes import until
from tests.rigs.proxy import Proxy


class Echo(socketserver.ThreadingTCPServer):
    """Answers each piece with itself, and remembers it."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        super().__init__(("127.0.0.1", 0), EchoTalk)


class EchoTalk(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Echo)
        try:
            while piece := self.request.recv(1024):
                self.server.heard.append(piece)
                self.request.sendall(piece)
        except ConnectionError:
            pass


@pytest.fixture
def echo() -> Iterator[Echo]:
    with Echo() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield server
        server.shutdown()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with Proxy(f"redis://127.0.0.1:{echo.server_address[1]}/0?prefix=x:") as proxy:
        yield proxy


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket]:
    with connect(proxy) as client:
        yield client


def connect(proxy: Proxy) -> socket:
    return create_connection(("127.0.0.1", proxy.port), timeout=10)


def said(client: socket, words: bytes) -> bytes:
    client.sendall(words)
    return client.recv(1024)


def is_silent(client: socket) -> bool:
    readable, _, _ = select([client], [], [], 0.05)
    return not readable


def test_it_stands_in_a_urls_place_and_forwards(proxy: Proxy, client: socket) -> None:
    assert proxy.url == f"redis://127.0.0.1:{proxy.port}/0?prefix=x:"
    assert said(client, b"hello") == b"hello"


def test_a_stalled_connection_stays_open_and_goes_on_later(proxy: Proxy, client: socket, echo: Echo) -> None:
    assert said(client, b"before") == b"before"
    proxy.stall()
    client.sendall(b"during")
    assert is_silent(client)
    assert echo.heard == [b"before"]
    proxy.resume()
    assert client.recv(1024) == b"during"


def test_stalled_replies_let_requests_through(proxy: Proxy, client: socket, echo: Echo) -> None:
    proxy.stall("replies")
    client.sendall(b"heard")
    until(lambda: echo.heard == [b"heard"])
    assert is_silent(client)


def test_connections_that_are_cut_are_reset_and_new_ones_are_taken(proxy: Proxy, client: socket) -> None:
    assert said(client, b"hello") == b"hello"
    proxy.cut()
    with pytest.raises(ConnectionResetError):
        client.recv(1024)
    with connect(proxy) as another:
        assert said(another, b"again") == b"again"


def test_refusing_leaves_open_connections_alone(proxy: Proxy, client: socket) -> None:
    assert said(client, b"hello") == b"hello"
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    assert said(client, b"still here") == b"still here"
    proxy.resume()
    with connect(proxy) as another:
        assert said(another, b"again") == b"again"


def test_a_lost_reply_is_to_a_request_that_arrived(proxy: Proxy, client: socket, echo: Echo) -> None:
    lost = proxy.lose_reply(to=b"COMMIT")
    assert said(client, b"BEGIN") == b"BEGIN"
    client.sendall(b"COMMIT")
    with pytest.raises(ConnectionResetError):
        client.recv(1024)
    lost.wait()
    assert echo.heard == [b"BEGIN", b"COMMIT"]
    with connect(proxy) as another:
        assert said(another, b"COMMIT") == b"COMMIT"


def test_a_proxy_whose_server_is_gone_closes_what_it_is_given() -> None:
    with Proxy(f"redis://127.0.0.1:{free_port()}") as proxy, connect(proxy) as client:
        assert client.recv(1024) == b""


def test_its_end_ends_its_connections_also_stalled_ones(echo: Echo) -> None:
    with Proxy(f"redis://127.0.0.1:{echo.server_address[1]}") as proxy, connect(proxy) as client:
        assert said(client, b"hello") == b"hello"
        proxy.stall()
        client.sendall(b"unheard")
        started = monotonic()
    assert monotonic() - started < 5
    assert echo.heard == [b"hello"]
