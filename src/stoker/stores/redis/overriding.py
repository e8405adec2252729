"""What operators say of job names at run time, and who said it when: JSON that no script reads."""

from __future__ import annotations

import msgspec

from stoker.core.override import Overriding
from stoker.stores.codes import text as printable
from stoker.stores.redis.commands import Arg
from stoker.stores.redis.wire import encode


def args(name: str, text: str | None, by: str) -> list[Arg]:
    """Give what `override.lua` takes: the override itself, and how it is remembered who said it."""
    return [name, "" if text is None else text, encode((name, text, printable(by)))]


def read(reply: list[bytes]) -> list[Overriding]:
    """Read overrides, or their history: the instant, and what was said."""
    found: list[Overriding] = []
    for line in reply:
        at, _, said = line.partition(b" ")
        name, text, by = msgspec.json.decode(said)
        found.append(Overriding(name, text, by, int(at)))
    return found
