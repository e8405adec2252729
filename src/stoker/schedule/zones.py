"""Time zones by name."""

from __future__ import annotations

from datetime import UTC, tzinfo
from difflib import get_close_matches
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from stoker.errors import ConfigurationError


@cache
def zone_of(name: str) -> tzinfo:
    """Give a zone of the IANA database; ConfigurationError names near ones, or what to install."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = available_timezones()
    if not known:
        raise ConfigurationError(f"tz: {name!r} cannot be looked up, because this machine has no zones: install tzdata")
    by_folded = {one.casefold(): one for one in known}
    near = get_close_matches(name.casefold(), by_folded, n=3)
    advice = f"did you mean {', '.join(by_folded[one] for one in near)}?" if near else "write e.g. Europe/Berlin"
    raise ConfigurationError(f"tz: {name!r} is no time zone; {advice}")
