"""What a URL of this store says: which server, whose keys, and how its readers want times and arguments."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias, cast

from stoker.drivers.redis_link import Target
from stoker.errors import ConfigurationError
from stoker.stores.redis_urls import read_url

Stamps: TypeAlias = Literal["seconds", "millis"]
Envelope: TypeAlias = Literal["none", "roadster"]
_CHOICES: Final = {"timestamps": ("seconds", "millis"), "envelope": ("none", "roadster")}


class SidekiqUrl(NamedTuple):
    """A parsed URL."""

    target: Target
    namespace: str
    stamps: Stamps
    envelope: Envelope


def parse(url: str, masked: str) -> SidekiqUrl:
    """Read a URL; what is wrong or unknown raises ConfigurationError, which shows ``masked`` instead of it.

    ``sidekiq+redis://…`` and what else `read_url` reads, but for clusters: Sidekiq's keys do not fit one. Parameters:
    ``namespace`` (before every key, with a colon), ``timestamps`` (``seconds``, which all versions read, or
    ``millis``), ``envelope`` (``roadster`` wraps what is enqueued).
    """
    bare = url.partition("+")[2]
    target, own = read_url(bare, masked, ("namespace", *_CHOICES))
    if target.kind == "cluster":
        raise ConfigurationError(f"{masked}: Sidekiq's keys lie in different slots; it has no cluster")
    for option, choices in _CHOICES.items():
        if own.get(option, choices[0]) not in choices:
            raise ConfigurationError(f"{masked}: {option} is {own[option]!r}; it must be {' or '.join(choices)}")
    namespace = own.get("namespace", "")
    stamps = cast(Stamps, own.get("timestamps", "seconds"))
    return SidekiqUrl(target, f"{namespace}:" if namespace else "", stamps, cast(Envelope, own.get("envelope", "none")))
