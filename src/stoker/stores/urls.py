"""What a store's URL means: its scheme, its canonical form, and how it looks without its secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Final, NamedTuple

from stoker.core.clock import Clock
from stoker.drivers.system_clock import SystemClock
from stoker.errors import ConfigurationError, MissingExtra
from stoker.stores.base import Store

_MASK: Final = "***"
_SECRET_OPTION = re.compile(r"(?i)([?&][^=&#]*(?:password|passwd|secret|token)[^=&#]*=)[^&#]*")
_SPELLINGS: Final = {
    "postgres": "postgresql",
    "pgmq+postgres": "pgmq+postgresql",
    "valkey": "redis",
    "valkeys": "rediss",
}


def open_store(url: str, *, root: Path, clock: Clock | None = None, auto_migrate: bool = True) -> Store:
    """Give the store that a URL names, without touching it yet.

    A relative SQLite path is relative to ``root``. ``clock`` replaces the operating system's; with ``auto_migrate``
    the store makes its schema on first use. Raises ConfigurationError for a URL that is wrong.
    """
    canonical = canonical_url(url)
    scheme = _scheme(canonical)
    if scheme in _OPENERS:
        return _OPENERS[scheme](_Wish(canonical, root, clock, auto_migrate))
    return _foreign(scheme, _Wish(canonical, root, clock, auto_migrate))


def canonical_url(url: str) -> str:
    """Give a store URL in its one spelling (``postgresql``, not ``postgres``).

    Raises ConfigurationError for what is no URL or has a scheme of no store.
    """
    url = url.strip()
    scheme = _scheme(url)
    if not scheme:
        raise ConfigurationError(f"{mask(url)!r} is not a store URL; for a SQLite file write sqlite:///{mask(url)}")
    scheme = _SPELLINGS.get(scheme, scheme)
    if scheme not in _OPENERS and not _is_foreign(scheme):
        near = get_close_matches(scheme, list(_OPENERS), n=1)
        hint = f"did you mean {near[0]}://?" if near else _READY
        raise ConfigurationError(f"{mask(url)}: no store has the scheme {scheme}://; {hint}")
    return f"{scheme}://{_behind_scheme(url)}"


def usual_attempts(url: str) -> int | None:
    """Give how often others who share a store's format try a job, where they have a number; None elsewhere."""
    return {"sidekiq": 26, "gocraft": 4}.get(_scheme(url).partition("+")[0])


def sqlite_path(url: str, root: Path) -> Path:
    """Give the absolute path of the file that a ``sqlite:///`` URL names; a relative one is relative to ``root``.

    Raises ConfigurationError also for ``sqlite:///var/lib/jobs.db`` where that looks like an absolute path short of a
    slash, as sqlx and so Loco's files write it.
    """
    from stoker.stores.sqlite.urls import parse

    path = parse(url, root).path
    if path.parent.exists() or not path.is_relative_to(root):
        return path
    relative = path.relative_to(root)
    if len(relative.parts) > 1 and Path("/", relative).parent.is_dir():
        raise ConfigurationError(
            f"{mask(url)} is relative to {root}, which has no folder {relative.parent}; "
            f"an absolute path has four slashes: sqlite:////{relative}"
        )
    return path


def mask(url: str) -> str:
    """Give a URL without its secrets: the password, and options named password, secret or token, become ``***``."""
    scheme, separator, rest = url.partition("://")
    # The last @ ends the credentials, whatever a password that nobody encoded contains.
    credentials, at, tail = rest.rpartition("@")
    user, colon, _ = credentials.partition(":")
    return _SECRET_OPTION.sub(rf"\1{_MASK}", f"{scheme}{separator}{user}{colon and ':' + _MASK}{at}{tail}")


def _scheme(url: str) -> str:
    scheme, separator, _ = url.partition("://")
    return scheme.lower() if separator else ""


def _behind_scheme(url: str) -> str:
    return url.partition("://")[2]


