"""One connection to a Redis server, a node of a cluster or a Sentinel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, TypeAlias

from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.retry import Retry

Address: TypeAlias = tuple[str, int]
"""Host and port; a Unix socket's path and 0."""


@dataclass(frozen=True)
class Target:
    """What a URL says. ``timeout`` in seconds bounds each answer, and how long a command is tried again."""

    kind: Literal["server", "socket", "sentinel", "cluster"]
    addresses: tuple[Address, ...]
    service: str = ""
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_certs: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    verify: bool = True
    timeout: float = 5.0


READ_SIZE: Final = 1024 * 1024
"""Bytes per read. Each read gives up the interpreter and must get it back, so an answer should take few."""


class Link(Protocol):
    """What of redis-py's connections is used here. Errors are its RedisError, and OSError."""

    @property
    def is_connected(self) -> bool:
        """Whether the socket is open."""

    def connect(self) -> None:
        """Open the socket and say who we are."""

    def pack_command(self, *words: str | bytes | float) -> Sequence[bytes]:
        """Give the bytes of a command."""

    def send_command(self, *words: object) -> None:
        """Send a command."""

    def read_response(self, disable_decoding: bool = False, *, disconnect_on_error: bool = True) -> Any:
        """Read an answer; an error in it is raised."""

    def disconnect(self) -> None:
        """Close the socket; in a forked child without a word to the server."""


def open_link(target: Target, address: Address, *, sentinel: bool = False, read_timeout: float) -> Link:
    """Open a connection; an answer may take ``read_timeout`` seconds."""
    words: dict[str, Any] = {
        "socket_timeout": read_timeout,
        "socket_connect_timeout": target.timeout,
        "username": target.sentinel_username if sentinel else target.username,
        "password": target.sentinel_password if sentinel else target.password,
        "db": 0 if sentinel else target.db,
        "protocol": 2,
        "socket_read_size": READ_SIZE,
        "retry": Retry(NoBackoff(), 0),
    }
    kind: Any = Connection
    if target.kind == "socket":
        kind = UnixDomainSocketConnection
        words["path"] = address[0]
    else:
        words |= {"host": address[0], "port": address[1], "socket_keepalive": True}
    if target.tls:
        kind = SSLConnection
        words |= {"ssl_ca_certs": target.ca_certs, "ssl_certfile": target.certfile, "ssl_keyfile": target.keyfile}
        if not target.verify:
            words |= {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    link: Link = kind(**words)
    link.connect()
    return link
