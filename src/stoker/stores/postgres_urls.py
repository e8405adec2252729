"""What a ``postgresql://`` URL says: the database, and the parameters that are stoker's own."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from stoker.errors import ConfigurationError

_OWN: Final = ("schema", "pool_size", "listen_url")
_LIBPQ: Final = [
    "application_name",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "dbname",
    "fallback_application_name",
    "gssencmode",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "options",
    "passfile",
    "password",
    "port",
    "require_auth",
    "service",
    "sslcert",
    "sslcompression",
    "sslcrl",
    "sslkey",
    "sslmode",
    "sslnegotiation",
    "sslpassword",
    "sslrootcert",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
]
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,45}")


class PostgresUrl(msgspec.Struct, frozen=True):
    """A parsed URL."""

    conninfo: str
    """What libpq is given."""
    schema: str = "stoker"
    pool_size: int = 10
    """Connections of one process at most, for sync and for async callers each."""
    listen_url: str | None = None
    """Where notifications are listened for, if not at the same place: past a pooler."""


def parse(url: str) -> PostgresUrl:
    """Read a URL. Own parameters: ``schema``, ``pool_size`` and ``listen_url``; libpq's are passed on.

    What is wrong or unknown raises ConfigurationError naming it.
    """
    parts = urlsplit(url)
    own: dict[str, str] = {}
    passed: list[tuple[str, str]] = []
    for option, value in parse_qsl(parts.query, keep_blank_values=True):
        if option in _OWN:
            own[option] = value
        elif option in _LIBPQ:
            passed.append((option, value))
        else:
            near = get_close_matches(option, [*_OWN, *_LIBPQ], n=1)
            hint = f"did you mean {near[0]}?" if near else f"stoker's own are {', '.join(_OWN)}"
            raise ConfigurationError(f"{_shown(url)}: a postgresql:// URL has no parameter {option}; {hint}")
    conninfo = urlunsplit(parts._replace(query=urlencode(passed)))
    return PostgresUrl(conninfo, _schema(url, own), _pool_size(url, own), own.get("listen_url"))


def _schema(url: str, own: dict[str, str]) -> str:
    name = own.get("schema", "stoker")
    if not _NAME.fullmatch(name) or name.lower().startswith("pg_"):
        raise ConfigurationError(
            f"{_shown(url)}: schema is {name!r}; it must be a name of letters, digits and _, at most 46 long"
        )
    return name


def _pool_size(url: str, own: dict[str, str]) -> int:
    value = own.get("pool_size", "10")
    if not value.isdecimal() or int(value) < 1:
        raise ConfigurationError(f"{_shown(url)}: pool_size is {value!r}; it must be a whole number of 1 or more")
    return int(value)


def _shown(url: str) -> str:
    return url.partition("?")[0].rpartition("@")[2]
