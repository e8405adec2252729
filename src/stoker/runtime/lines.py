"""Log lines of attempts: those that a handler logs, from whatever thread, are gathered for its job to keep.

A record factory hears of them and not a handler: a root logger that has one looks configured to `logging`, which would
keep its own output of last resort to itself, and `basicConfig` from doing anything.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from stoker.core.capability import Capability
from stoker.core.job import Claim
from stoker.errors import ConfigurationError
from stoker.jobs.defined import DefinedJob
from stoker.runtime.logbook import Logbook
from stoker.runtime.notes import Notes
from stoker.stores.base import Store

T = TypeVar("T")
OURS: Final = "stoker"
"""The logger of what stoker says itself; what it says of a job is known from the job's record."""
_formatter: Final = logging.Formatter()


class Keeping:
    """Keeps what attempts log, of the jobs that ask for it."""

    def __init__(self, most: Mapping[str, int], notes: Notes) -> None:
        self._most = most
        self._notes = notes
        _listen()

    def of(self, name: str) -> Keeping | None:
        """Give this, None for a job that does not ask for it."""
        return self if name in self._most else None

    async def around(self, claim: Claim, hidden: tuple[str, ...], attempt: Awaitable[T]) -> T:
        """Wait for an attempt of a job that asks for it, and keep what it logs without what is to be hidden."""
        logbook = Logbook(claim, self._most[claim.name], hidden, self._notes.logged)
        token = keeping.set(logbook)
        try:
            return await attempt
        finally:
            keeping.reset(token)
            logbook.close()


keeping: Final[ContextVar[Logbook | None]] = ContextVar("stoker_keeping", default=None)


def keeping_for(definitions: Mapping[str, DefinedJob[Any]], store: Store | None, notes: Notes | None) -> Keeping | None:
    """Give what keeps the lines of these jobs, None where no job asks; ConfigurationError names one that cannot be."""
    most = {name: job.rules.keep_logs for name, job in definitions.items() if job.rules.keep_logs}
    if not most or store is None or notes is None:
        return None
    if not store.supports(Capability.NOTE):
        raise ConfigurationError(
            f"{min(most)}: keep_logs= needs a store that keeps notes, and {store.url} lacks NOTE; "
            "give the job another store, or leave keep_logs= out"
        )
    return Keeping(most, notes)


def heard(record: logging.LogRecord) -> None:
    """Take a record for the attempt in whose context this is called, if it keeps its lines."""
    logbook = keeping.get()
    if logbook is None or record.name == OURS:
        return
    try:
        text = record.getMessage()
        if record.exc_info and record.exc_info[0] is not None:
            text = f"{text}\n{_formatter.formatException(record.exc_info)}"
        elif record.exc_text:
            text = f"{text}\n{record.exc_text}"
    except Exception as error:  # as logging itself has it: a line that cannot be written fails nobody's work
        text = f"{record.msg!r} with {record.args!r}: {error!r}"
    # What logs in the midst of this, a finalizer or what handles a signal, must not wait for the lock that this holds.
    token = keeping.set(None)
    try:
        logbook.add(record.levelno, record.name, text, record.created)
    finally:
        keeping.reset(token)


class _Factory:
    """Makes log records as they were made before, and hears of each."""

    def __init__(self, before: Callable[..., logging.LogRecord]) -> None:
        self._before = before

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        if keeping.get() is None:
            return self._before(*args, **kwargs)
        # One of these may be among those before, where somebody put their own between: the outermost one hears.
        token = keeping.set(None)
        try:
            record = self._before(*args, **kwargs)
        finally:
            keeping.reset(token)
        heard(record)
        return record


def _listen() -> None:
    factory = logging.getLogRecordFactory()
    if not isinstance(factory, _Factory):
        logging.setLogRecordFactory(_Factory(factory))
