"""Cron: five fields, or six with the seconds first; each local time fires as Debian's cron does it.

What names hour and minute, or comes more rarely than hourly, is about the clock on the wall: where that is set forward
over it, it fires right after the gap; where it is set back, it fires once. What comes every so many minutes or hours is
about time that passes: it fires through both hours of the same name, and never in an hour that does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from cronsim import CronSim, CronSimError

from stoker.core.duration import SECOND, as_datetime, instant_micros
from stoker.errors import ConfigurationError
from stoker.schedule.zones import zone_of

ALIASES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
    "@minutely": "* * * * *",
}
_NAMES: Final = "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC|SUN|MON|TUE|WED|THU|FRI|SAT"
_FIELD: Final = re.compile(rf"(?:[\d*/,#?-]|{_NAMES}|LW|L)+", re.ASCII | re.IGNORECASE)
_DAY: Final = 86_400 * SECOND
_WINDOWS: Final = (2 * 60 * SECOND, 3600 * SECOND, _DAY, 31 * _DAY, 366 * _DAY, 9 * 366 * _DAY, 60 * 366 * _DAY)
"""How far to look back for the latest: few firings in the first that has one."""
_SOON: Final = datetime(2026, 1, 1, tzinfo=UTC)


def looks_like_cron(text: str) -> bool:
    """Tell cron from words."""
    fields = text.split()
    return len(fields) in (5, 6, 7) and all(map(_FIELD.fullmatch, fields))


def odd_field(text: str) -> str | None:
    """Give the field for which a text is no cron although it has a star, which words never have."""
    fields = text.split()
    if "*" not in fields or len(fields) not in (5, 6, 7):
        return None
    return next((field for field in fields if not _FIELD.fullmatch(field)), None)


def normal(text: str) -> str:
    """Give cron of five or six fields for cron as people write it; ConfigurationError says what is wrong.

    As Quartz and Loco write them, ``?`` is a star, and a seventh field for the year may stand there if it is a star.
    """
    fields = ALIASES.get(text.lower(), text).replace("?", "*").upper().split()
    if len(fields) == 7 and fields.pop() != "*":
        raise ConfigurationError(f"cron {text!r}: a year cannot be chosen; use start= and end=")
    plain = " ".join(fields)
    try:
        next(CronSim(plain, _SOON))
    except CronSimError as error:
        said = str(error)
        raise ConfigurationError(f"cron {text!r}: {said[:1].lower()}{said[1:]}") from None
    except StopIteration:
        raise ConfigurationError(f"cron {text!r}: there is no such day, it would never fire") from None
    return plain


class Cron:
    """The firings of a cron text, already `normal`, in a time zone."""

    def __init__(self, text: str, tz: str) -> None:
        self._text = text
        self._zone = zone_of(tz)
        minute, hour = text.split()[-5:-3]
        self._by_the_wall = not (minute.startswith("*") or hour.startswith("*")) and self._zone is not UTC

    def after(self, instant: int) -> Iterator[int]:
        """Give the firings after an instant, in order, each once."""
        latest = instant
        for firing in self._firings(as_datetime(instant)):
            at = instant_micros(firing)
            if at > latest:
                latest = at
                yield at

    def latest(self, since: int, until: int) -> int | None:
        """Give the latest firing after ``since`` that is not after ``until``."""
        for window in _WINDOWS:
            begin = max(since, until - window)
            found = None
            for at in self.after(begin):
                if at > until:
                    break
                found = at
            if found is not None or begin == since:
                return found
        return None

    def _firings(self, after: datetime) -> Iterator[datetime]:
        local = after.astimezone(self._zone)
        if not self._by_the_wall:
            yield from CronSim(self._text, local)
            return
        # A day earlier, because what the clock skipped fires after the gap, and what it repeats before.
        wall = local.replace(tzinfo=None, fold=0) - timedelta(days=1)
        for firing in CronSim(self._text, wall):
            yield _on_the_wall(firing, self._zone)


def _on_the_wall(local: datetime, zone: tzinfo) -> datetime:
    """Give the instant at which a clock on the wall shows a time: the first one, or that after the gap."""
    at = local.replace(tzinfo=zone)
    if at.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == local:
        return at
    local = local.replace(second=0)
    while at.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local:
        local += timedelta(minutes=1)
        at = local.replace(tzinfo=zone)
    return at