class _Wish(NamedTuple):
    url: str
    root: Path
    clock: Clock | None
    auto_migrate: bool


def _memory(wish: _Wish) -> Store:
    if _behind_scheme(wish.url):
        raise ConfigurationError(f"{mask(wish.url)}: a memory:// URL has nothing behind the slashes")
    from stoker.stores.memory import MemoryStore

    return MemoryStore(clock=wish.clock)


def _sqlite(wish: _Wish) -> Store:
    from stoker.stores.sqlite import SqliteStore

    sqlite_path(wish.url, wish.root)
    return SqliteStore(wish.url, root=wish.root, clock=wish.clock, auto_migrate=wish.auto_migrate)


def _redis(wish: _Wish) -> Store:
    with _extra("redis", "redis", wish):
        from stoker.stores.redis import RedisStore
    return RedisStore(wish.url, shown=mask(wish.url), clock=wish.clock)


def _sidekiq(wish: _Wish) -> Store:
    with _extra("sidekiq", "redis", wish):
        from stoker.stores.sidekiq import SidekiqStore
    return SidekiqStore(wish.url, shown=mask(wish.url), clock=wish.clock)


def _gocraft(wish: _Wish) -> Store:
    with _extra("gocraft", "redis", wish):
        from stoker.stores.gocraft import GocraftStore
    return GocraftStore(wish.url, shown=mask(wish.url), clock=wish.clock)


def _postgres(wish: _Wish) -> Store:
    with _extra("postgres", "psycopg", wish):
        from stoker.stores.postgres import PostgresStore
    return PostgresStore(wish.url, shown=mask(wish.url), clock=wish.clock, auto_migrate=wish.auto_migrate)


def _pgmq(wish: _Wish) -> Store:
    with _extra("pgmq", "psycopg", wish):
        from stoker.stores.pgmq import open_pgmq
    return open_pgmq(wish.url, shown=mask(wish.url), clock=wish.clock, auto_migrate=wish.auto_migrate)


def _rabbitmq(wish: _Wish) -> Store:
    with _extra("rabbitmq", "pika", wish):
        from stoker.stores.rabbitmq import RabbitStore
    return RabbitStore(wish.url, shown=mask(wish.url), clock=wish.clock)


def _is_foreign(scheme: str) -> bool:
    from stoker.stores.plugins import has_plugin

    return has_plugin(scheme)


def _foreign(scheme: str, wish: _Wish) -> Store:
    from stoker.stores.plugins import Opening, open_plugin

    clock = SystemClock() if wish.clock is None else wish.clock
    return open_plugin(scheme, Opening(wish.url, wish.root, clock, wish.auto_migrate, mask(wish.url)))


@contextmanager
def _extra(name: str, module: str, wish: _Wish) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        if error.name is not None and error.name.partition(".")[0] != module:
            raise
        raise MissingExtra(name, mask(wish.url)) from error


_OPENERS: Final[dict[str, Callable[[_Wish], Store]]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "postgresql": _postgres,
    "pgmq+postgresql": _pgmq,
    **dict.fromkeys(("redis", "rediss", "redis+unix"), _redis),
    **dict.fromkeys(("amqp", "amqps", "buffalo+amqp", "buffalo+amqps"), _rabbitmq),
    **dict.fromkeys(("redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"), _redis),
    **dict.fromkeys(("sidekiq+redis", "sidekiq+rediss", "sidekiq+redis+unix"), _sidekiq),
    **dict.fromkeys(("sidekiq+redis+sentinel", "sidekiq+rediss+sentinel"), _sidekiq),
    **dict.fromkeys(("gocraft+redis", "gocraft+rediss", "gocraft+redis+unix"), _gocraft),
    **dict.fromkeys(("gocraft+redis+sentinel", "gocraft+rediss+sentinel"), _gocraft),
}
_READY: Final = f"this one has {', '.join(f'{scheme}://' for scheme in _OPENERS)}"
