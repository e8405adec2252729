"""What `stoker bench` asks of a server with Sidekiq's keys."""

from __future__ import annotations

from stoker.stores.holding.measuring import NamespaceSide
from stoker.stores.sidekiq.urls import parse


def side(url: str, shown: str) -> NamespaceSide:
    """Give the server and namespace of a URL; ``shown`` as errors may show it."""
    parsed = parse(url, shown)
    return NamespaceSide(parsed.target, parsed.namespace, shown)
