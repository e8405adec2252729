"""What a process that performs for a worker says of an attempt: how it ended, and its log records."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from stoker.core.decide import name_of, text_of, trace_of
from stoker.core.hiding import blanked
from stoker.jobs.signals import Cancel, Discard, Retry, Signal, Snooze
from stoker.runtime.channel import MAIN, FromChild, Logged, Raised, Signalled
from stoker.runtime.memory import resident

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class ToWorker(logging.Handler):
    """Sends log records to the worker, which writes them as its own."""

    def __init__(self, send: Callable[[FromChild], None]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""
        fields = {key: _plain(value) for key, value in vars(record).items() if key not in _STANDARD}
        trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else None
        message = record.getMessage().encode("utf-8", "backslashreplace").decode()
        self._send(Logged(record.name, record.levelno, message, record.created, fields, trace))


def _plain(value: object) -> object:
    try:
        return msgspec.to_builtins(value, enc_hook=str)
    except Exception:
        return repr(value)


def signalled(error: Signal) -> Signalled:
    """Report a signal."""
    match error:
        case Retry():
            return Signalled("Retry", error.reason, error.delay, resident())
        case Snooze():
            return Signalled("Snooze", "", error.delay, resident())
        case Cancel():
            return Signalled("Cancel", error.reason, None, resident())
        case Discard():
            return Signalled("Discard", error.reason, None, resident())
        case _:
            return Signalled("Discard", f"an unknown signal: {error!r}", None, resident())


def raised(error: BaseException, hidden: tuple[str, ...] = ()) -> Raised:
    """Report an error, without what is hidden."""
    kinds = tuple(name_of(kind).replace(MAIN, "__main__") for kind in type(error).__mro__[:-1])
    return Raised(kinds, text_of(error, hidden), blanked(trace_of(error).replace(MAIN, "__main__"), hidden), resident())
