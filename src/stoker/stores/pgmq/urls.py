"""What a ``pgmq+postgresql://`` URL says: the database, whose queues, and what becomes of messages that are done."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, TypeAlias, cast
from urllib.parse import parse_qsl, urlencode

from stoker.errors import ConfigurationError
from stoker.stores.postgres_urls import PostgresUrl
from stoker.stores.postgres_urls import parse as parse_postgres

Action: TypeAlias = Literal["archive", "delete"]
_ACTIONS: Final = ("archive", "delete")
_OWN: Final = {"prefix": "", "on_success": "delete", "on_failure": "archive"}
_PREFIX: Final = re.compile(r"[a-z0-9_]{0,30}")
_QUEUE: Final = re.compile(r"[a-z0-9_]+(-[a-z0-9_]+)*")
SCHEMA: Final = "stoker_pgmq"
LONGEST: Final = 47


class PgmqUrl(NamedTuple):
    """A parsed URL."""

    database: PostgresUrl
    prefix: str
    on_success: Action
    on_failure: Action

    def table(self, queue: str) -> str:
        """Give the name that pgmq knows a queue by; ConfigurationError for what pgmq cannot call one."""
        name = self.prefix + queue
        if not _QUEUE.fullmatch(queue):
            near = re.sub(r"[^a-z0-9_]", "_", queue.lower())
            raise ConfigurationError(
                f"queue {queue!r}: pgmq has a table for each, so its name is of a-z, 0-9, _ and -; write e.g. {near!r}"
            )
        if len(name) > LONGEST:
            raise ConfigurationError(
                f"queue {queue!r}: {name!r} is longer than the {LONGEST} characters that pgmq takes"
            )
        return name


def parse(url: str, shown: str) -> PgmqUrl:
    """Read a URL; what is wrong or unknown raises ConfigurationError, which shows ``shown`` instead of it.

    Parameters beside those of ``postgresql://``: ``prefix`` (before the name of every queue), ``on_success`` and
    ``on_failure`` (``delete`` or ``archive``). ``schema`` is where stoker's own tables are; without it
    each prefix has its own.
    """
    bare, _, query = url.partition("+")[2].partition("?")
    own, passed = dict(_OWN), []
    for option, value in parse_qsl(query, keep_blank_values=True):
        if option in own:
            own[option] = value
        else:
            passed.append((option, value))
    for option in ("on_success", "on_failure"):
        if own[option] not in _ACTIONS:
            raise ConfigurationError(f"{shown}: {option} is {own[option]!r}; it must be {' or '.join(_ACTIONS)}")
    if not _PREFIX.fullmatch(own["prefix"]):
        raise ConfigurationError(f"{shown}: prefix is {own['prefix']!r}; it must be of a-z, 0-9 and _, at most 30 long")
    if "schema" not in dict(passed):
        passed.append(("schema", f"{SCHEMA}_{own['prefix']}".rstrip("_")))
    database = parse_postgres(f"{bare}?{urlencode(passed)}")
    return PgmqUrl(database, own["prefix"], cast(Action, own["on_success"]), cast(Action, own["on_failure"]))
