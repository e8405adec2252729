"""Commands of this store: one script each, or a walk over many jobs in bounded steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from stoker.core.command import Command, Retry, Script
from stoker.stores.redis.scripts import source
from stoker.stores.walks import Course, Walk

T = TypeVar("T")
Arg: TypeAlias = int | str | bytes

KEYS: Final = (
    *(
        "meta",
        "jobs",
        "packs",
        "bodies",
        "args",
        "ready",
        "due",
        "done",
        "leases",
        "held",
        "left",
        "cancels",
        "results",
        "errors",
        "notes",
    ),
    *(
        "counts",
        "blocks",
        "slots",
        "windows",
        "calls0",
        "calls1",
        "calls2",
        "arrivals",
        "expiring",
        "paused",
        "workers",
        "leaders",
    ),
    *("batches", "ledger"),
    "entries",
    *("gates", "waiting", "places", "unheard", "spent", "stirred", "parked", "lines"),
    *("buckets", "filled", "alarms", "rules"),
    *("overrides", "override_texts", "override_notes"),
)
"""Every key of a store, without its prefix."""


class Scripts:
    """Makes the commands of one store: its scripts, with its keys."""

    def __init__(self, prefix: str) -> None:
        self._keys = {name: f"{{{prefix}}}:{name}" for name in KEYS}
        self.channel = f"{{{prefix}}}:wake:"
        """What the names of the channels begin with on which queues are rung."""

    def script(self, name: str, *args: Arg) -> Script:
        """Give a script with its arguments; the driver puts the time before them."""
        text, keys = source(name)
        return Script(name, text, tuple([self._keys[key] for key in keys]), tuple(args))

    def command(
        self, verb: str, args: Sequence[Arg], read: Callable[[Any], T], retry: Retry = Retry.SAFE, *, script: str = ""
    ) -> Command[T]:
        """Give the command of a verb whose script has its name unless told otherwise."""
        return Command(verb, (self.script(script or verb, *args),), read, retry)

    def walk(self, verb: str, course: Callable[[], Course[T]]) -> Walk[T]:
        """Give a command that takes several scripts."""
        return Walk(verb, (), lambda answer: answer, course=course)
