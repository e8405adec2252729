"""When an entry is due: a cron or an interval, between two bounds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final, Protocol

import msgspec

from stoker.core.duration import SECOND, Duration, instant_micros, micros
from stoker.errors import ConfigurationError
from stoker.schedule.cron import ALIASES, Cron, looks_like_cron, normal, odd_field
from stoker.schedule.english import cron_of
from stoker.schedule.zones import zone_of

SHORTEST: Final = SECOND


class Firings(Protocol):
    """A source of instants."""

    def after(self, instant: int) -> Iterator[int]:
        """Give the firings after an instant, in order."""

    def latest(self, since: int, until: int) -> int | None:
        """Give the latest firing after ``since`` that is not after ``until``."""


class Every:
    """Every so often from an anchor on, which is itself one of the firings: nothing drifts."""

    def __init__(self, period: int, anchor: int) -> None:
        self._period = period
        self._anchor = anchor

    def after(self, instant: int) -> Iterator[int]:
        """Give the firings after an instant, in order."""
        at = self._anchor + ((instant - self._anchor) // self._period + 1) * self._period
        while True:
            yield at
            at += self._period

    def latest(self, since: int, until: int) -> int | None:
        """Give the latest firing after ``since`` that is not after ``until``."""
        at = self._anchor + (until - self._anchor) // self._period * self._period
        return at if at > since else None


class Rhythm(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an entry says of time; instants and durations in microseconds."""

    cron: str | None = None
    """Five or six fields."""
    every: int | None = None
    tz: str = "UTC"
    start: int | None = None
    """Nothing is due before; with ``every`` the first firing."""
    end: int | None = None
    """Nothing is due after."""

    def check(self) -> None:
        """Refuse what somebody else wrote and nobody could follow; ConfigurationError."""
        zone_of(self.tz)
        if self.cron is not None:
            normal(self.cron)
        elif self.every is None or self.every < SHORTEST:
            raise ConfigurationError(f"every: {self.every} µs is too short; the shortest is 1s")

    def after(self, instant: int, anchor: int) -> Iterator[int]:
        """Give what is due after an instant, in order; ``anchor`` is when the entry was registered first."""
        for at in self._firings(anchor).after(self._not_before(instant)):
            if self.end is not None and at > self.end:
                return
            yield at

    def latest(self, since: int, until: int, anchor: int) -> int | None:
        """Give the latest instant after ``since`` and not after ``until`` at which it was due."""
        until = until if self.end is None else min(until, self.end)
        since = self._not_before(since)
        return self._firings(anchor).latest(since, until) if since < until else None

    def _not_before(self, instant: int) -> int:
        return instant if self.start is None else max(instant, self.start - 1)

    def _firings(self, anchor: int) -> Firings:
        if self.cron is not None:
            return Cron(self.cron, self.tz)
        return Every(self.every or SHORTEST, anchor if self.start is None else self.start)


def rhythm_of(
    when: str | None,
    every: Duration | None,
    tz: str = "UTC",
    start: datetime | None = None,
    end: datetime | None = None,
) -> Rhythm:
    """Make the rhythm of what was written: cron, an alias, English words, or a duration; ConfigurationError."""
    if (when is None) is (every is None):
        raise ConfigurationError('say when, either as text ("0 3 * * *", "at 10:30 on mondays") or as every="5m"')
    first = None if start is None else instant_micros(start, "start")
    last = None if end is None else instant_micros(end, "end")
    if first is not None and last is not None and last < first:
        raise ConfigurationError(f"end: {end} is before start: {start}")
    if not isinstance(tz, str):
        raise ConfigurationError(f'tz: {tz!r} is no text; write the zone\'s name, e.g. tz="Europe/Berlin"')
    if not isinstance(when, str | None):
        raise ConfigurationError(f'{when!r} is no text; write cron or words, or every="5m"')
    zone_of(tz)
    text = "" if when is None else when.strip()
    if text.lower().startswith("@every "):
        every = text[len("@every ") :]
    if every is not None:
        period = micros(every, "every")
        if period < SHORTEST:
            raise ConfigurationError(f"every: {every!r} is too short; the shortest is 1s")
        return Rhythm(every=period, start=first, end=last)
    return Rhythm(cron=_cron(text), tz=tz, start=first, end=last)


def _cron(text: str) -> str:
    if text.startswith("@") and text.lower() not in ALIASES:
        raise ConfigurationError(f"{text!r} is no alias; there are {', '.join(ALIASES)}, @every DURATION")
    if text.startswith("@") or looks_like_cron(text):
        return normal(text)
    if (odd := odd_field(text)) is not None:
        raise ConfigurationError(f"cron {text!r}: {odd!r} is not understood; it takes numbers, names, * / , - L and #")
    if text[:1] in "*/" or not any(map(str.isalpha, text)):
        raise ConfigurationError(f"cron {text!r}: it must have five fields, or six with the seconds first")
    return normal(cron_of(text))
