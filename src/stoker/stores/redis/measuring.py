"""What `stoker bench` asks of a Redis server beside the store's verbs: keys of its own, and facts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final

from redis.exceptions import RedisError

from stoker.core.command import Retry, Script
from stoker.drivers.redis import RedisDriver
from stoker.drivers.redis_errors import unavailable
from stoker.drivers.system_processes import title
from stoker.stores.redis.store import RedisStore
from stoker.stores.redis.urls import parse

_PATIENCE: Final = 10.0


class RedisSide:
    """The server and keys of a URL, of several servers the one that has the keys; ``shown`` as errors may show it."""

    def __init__(self, url: str, shown: str) -> None:
        self._url = url
        self._shown = shown

    def particulars(self) -> dict[str, object]:
        """Say which server it is and how carefully it writes."""
        told = self._told()
        name = told.get("server_name", "redis")
        return {
            name: told.get(f"{name}_version", told.get("redis_version")),
            "appendonly": "yes" if told.get("aof_enabled") == "1" else "no",
        }

    def drop(self) -> None:
        """Delete every key that a store has there."""
        with contextlib.closing(RedisStore(self._url, shown=self._shown)) as store:
            store.drop()

    def server_pid(self) -> int | None:
        """Give the server's process; None when it is not on this machine."""
        told = self._told()
        pid, port = int(told.get("process_id", 0)), told.get("tcp_port", "")
        # A process of that number is that server only if its title names the server's port, or its socket.
        named = any(word.endswith(f":{port}") or word.startswith("unixsocket:") for word in title(pid).split())
        return pid if named else None

    def _told(self) -> dict[str, str]:
        with self._connected() as connection:
            connection.send_command("INFO")
            told: Any = connection.read_response(disable_decoding=True)
        pairs = (line.partition(":") for line in told.decode(errors="replace").splitlines() if ":" in line)
        return {name: value for name, _, value in pairs}

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Any]:
        parsed = parse(self._url, self._shown)
        driver = RedisDriver(parsed.target, self._shown, None)
        with contextlib.closing(driver):
            # Any script with a key of the store: where the servers share the keys, it finds the one that has ours.
            driver.run(Script("here", "return 1", (f"{{{parsed.prefix}}}:meta",), ()), Retry.SAFE, "bench")
            try:
                connection: Any = driver.connect(_PATIENCE)
                try:
                    yield connection
                finally:
                    connection.disconnect()
            except (RedisError, OSError) as error:
                raise unavailable(error, self._shown, "bench") from error
