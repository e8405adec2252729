"""What a URL of this store says: which servers, and which keys."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from stoker.drivers.redis_link import Target
from stoker.errors import ConfigurationError
from stoker.stores.redis_urls import read_url

_PREFIX: Final = re.compile(r"[^\s{}\x00-\x1f\x7f]{1,100}")


class RedisUrl(NamedTuple):
    """A parsed URL."""

    target: Target
    prefix: str


def parse(url: str, masked: str) -> RedisUrl:
    """Read a URL (see `read_url`) with the parameter ``prefix``; ConfigurationError shows ``masked`` instead of it."""
    target, own = read_url(url, masked, ("prefix",))
    prefix = own.get("prefix", "stoker")
    if not _PREFIX.fullmatch(prefix):
        raise ConfigurationError(f"{masked}: prefix is {prefix!r}; it may hold no braces, spaces or control characters")
    return RedisUrl(target, prefix)
