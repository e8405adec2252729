"""What a bench needs of a server beside the verbs of its store: a place of its own there, and facts for the figures."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import parse_qsl, urlencode

from stoker.stores.urls import canonical_url, mask


class Side(Protocol):
    """A server, and the place there that a URL names."""

    def particulars(self) -> dict[str, object]:
        """Say which server it is and how carefully it writes."""

    def drop(self) -> None:
        """Delete the place with everything in it."""

    def server_pid(self) -> int | None:
        """Give the server's first process; None when it is not on this machine."""


def side_of(url: str) -> Side | None:
    """Give the server that a URL names; None where there is none."""
    match scheme_of(url):
        case "postgresql":
            from stoker.stores.postgres_side import PostgresSide

            return PostgresSide(canonical_url(url), mask(url))
        case "pgmq+postgresql":
            from stoker.stores.pgmq.measuring import PgmqSide

            return PgmqSide(canonical_url(url), mask(url))
        case scheme if scheme.startswith("redis"):
            from stoker.stores.redis.measuring import RedisSide

            return RedisSide(canonical_url(url), mask(url))
        case scheme if scheme.startswith("sidekiq"):
            from stoker.stores.sidekiq import measuring as sidekiq

            return sidekiq.side(canonical_url(url), mask(url))
        case scheme if scheme.startswith("gocraft"):
            from stoker.stores.gocraft import measuring as gocraft

            return gocraft.side(canonical_url(url), mask(url))
        case "amqp" | "amqps":
            from stoker.stores.rabbitmq.measuring import RabbitSide

            return RabbitSide(canonical_url(url), mask(url))
        case _:
            return None


def elsewhere(url: str, place: str) -> str:
    """Give the URL of another place on the same server: a schema, or what all keys begin with."""
    scheme = scheme_of(url)
    shared = scheme.startswith(("sidekiq", "gocraft"))
    option = "schema" if scheme == "postgresql" else "namespace" if shared else "prefix"
    base, _, query = url.partition("?")
    options = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] not in (option, "schema")]
    return f"{base}?{urlencode([*options, (option, place)])}"


def scheme_of(url: str) -> str:
    """Give the canonical scheme of a URL."""
    return canonical_url(url).partition(":")[0]
