"""PgBouncer in transaction mode, in front of a PostgreSQL server."""

from __future__ import annotations

import signal
from urllib.parse import unquote, urlsplit

import psycopg

from tests.rigs.daemon import Daemon, Folder, free_port, unprivileged
from tests.rigs.postgres import Postgres
from tests.rigs.provision import Program, pgbouncer

_CONFIG = """
[databases]
* = {server}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool}
max_client_conn = 500
server_round_robin = 1
ignore_startup_parameters = extra_float_digits
"""


class PgBouncer:
    """A pooler: each transaction of a client may meet another connection of the server's."""

    def __init__(self, server: str, *, pool: int = 5) -> None:
        """``server`` is the URL of the PostgreSQL server, ``pool`` how many connections it may be asked for."""
        program = pgbouncer()
        assert program is not None, "there is no PgBouncer; `make servers` fetches it"
        self._folder = Folder("pgbouncer", unprivileged())
        self._server = urlsplit(server)
        self.port = free_port()
        config = self._folder.path / "pgbouncer.ini"
        config.write_text(_CONFIG.format(server=self._server_words(), port=self.port, pool=pool))
        self._daemon = self._make_daemon(program, str(config))

    @property
    def url(self) -> str:
        """The URL of the database through the pooler, without a query."""
        return f"postgresql://{self._server.username}@127.0.0.1:{self.port}{self._server.path}"

    def start(self) -> PgBouncer:
        """Start it, and wait until the server answers through it."""
        self._daemon.start(self._answers)
        return self

    def restart(self) -> None:
        """End all its connections, and start again."""
        self._daemon.stop(signal.SIGTERM)
        self.start()

    def remove(self) -> None:
        """End it."""
        self._daemon.stop(signal.SIGTERM)
        self._folder.remove()

    def log(self) -> str:
        """Give what it has written."""
        return self._daemon.log()

    def _server_words(self) -> str:
        known = {
            "host": self._server.hostname,
            "port": self._server.port,
            "user": self._server.username,
            "password": self._server.password,
        }
        quoted = {word: unquote(str(value)).replace("'", "''") for word, value in known.items() if value}
        return " ".join(f"{word}='{value}'" for word, value in quoted.items())

    def _make_daemon(self, program: Program, config: str) -> Daemon:
        name = program.path.name
        path = self._folder.bring(program.path.parent, name) / name
        libraries = [self._folder.bring(part.parent, part.name) / part.name for part in program.libraries]
        search = {"LD_LIBRARY_PATH": ":".join(map(str, libraries))} if libraries else {}
        return Daemon(self._folder, path, config, environment=search)

    def _answers(self) -> bool:
        with psycopg.connect(self.url, connect_timeout=5) as connection:
            return connection.execute("select 1").fetchone() == (1,)


class PooledPostgres:
    """A PgBouncer with a server of its own behind it."""

    def __init__(self) -> None:
        self._server = Postgres()
        self._pooler = PgBouncer(self._server.url)

    @property
    def url(self) -> str:
        """The URL of the database through the pooler, without a query."""
        return self._pooler.url

    def start(self) -> PooledPostgres:
        """Start both."""
        self._server.start()
        self._pooler.start()
        return self

    def remove(self) -> None:
        """End both."""
        self._pooler.remove()
        self._server.remove()
