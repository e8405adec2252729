"""What the URLs of Redis servers have in common: which servers, how to reach them, and how patient to be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Final, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from stoker.core.duration import seconds
from stoker.drivers.redis_link import Address, Target
from stoker.errors import ConfigurationError

PORT: Final = 6379
SENTINEL_PORT: Final = 26379
LARGEST_PORT: Final = 65535
_FILES: Final = ("ca_certs", "certfile", "keyfile")
_OPTIONS: Final = ("timeout", "verify", *_FILES, "sentinel_username", "sentinel_password")


def read_url(url: str, masked: str, own: Sequence[str]) -> tuple[Target, dict[str, Any]]:
    """Give the servers of a URL, and those of the store's ``own`` parameters that it has, as text.

    What is wrong or unknown raises ConfigurationError, which shows ``masked`` instead of the URL.
    ``redis://[USER:PASSWORD@]HOST[:PORT][/DB]``, ``rediss://`` for TLS, ``redis+unix:///PATH``,
    ``redis+sentinel://HOST[:PORT],…/SERVICE[/DB]``, ``redis+cluster://HOST[:PORT],…/``, both also as ``rediss+…``.
    Parameters: ``timeout`` (a duration), ``ca_certs``, ``certfile``, ``keyfile``, ``verify``, ``sentinel_username``,
    ``sentinel_password``.
    """
    parts = urlsplit(url)
    scheme, _, variant = parts.scheme.partition("+")
    options = _options(parts.query, masked, (*own, *_OPTIONS))
    for_store = {option: options.pop(option) for option in own if option in options}
    words: dict[str, Any] = {"tls": scheme == "rediss", **options, **_where(variant, parts, masked)}
    return Target(username=_user(parts), password=_password(parts), **words), for_store


def _where(variant: str, parts: SplitResult, masked: str) -> dict[str, Any]:
    if parts.fragment:
        raise ConfigurationError(f"{masked}: write # in a password as %23")
    path = [unquote(step) for step in parts.path.strip("/").split("/")] if parts.path.strip("/") else []
    match variant:
        case "":
            addresses = _addresses(parts.netloc or "localhost", PORT, masked)
            if len(addresses) > 1 or len(path) > 1:
                raise ConfigurationError(f"{masked}: write redis://HOST:PORT/DB; for several hosts redis+cluster://")
            return {"kind": "server", "addresses": addresses, "db": _db(path, masked)}
        case "unix":
            if not path:
                raise ConfigurationError(f"{masked} names no socket; write redis+unix:///run/redis.sock")
            return {"kind": "socket", "addresses": ((unquote(parts.path), 0),)}
        case "sentinel":
            if not path or len(path) > 2:
                raise ConfigurationError(f"{masked}: write redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB")
            addresses = _addresses(parts.netloc, SENTINEL_PORT, masked)
            return {"kind": "sentinel", "addresses": addresses, "service": path[0], "db": _db(path[1:], masked)}
        case _:
            if path and path != ["0"]:
                raise ConfigurationError(f"{masked}: a cluster has no databases; write redis+cluster://HOST:PORT,…/")
            return {"kind": "cluster", "addresses": _addresses(parts.netloc, PORT, masked)}


def _addresses(netloc: str, port: int, masked: str) -> tuple[Address, ...]:
    hosts = netloc.rpartition("@")[2]
    return tuple(_address(host, port, masked) for host in hosts.split(",") if host) or _none(masked)


def _none(masked: str) -> tuple[Address, ...]:
    raise ConfigurationError(f"{masked} names no host")


def _address(text: str, port: int, masked: str) -> Address:
    found = re.fullmatch(r"(?P<host>\[[^\]]+\]|[^:]*)(?::(?P<port>\d+))?", text)
    number = port if found is None or found["port"] is None else int(found["port"])
    if found is None or not 0 < number <= LARGEST_PORT:
        raise ConfigurationError(f"{masked}: {text!r} is no host with a port; write e.g. cache:6379")
    return unquote(found["host"].strip("[]")) or "localhost", number


def _db(path: list[str], masked: str) -> int:
    if not path:
        return 0
    if not (path[0].isascii() and path[0].isdecimal()):
        raise ConfigurationError(f"{masked}: the database is {path[0]!r}; it must be a number like 0")
    return int(path[0])


def _user(parts: SplitResult) -> str | None:
    return unquote(parts.netloc.rpartition("@")[0].partition(":")[0]) or None


def _password(parts: SplitResult) -> str | None:
    return unquote(parts.netloc.rpartition("@")[0].partition(":")[2]) or None


def _options(query: str, masked: str, known: Sequence[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for option, value in parse_qsl(query, keep_blank_values=True):
        match option:
            case "timeout":
                options[option] = seconds(value, f"{masked}: timeout")
            case "verify":
                options[option] = _verify(value, masked)
            case _ if option in known:
                options[option] = value
            case _:
                near = get_close_matches(option, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(known)}"
                raise ConfigurationError(f"{masked}: a redis:// URL has no parameter {option}; {hint}")
    return options


def _verify(value: str, masked: str) -> bool:
    choices: dict[str, Literal[True, False]] = {"full": True, "none": False}
    if value not in choices:
        raise ConfigurationError(f"{masked}: verify is {value!r}; it must be full (default) or none")
    return choices[value]
