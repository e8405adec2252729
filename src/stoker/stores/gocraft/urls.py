"""What a URL of this store says: which server, whose keys, and how many dead jobs are kept."""

from __future__ import annotations

from typing import NamedTuple

from stoker.drivers.redis_link import Target
from stoker.errors import ConfigurationError
from stoker.stores.redis_urls import read_url


class GocraftUrl(NamedTuple):
    """A parsed URL."""

    target: Target
    namespace: str
    """As it stands before every key: with a colon at its end, or empty."""
    most_dead: int
    """0 for any number."""


def parse(url: str, masked: str) -> GocraftUrl:
    """Read a URL; what is wrong or unknown raises ConfigurationError, which shows ``masked`` instead of it.

    ``gocraft+redis://…`` and what else `read_url` reads, but for clusters: gocraft's keys do not fit one. Parameters:
    ``namespace`` (the one that Go's pools are made with), ``most_dead`` (how many dead jobs stay; Go keeps all).
    """
    bare = url.partition("+")[2]
    target, own = read_url(bare, masked, ("namespace", "most_dead"))
    if target.kind == "cluster":
        raise ConfigurationError(f"{masked}: gocraft's keys lie in different slots; it has no cluster")
    namespace, most = own.get("namespace", ""), own.get("most_dead", "0")
    if not (most.isascii() and most.isdecimal()):
        raise ConfigurationError(f"{masked}: most_dead is {most!r}; it must be a number like 10000")
    colon = ":" if namespace and not namespace.endswith(":") else ""
    return GocraftUrl(target, namespace + colon, int(most))
