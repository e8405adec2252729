"""What a ``sqlite:///`` URL says: which file, and how careful and patient to be."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from stoker.core.duration import seconds
from stoker.errors import ConfigurationError

_SYNCHRONOUS: Final = ("FULL", "NORMAL")


class SqliteUrl(msgspec.Struct, frozen=True):
    """A parsed URL; ``busy_timeout`` in seconds."""

    path: Path
    synchronous: str = "FULL"
    busy_timeout: float = 5.0


def parse(url: str, root: Path) -> SqliteUrl:
    """Read ``sqlite:///relative.db`` (relative to ``root``) or ``sqlite:////absolute.db`` and its parameters.

    Parameters: ``synchronous`` FULL or NORMAL, ``busy_timeout`` a duration. What is wrong or unknown raises
    ConfigurationError naming it.
    """
    parts = urlsplit(url)
    name = unquote(parts.path.removeprefix("/"))
    _check(url, parts.scheme, parts.netloc, name, parts.fragment)
    synchronous, busy_timeout = "FULL", 5.0
    for option, value in parse_qsl(parts.query, keep_blank_values=True):
        match option:
            case "synchronous":
                synchronous = _synchronous(url, value)
            case "busy_timeout":
                busy_timeout = seconds(value, f"{url}: busy_timeout")
            case "mode" if value == "rwc":
                pass  # sqlx's spelling in every Loco file, and what happens here anyway
            case _:
                raise ConfigurationError(
                    f"{url}: a sqlite:// URL has no parameter {option}={value}; it has synchronous and busy_timeout"
                )
    return SqliteUrl((root / name).absolute(), synchronous, busy_timeout)


def _check(url: str, scheme: str, host: str, name: str, fragment: str) -> None:
    if scheme != "sqlite":
        raise ConfigurationError(f"{url} is not a SQLite URL; write sqlite:///file.db")
    if ":memory:" in url:
        raise ConfigurationError(f"{url}: a SQLite database in memory is no store; write memory://")
    if host:
        raise ConfigurationError(f"{url}: write three slashes for a relative path, four for an absolute one")
    if not name or name.endswith("/"):
        raise ConfigurationError(f"{url} names no file; write sqlite:///stoker.sqlite3")
    if fragment:
        raise ConfigurationError(f"{url}: write # in a path as %23")


def _synchronous(url: str, value: str) -> str:
    if value.upper() not in _SYNCHRONOUS:
        raise ConfigurationError(f"{url}: synchronous is {value!r}; it must be FULL (default) or NORMAL")
    return value.upper()
