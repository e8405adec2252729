"""Other ways to write the same: short forms, and everything that Loco writes differently."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

from stoker.errors import ConfigurationError
from stoker.stores.urls import mask

_FOREIGN: Final = frozenset({"server", "database", "logger", "auth", "mailer", "cache", "initializers", "settings"})
"""Loco's sections for the rest of an application."""

_LOCO_CONNECTIONS: Final = frozenset(
    {"enable_logging", "max_connections", "min_connections", "connect_timeout", "idle_timeout", "reaper"}
)
"""What Loco says about its own connections; no store of this version has any to tune."""

_KINDS: Final = {
    "memory": "memory",
    "sqlite": "sqlite",
    "postgres": "postgresql",
    "postgresql": "postgresql",
    "redis": "redis",
    "amqp": "amqp",
    "sidekiq": "sidekiq+redis",
    "gocraft": "gocraft+redis",
    "pgmq": "pgmq+postgresql",
}


def own_sections(written: Mapping[Any, object]) -> dict[Any, object]:
    """Leave out the sections of a file that belong to other parts of a Loco application."""
    return {name: value for name, value in written.items() if name not in _FOREIGN}


def with_url(written: Mapping[Any, object]) -> dict[Any, object]:
    """Put the short ``url`` of a variable or an argument where it belongs: it replaces URI and kind together."""
    result = dict(written)
    if (url := result.pop("url", None)) is not None:
        result["queue"] = _section(result.get("queue")) | {"uri": url, "kind": ""}
    return result


def plain(written: Mapping[Any, object]) -> dict[Any, object]:
    """Give the same settings under their plain keys.

    ``stores.default`` is ``queue``, a URL alone is a store, ``queue.num_workers`` is ``workers.concurrency``.
    """
    result = dict(written)
    if isinstance(stores := result.get("stores"), Mapping):
        named = {name: _plain_store(store) for name, store in stores.items()}
        if (default := named.pop("default", None)) is not None:
            result["queue"] = _section(result.get("queue")) | _section(default)
        result["stores"] = named
    if isinstance(queue := result.get("queue"), Mapping):
        queue = dict(queue)
        workers = result.get("workers") or {}
        if "num_workers" in queue and isinstance(workers, Mapping):
            result["workers"] = {"concurrency": queue.pop("num_workers")} | dict(workers)
        result["queue"] = _plain_store(queue)
    return result


def scheme_of(kind: str) -> str:
    """Give the URL scheme of a ``queue.kind``; ConfigurationError with the nearest name."""
    scheme = _KINDS.get(kind.lower())
    if scheme is None:
        near = get_close_matches(kind.lower(), list(_KINDS), n=1)
        hint = f"did you mean {near[0].capitalize()}?" if near else "there are " + ", ".join(_KINDS)
        raise ConfigurationError(f"unknown kind {kind!r}; {hint}")
    return scheme


def uri_of_kind(uri: str, kind: str) -> str:
    """Give the URL that Loco's pair of kind and URI stands for; ConfigurationError when they contradict."""
    wanted = scheme_of(kind)
    scheme, separator, rest = uri.partition("://")
    protocol = wanted.rpartition("+")[2]
    if not separator or scheme not in {wanted, protocol, f"{protocol}s", protocol.removesuffix("ql"), f"{wanted}s"}:
        raise ConfigurationError(f"{mask(uri)} does not fit kind {kind}: write {wanted}://… or leave the kind out")
    if wanted == "sqlite" and not rest.startswith("/"):
        return f"sqlite:///{rest}"
    if "+" in wanted and "+" not in scheme:
        return f"{wanted.partition('+')[0]}+{uri}"
    return uri


def _plain_store(store: object) -> object:
    if isinstance(store, str):
        return {"uri": store, "kind": ""}
    if not isinstance(store, Mapping):
        return store
    result = {name: value for name, value in store.items() if name not in _LOCO_CONNECTIONS}
    if "poll_interval_sec" in result:
        result.setdefault("poll_interval", result.pop("poll_interval_sec"))
    queues = result.get("queues")
    if isinstance(queues, str):
        queues = [name.strip() for name in queues.split(",") if name.strip()]
    if isinstance(queues, list | tuple) and all(isinstance(name, str | bool | int) for name in queues):
        result["queues"] = {name: {} for name in queues}
    return result


def _section(value: object) -> dict[Any, object]:
    return dict(value) if isinstance(value, Mapping) else {}
