"""What `stoker bench` asks of a Redis server whose keys are another's format: a namespace of its own, and facts."""

from __future__ import annotations

import contextlib
from typing import Any

from stoker.drivers.redis import RedisDriver
from stoker.drivers.redis_link import Link, Target
from stoker.drivers.system_processes import title


class NamespaceSide:
    """A server, and what the keys begin with; ``shown`` is the URL as errors may show it."""

    def __init__(self, target: Target, namespace: str, shown: str) -> None:
        self._target = target
        self._namespace = namespace
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
        """Delete every key of the namespace; without one nothing, because the keys may be others'."""
        if self._namespace:
            self._visit(self._unlink)

    def server_pid(self) -> int | None:
        """Give the server's process; None when it is not on this machine."""
        told = self._told()
        pid = int(told.get("process_id", 0))
        named = any(word.endswith(f":{told.get('tcp_port', '')}") for word in title(pid).split())
        return pid if named else None

    def _unlink(self, link: Link) -> None:
        cursor = b"0"
        while True:
            link.send_command("SCAN", cursor, "MATCH", f"{self._namespace}*", "COUNT", 1000)
            cursor, keys = link.read_response(disable_decoding=True)
            if keys:
                link.send_command("UNLINK", *keys)
                link.read_response()
            if cursor == b"0":
                return

    def _told(self) -> dict[str, str]:
        def ask(link: Link) -> Any:
            link.send_command("INFO")
            return link.read_response(disable_decoding=True)

        lines = self._visit(ask).decode(errors="replace").splitlines()
        return {name: value for name, _, value in (line.partition(":") for line in lines if ":" in line)}

    def _visit(self, task: Any) -> Any:
        with contextlib.closing(RedisDriver(self._target, self._shown, None)) as driver:
            return driver.visit(task, "bench")
