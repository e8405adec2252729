"""What `stoker bench` asks of a server with gocraft's keys."""

from __future__ import annotations

from stoker.stores.gocraft.urls import parse
from stoker.stores.holding.measuring import NamespaceSide


def side(url: str, shown: str) -> NamespaceSide:
    """Give the server and namespace of a URL; ``shown`` as errors may show it."""
    parsed = parse(url, shown)
    return NamespaceSide(parsed.target, parsed.namespace, shown)
