"""Times in English words, as Loco's scheduler accepts them, made into cron.

A text is a row of phrases, in any order; words such as "run", "the", "of" and "and" between phrases say nothing:

- how often: ``every 5 minutes``, ``every second``, ``every other day``, ``hourly``, ``daily`` …
- at what time: ``at 10:30``, ``7pm``, ``at 9:00 am and 5:00 pm``, ``at noon``, ``midnight``
- on which days: ``on mondays``, ``every tuesday and friday``, ``monday to friday``, ``on weekdays``, ``on weekends``,
  ``on the 1st and 15th``, ``on the last day``
- in which months: ``in january and july``, ``from march to may``
- between which hours: ``between 9am and 5pm``
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from stoker.errors import ConfigurationError

_DAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS: Final = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_SHORT: Final = {"tues": "tue", "weds": "wed", "thur": "thu", "thurs": "thu", "sept": "sep"}
_UNITS: Final = {"second": 59, "minute": 59, "hour": 23, "day": 31, "month": 12, "week": 1, "year": 1}
"""What can be counted, and how far cron can count it."""
_ADVERBS: Final = {
    "secondly": "second",
    "minutely": "minute",
    "hourly": "hour",
    "daily": "day",
    "weekly": "week",
    "monthly": "month",
    "yearly": "year",
    "annually": "year",
}
_NUMBERS: Final = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_FILLERS: Final = frozenset(
    {"run", "fire", "execute", "the", "of", "and", "at", "on", "in", "each", "month", "a", "day"}
)
_WORDS: Final = re.compile(r"\d+(?::\d\d){0,2}(?:st|nd|rd|th|am|pm)?|[a-z]+|[-&]")
_TIME: Final = re.compile(r"(\d{1,2})(?::(\d\d))?(?::(\d\d))?(am|pm)?")
_ORDINAL: Final = re.compile(r"(\d{1,2})(?:st|nd|rd|th)")


@dataclass
class _Said:
    """What the phrases came to."""

    unit: str | None = None
    count: int = 1
    times: list[tuple[int, int, int]] = field(default_factory=list)
    weekdays: list[str] = field(default_factory=list)
    days: list[str] = field(default_factory=list)
    months: list[str] = field(default_factory=list)
    hours: str | None = None


def cron_of(text: str) -> str:
    """Give the cron for a text; ConfigurationError names the word that is not understood."""
    return _cron(_Reader(text).read(), text)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        folded = re.sub(r"\b([ap])\.\s?m\b\.?", r"\1m", text.lower())
        folded = re.sub(r"(\d)\s+([ap]m)\b", r"\1\2", folded)
        self._words = _WORDS.findall(folded)
        rest = _WORDS.sub("", folded).strip(" \t\n,.")
        if not self._words or rest.replace(",", "").replace(" ", ""):
            raise self._puzzled(rest or text)
        self._at = 0
        self._said = _Said()

    def read(self) -> _Said:
        while self._at < len(self._words):
            self._phrase(self._take())
        return self._said

    def _phrase(self, word: str) -> None:
        said = self._said
        if word in ("every", "each") and self._peek() is not None:
            self._often()
        elif word in _ADVERBS:
            said.unit = _ADVERBS[word]
        elif word == "between" or (word == "from" and self._is_time(self._peek())):
            first, _, last = self._clock(self._take())[0], self._expect("and", "to", "until", "-"), self._take()
            said.hours = f"{first}-{self._clock(last)[0]}"
        elif word == "last":
            self._expect("day")
            said.days.append("L")
        elif found := _ORDINAL.fullmatch(word):
            said.days.append(str(self._within(int(found[1]), 1, 31, word)))
        elif self._is_time(word):
            said.times.append(self._clock(word))
        elif not (self._weekday(word) or self._month(word) or word in _FILLERS or word in ("from", "&")):
            raise self._puzzled(word)

    def _often(self) -> None:
        word = self._take()
        if word in ("other", "second") and self._unit(self._peek()) not in (None, "second"):
            count, word = 2, self._take()
        elif word.isdigit() or word in _NUMBERS:
            count, word = int(word) if word.isdigit() else _NUMBERS.index(word) + 1, self._take()
        else:
            count = 1
        unit = self._unit(word)
        if unit is not None:
            self._said.unit, self._said.count = unit, count
        elif count != 1:
            raise self._puzzled(word)
        else:
            self._phrase(word)

    def _weekday(self, word: str) -> bool:
        if word.rstrip("s") in ("weekday", "weekend"):
            self._said.weekdays.append("1-5" if word.startswith("weekday") else "0,6")
            return True
        return self._named(word, _DAYS, 0, self._said.weekdays)

    def _month(self, word: str) -> bool:
        return self._named(word, _MONTHS, 1, self._said.months)

    def _named(self, word: str, names: tuple[str, ...], first: int, into: list[str]) -> bool:
        number = _number_of(word, names)
        if number is None:
            return False
        last = None
        if self._peek() in ("to", "through", "thru", "until", "-"):
            self._take()
            last = _number_of(until := self._take(), names)
            if last is None:
                raise self._puzzled(until)
        size = len(names)
        stretch = [number] if last is None else [(number + n) % size for n in range((last - number) % size + 1)]
        into.append(",".join(str(one + first) for one in stretch))
        return True

    def _unit(self, word: str | None) -> str | None:
        return None if word is None else next((unit for unit in _UNITS if word in (unit, f"{unit}s")), None)

    def _is_time(self, word: str | None) -> bool:
        return word in ("noon", "midnight") or bool(word and _TIME.fullmatch(word))

    def _clock(self, word: str) -> tuple[int, int, int]:
        if word in ("noon", "midnight"):
            return (12 if word == "noon" else 0), 0, 0
        found = _TIME.fullmatch(word)
        if found is None:
            raise self._puzzled(word)
        hour, minute, second = (int(part or 0) for part in found.groups()[:3])
        if found[4]:
            hour = self._within(hour, 1, 12, word) % 12 + (12 if found[4] == "pm" else 0)
        return (
            self._within(hour, 0, 23, word),
            self._within(minute, 0, 59, word),
            self._within(second, 0, 59, word),
        )

    def _within(self, number: int, least: int, most: int, word: str) -> int:
        if not least <= number <= most:
            raise self._puzzled(word)
        return number

    def _peek(self) -> str | None:
        return self._words[self._at] if self._at < len(self._words) else None

    def _take(self) -> str:
        word = self._peek()
        if word is None:
            raise ConfigurationError(f"{self._text!r} ends too early; {_ADVICE}")
        self._at += 1
        return word

    def _expect(self, *words: str) -> str:
        if (word := self._take()) not in words:
            raise self._puzzled(word)
        return word

    def _puzzled(self, word: str) -> ConfigurationError:
        return ConfigurationError(f"{word!r} in {self._text!r} is not understood; {_ADVICE}")


_ADVICE: Final = 'write cron, e.g. "30 10 * * MON", or words such as "every 5 minutes" or "at 10:30 on mondays"'


def _number_of(word: str, names: tuple[str, ...]) -> int | None:
    plain = word.removesuffix("s") if word.endswith("days") else word
    plain = _SHORT.get(plain, plain)
    for number, name in enumerate(names):
        if plain in (name, name[:3]):
            return number
    return None


def _cron(said: _Said, text: str) -> str:
    weekdays, days = ",".join(said.weekdays) or "*", ",".join(said.days) or "*"
    months = ",".join(said.months) or "*"
    count, unit = said.count, said.unit
    if unit is not None and not 1 <= count <= _UNITS[unit]:
        raise ConfigurationError(
            f'{text!r}: cron cannot count {count} {unit}s; write every= with a duration, e.g. every="90m"'
        )
    if unit in ("second", "minute", "hour"):
        return _frequent(said, f"{days} {months} {weekdays}", text)
    if said.hours is not None:
        raise ConfigurationError(f"{text!r}: between hours, say how often: every minute, every 2 hours")
    step = "*" if count == 1 else f"*/{count}"
    if unit == "day" and days == "*":
        days = step
    elif unit == "week" and weekdays == "*":
        weekdays = "0"
    elif unit in ("month", "year"):
        days = "1" if days == weekdays == "*" else days
        months = ("1" if unit == "year" else step) if months == "*" else months
    elif said.months and days == weekdays == "*" and unit is None:
        days = "1" if not said.times else days
    if unit is None and not (said.times or said.weekdays or said.days or said.months):
        raise ConfigurationError(f"{text!r} does not say when; {_ADVICE}")
    return _timed(said.times or [(0, 0, 0)], f"{days} {months} {weekdays}", text)


def _frequent(said: _Said, rest: str, text: str) -> str:
    if said.times:
        raise ConfigurationError(f"{text!r}: a time of day, and every {said.unit}: say one of them")
    step = "*" if said.count == 1 else f"*/{said.count}"
    hours = said.hours or "*"
    match said.unit:
        case "second":
            return f"{step} * {hours} {rest}"
        case "minute":
            return f"{step} {hours} {rest}"
        case _:
            return f"0 {hours if said.count == 1 else f'{hours}/{said.count}'} {rest}"


def _timed(times: list[tuple[int, int, int]], rest: str, text: str) -> str:
    minutes, seconds = {minute for _, minute, _ in times}, {second for _, _, second in times}
    if len(minutes) > 1 or len(seconds) > 1:
        raise ConfigurationError(f"{text!r}: these times are not of the same minute; make an entry for each")
    hours = ",".join(str(hour) for hour in sorted({hour for hour, _, _ in times}))
    timed = f"{minutes.pop()} {hours} {rest}"
    return timed if seconds == {0} else f"{seconds.pop()} {timed}"
