"""What an error of PostgreSQL or of the connection to it means for a command."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

import psycopg
from psycopg import errors

from stoker.errors import SchemaOutdated, StoreError, StoreUnavailable


class Fate(Enum):
    """What is known of a unit that failed."""

    NOTHING_DONE = auto()
    """The server refused it or rolled it back, and may accept it a moment later."""
    UNKNOWN = auto()
    """The connection was lost: it may have been carried out."""
    FINAL = auto()
    """The server answered, and would answer the same again."""


_PASSING: Final = frozenset(
    {
        "40001",  # serialization failure
        "40P01",  # deadlock
        "55P03",  # lock timeout
        "57014",  # statement timeout
        "57P03",  # starting up or shutting down
        "53100",  # disk full
        "53200",  # out of memory
        "53300",  # too many connections
        "53400",  # a configured limit
        "25006",  # read-only: a standby that is about to take over, or was the primary until now
    }
)
_LOST: Final = frozenset({"57P01", "57P02", "57P04", "57P05", "08000", "08003", "08006", "25P03", "25P04"})
_NO_SCHEMA: Final = (errors.UndefinedTable, errors.InvalidSchemaName, errors.UndefinedColumn, errors.UndefinedFunction)


def fate(error: psycopg.Error, *, sent: bool) -> Fate:
    """Classify an error; ``sent`` tells whether the unit may have reached the server."""
    if not sent:
        return Fate.NOTHING_DONE
    if error.sqlstate in _PASSING:
        return Fate.NOTHING_DONE
    if error.sqlstate is None or error.sqlstate in _LOST:
        return Fate.UNKNOWN if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)) else Fate.FINAL
    return Fate.FINAL


def explain(error: psycopg.Error, url: str, verb: str, *, uncertain: bool = False) -> StoreError:
    """Make the error that users see of one that is not tried again."""
    first = str(error).strip().partition("\n")[0] or type(error).__name__
    if isinstance(error, _NO_SCHEMA):
        return SchemaOutdated(f"{url}: {first}; run: stoker migrate", store=url, verb=verb)
    if uncertain or fate(error, sent=True) is not Fate.FINAL:
        return StoreUnavailable(f"{url} did not answer {verb}: {first}", store=url, verb=verb, uncertain=uncertain)
    return StoreError(f"{url} refused {verb}: {first}", store=url, verb=verb)
