"""Times as operators write them: an instant as RFC 3339, or an age like ``2h``."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import Final

import click

from stoker.core.duration import instant_micros, micros, seconds
from stoker.errors import ConfigurationError

_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)")


def read_moment(text: str) -> int:
    """Read an RFC 3339 time, or how long ago something was, as an instant in microseconds; click.BadParameter."""
    try:
        return time.time_ns() // 1000 - micros(text)
    except ConfigurationError:
        pass
    if (at := _time(text)) is None:
        raise click.BadParameter(f"{text!r} is neither an age like 2h nor a time like 2027-01-31T12:00:00Z")
    return instant_micros(at)


def read_time(text: str) -> datetime:
    """Read an RFC 3339 time; click.BadParameter for one without a zone."""
    if (at := _time(text)) is None:
        raise click.BadParameter(f"{text!r} is no time with a zone; write 2027-01-31T12:00:00Z")
    return at


def read_seconds(text: str) -> float:
    """Read a duration such as ``25s``, or a number of seconds; click.BadParameter."""
    try:
        return seconds(float(text) if text.replace(".", "", 1).isdecimal() else text, "duration")
    except ConfigurationError as error:
        raise click.BadParameter(str(error)) from error


def _time(text: str) -> datetime | None:
    if not _RFC3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:
        return None
