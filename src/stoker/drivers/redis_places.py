"""Where the server is that keeps a store: at one address, where Sentinels say, or where a cluster's slot lives.

All keys of a store share one slot, so of a cluster only that slot's node matters: whoever asks another node is told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from redis.exceptions import RedisError

from stoker.drivers.redis_link import Address, Link, Target

Open: TypeAlias = Callable[[Address, bool], Link]
"""Opens a connection to a server, or with True to a Sentinel."""


class Place(Protocol):
    """Knows the address to send to."""

    @property
    def known(self) -> Address | None:
        """It, if it is known without asking anybody."""

    def address(self) -> Address:
        """Give it; RedisError or OSError when nobody can tell."""

    def lost(self, address: Address) -> None:
        """Hear that this address does not answer, or no longer is the right one."""

    def moved(self, address: Address) -> None:
        """Hear where the right one is."""


class Fixed:
    """One server, always the same."""

    def __init__(self, target: Target) -> None:
        self.known: Address | None = target.addresses[0]
        self._address = target.addresses[0]

    def address(self) -> Address:
        return self._address

    def lost(self, address: Address) -> None:
        """Stay."""

    moved = lost


class Watched:
    """A server that Sentinels replace when it fails: the first that answers is believed."""

    def __init__(self, target: Target, open: Open) -> None:  # noqa: A002
        self._target = target
        self._open = open
        self.known: Address | None = None

    def address(self) -> Address:
        known = self.known
        if known is None:
            known = self.known = self._ask()
        return known

    def lost(self, address: Address) -> None:
        if self.known == address:
            self.known = None

    def moved(self, address: Address) -> None:
        """Sentinels know better."""

    def _ask(self) -> Address:
        service, last = self._target.service, RedisError("")
        for sentinel in self._target.addresses:
            try:
                link = self._open(sentinel, True)
            except (RedisError, OSError) as error:
                last = RedisError(str(error))
                continue
            try:
                link.send_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service)
                found: Any = link.read_response()
            except (RedisError, OSError) as error:
                last = RedisError(str(error))
                continue
            finally:
                link.disconnect()
            if found:
                return found[0].decode(), int(found[1])
            last = RedisError(f"the Sentinel at {sentinel[0]}:{sentinel[1]} knows no service {service}")
        raise last


class Slotted:
    """A node of a cluster: where the last redirection pointed, else any that is known."""

    def __init__(self, target: Target, open: Open) -> None:  # noqa: A002
        self._open = open
        self._lock = threading.Lock()
        self._nodes = list(target.addresses)
        self._asked = False

    @property
    def known(self) -> Address | None:
        return self._nodes[0] if self._asked else None

    def address(self) -> Address:
        if not self._asked:
            self._learn()
        return self._nodes[0]

    def lost(self, address: Address) -> None:
        with self._lock:
            if self._nodes[0] == address:
                self._nodes.append(self._nodes.pop(0))

    def moved(self, address: Address) -> None:
        with self._lock:
            self._nodes = [address, *(node for node in self._nodes if node != address)]

    def _learn(self) -> None:
        """Ask for the other nodes, so that the URL may name one only and that one may fail later."""
        for seed in list(self._nodes):
            try:
                connection = self._open(seed, False)
            except (RedisError, OSError):
                continue
            try:
                connection.send_command("CLUSTER", "SLOTS")
                slots: Any = connection.read_response()
            except (RedisError, OSError):
                continue
            finally:
                connection.disconnect()
            found = [(node[0].decode() or seed[0], int(node[1])) for _, _, *nodes in slots for node in nodes]
            with self._lock:
                self._nodes = list(dict.fromkeys([*self._nodes, *found]))
                self._asked = True
            return


def place_of(target: Target, open: Open) -> Place:  # noqa: A002
    """Give the place that a URL means."""
    match target.kind:
        case "sentinel":
            return Watched(target, open)
        case "cluster":
            return Slotted(target, open)
        case _:
            return Fixed(target)
