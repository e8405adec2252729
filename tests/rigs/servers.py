"""Servers from a shell, for development: ``python -m tests.rigs.servers postgres`` runs one until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from typing import Protocol

from tests.rigs.postgres import Postgres
from tests.rigs.valkey import Valkey


class Server(Protocol):
    """What all servers can."""

    @property
    def url(self) -> str: ...

    def start(self) -> object: ...

    def remove(self) -> None: ...


KINDS: dict[str, Callable[[], Server]] = {
    "postgres": Postgres,
    "postgres-no-fsync": lambda: Postgres(fsync=False),
    "valkey": Valkey,
}


def main() -> None:
    """Start a server, print its URL, and run until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tests.rigs.servers", description=main.__doc__)
    parser.add_argument("kind", choices=KINDS)
    server = KINDS[parser.parse_args().kind]()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        server.start()
        print(server.url, flush=True)
        signal.pause()
    finally:
        server.remove()


def _leave(number: int, _frame: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
