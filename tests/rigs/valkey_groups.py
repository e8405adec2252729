"""Several Valkey servers that act as one: a cluster, and a primary that Sentinels watch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from redis import RedisError

from tests.rigs.valkey import Valkey

_SLOTS = 16384
_SILENCE = 1000  # ms; with less than a ping's interval a new primary is taken for dead before it was greeted
SERVICE = "jobs"


class ValkeyCluster:
    """Three primaries that share the slots, without replicas."""

    def __init__(self) -> None:
        self.nodes = [Valkey(cluster_enabled="yes", cluster_node_timeout="2000") for _ in range(3)]

    @property
    def url(self) -> str:
        """The URL of all nodes, without a query."""
        return f"redis+cluster://{','.join(node.address for node in self.nodes)}/"

    def start(self) -> ValkeyCluster:
        """Start the nodes, deal the slots, and wait until all agree."""
        for node in self.nodes:
            node.start()
        first = self.nodes[0]
        shares = [_SLOTS * n // len(self.nodes) for n in range(len(self.nodes) + 1)]
        for node, low, high in zip(self.nodes, shares, shares[1:], strict=False):
            ask(node, "CLUSTER", "SET-CONFIG-EPOCH", low + 1)
            ask(node, "CLUSTER", "ADDSLOTSRANGE", low, high - 1)
            if node is not first:
                ask(node, "CLUSTER", "MEET", "127.0.0.1", first.port)
        _until(self._agreed, "a cluster's nodes agree")
        return self

    def restart(self) -> None:
        """Restart all nodes; the jobs are lost, the slots are not."""
        for node in self.nodes:
            node.restart()
        _until(self._agreed, "a cluster's nodes agree")

    def remove(self) -> None:
        """End all nodes."""
        for node in self.nodes:
            node.remove()

    def slot_of(self, key: str) -> int:
        """Give the slot of a key."""
        return int(ask(self.nodes[0], "CLUSTER", "KEYSLOT", key))

    def owner_of(self, slot: int) -> Valkey:
        """Give the node that serves a slot."""
        (owner,) = (node for node in self.nodes if self._serves(node, slot))
        return owner

    def other_than(self, node: Valkey) -> Valkey:
        """Give a node that is another one."""
        return next(other for other in self.nodes if other is not node)

    def begin_move(self, slot: int, target: Valkey) -> None:
        """Let a slot be under way to another node: from now on its old owner answers ASK for keys that it lacks."""
        source = self.owner_of(slot)
        ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", self._id(source))
        ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", self._id(target))

    def move_keys(self, slot: int, target: Valkey, count: int = 1_000_000) -> int:
        """Send up to ``count`` keys of a slot under way to their new node; give how many went."""
        source = self.owner_of(slot)
        keys = ask(source, "CLUSTER", "GETKEYSINSLOT", slot, count)
        if keys:
            ask(source, "MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        return len(keys)

    def end_move(self, slot: int, target: Valkey) -> None:
        """Make another node the owner of a slot: from now on the old owner answers MOVED."""
        # The new owner first: in between no node would serve the slot.
        for node in (target, *(node for node in self.nodes if node is not target)):
            ask(node, "CLUSTER", "SETSLOT", slot, "NODE", self._id(target))

    def move_slot(self, slot: int, target: Valkey | None = None) -> Valkey:
        """Move a slot with all its keys to another node; give that."""
        target = target or self.other_than(self.owner_of(slot))
        self.begin_move(slot, target)
        while self.move_keys(slot, target):
            pass
        self.end_move(slot, target)
        return target

    def _agreed(self) -> bool:
        return all(self._is_whole(node) for node in self.nodes)

    def _is_whole(self, node: Valkey) -> bool:
        shards = ask(node, "CLUSTER", "SLOTS")
        state = ask(node, "CLUSTER", "INFO")
        return {shard[2][1] for shard in shards} == {
            other.port for other in self.nodes
        } and b"cluster_state:ok" in state

    def _id(self, node: Valkey) -> str:
        return str(ask(node, "CLUSTER", "MYID").decode())

    def _serves(self, node: Valkey, slot: int) -> bool:
        shards = ask(node, "CLUSTER", "SLOTS")
        return any(low <= slot <= high and shard[1] == node.port for low, high, shard, *_ in shards)


class ValkeySentinel:
    """A primary with a replica, and three Sentinels that replace the primary when it is silent for a second."""

    def __init__(self) -> None:
        self.primary = Valkey(repl_diskless_sync_delay="0")
        self.replica = Valkey(repl_diskless_sync_delay="0", replicaof=f"127.0.0.1 {self.primary.port}")
        self.sentinels = [self._make_sentinel() for _ in range(3)]

    @property
    def url(self) -> str:
        """The URL of the service, without a query."""
        return f"redis+sentinel://{','.join(node.address for node in self.sentinels)}/{SERVICE}/0"

    def start(self) -> ValkeySentinel:
        """Start all, and wait until every Sentinel knows every other server."""
        for server in self._servers():
            server.start()
        _until(self._watched, "Sentinels find each other")
        return self

    def fail_over(self) -> None:
        """Kill the primary, and wait until the replica is in its place; `revive` brings the killed one back."""
        self.primary.kill()
        self.primary, self.replica = self.replica, self.primary
        _until(self._ruled, "the replica becomes the primary")

    def revive(self) -> None:
        """Start the server that was killed, and wait until it is a replica that has caught up."""
        self.replica.start()
        # The Sentinels would tell it too, after eight seconds.
        ask(self.replica, "REPLICAOF", "127.0.0.1", self.primary.port)
        _until(self._followed, "the former primary follows the new one")

    def remove(self) -> None:
        """End all."""
        for server in self._servers():
            server.remove()

    def _servers(self) -> list[Valkey]:
        return [self.primary, self.replica, *self.sentinels]

    def _make_sentinel(self) -> Valkey:
        monitor = f"monitor {SERVICE} 127.0.0.1 {self.primary.port} 2"
        times = f"down-after-milliseconds {SERVICE} {_SILENCE}\nsentinel failover-timeout {SERVICE} 3000"
        return Valkey("--sentinel", sentinel=f"{monitor}\nsentinel {times}")

    def _watched(self) -> bool:
        return self._followed() and all(
            self._told(sentinel, "num-slaves") == 1 and self._told(sentinel, "num-other-sentinels") == 2
            for sentinel in self.sentinels
        )

    def _told(self, sentinel: Valkey, field: str) -> int:
        fields = ask(sentinel, "SENTINEL", "MASTER", SERVICE)
        return int(fields[fields.index(field.encode()) + 1])

    def _ruled(self) -> bool:
        named = [ask(sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE) for sentinel in self.sentinels]
        return all(int(port) == self.primary.port for _, port in named) and ask(self.primary, "ROLE")[0] == b"master"

    def _followed(self) -> bool:
        role, _, *more = ask(self.replica, "ROLE")
        return bool(role == b"slave" and more[:2] == [self.primary.port, b"connected"])


def ask(node: Valkey, *words: Any) -> Any:
    """Send a command to one node; give the answer."""
    with node.client() as client:
        return client.execute_command(*words)


def _until(true: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Wait for something that servers agree upon, during which they may be busy."""
    end = time.monotonic() + seconds
    reason: object = "no"
    while time.monotonic() < end:
        try:
            if true():
                return
        except RedisError as error:
            reason = error
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what} ({reason})")
