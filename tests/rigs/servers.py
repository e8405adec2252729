"""All kinds of servers by name; ``python -m tests.rigs.servers KIND`` runs one until Ctrl-C, for development."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Protocol, TypeVar


class Server(Protocol):
    """What all servers can."""

    @property
    def url(self) -> str: ...

    def start(self) -> object: ...

    def remove(self) -> None: ...


ServerT = TypeVar("ServerT", bound=Server)


@contextmanager
def running(server: ServerT) -> Iterator[ServerT]:
    """Start a server, and end it after the block."""
    try:
        server.start()
        yield server
    finally:
        server.remove()


def make(kind: str) -> Server:
    """Make a server of its own, not yet started; KeyError for an unknown kind."""
    return _KINDS[kind]()


def _make(module: str, name: str, **options: object) -> Server:
    # Imported late, because most tests need none of the clients that these modules import.
    made: Server = getattr(import_module(f"tests.rigs.{module}"), name)(**options)
    return made


_KINDS: dict[str, Callable[[], Server]] = {
    "postgres": partial(_make, "postgres", "Postgres"),
    "postgres-without-fsync": partial(_make, "postgres", "Postgres", fsync=False),
    "pgbouncer": partial(_make, "pgbouncer", "PooledPostgres"),
    "rabbitmq": partial(_make, "rabbitmq", "RabbitMq"),
    "redis": partial(_make, "valkey", "Valkey"),
    "redis-6.2": partial(_make, "valkey", "OldRedis"),
    "redis-cluster": partial(_make, "valkey_groups", "ValkeyCluster"),
    "redis-sentinel": partial(_make, "valkey_groups", "ValkeySentinel"),
}


def main() -> None:
    """Start a server, print its URL, and run until SIGINT, SIGTERM or SIGHUP."""
    parser = argparse.ArgumentParser(prog="python -m tests.rigs.servers", description=main.__doc__)
    parser.add_argument("kind", choices=_KINDS)
    kind = parser.parse_args().kind
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    with running(make(kind)) as server:
        print(server.url, flush=True)
        signal.pause()


def _leave(number: int, _frame: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
