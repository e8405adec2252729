"""Commands of this store: scripts, with their keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias, TypeVar

from stoker.core.clock import Clock
from stoker.core.command import Command, Retry, Script
from stoker.core.duration import SECOND
from stoker.stores.sidekiq.scripts import source
from stoker.stores.walks import Course, Walk

T = TypeVar("T")
Arg: TypeAlias = int | str | bytes

_NAMES: Final = {
    **{name: name for name in ("queues", "schedule", "retry", "dead", "processes", "process_cleanup")},
    "processed": "stat:processed",
    "failed": "stat:failed",
    **{name: f"stoker:{name}" for name in ("leases", "holders", "busy", "crashes", "leaders", "routes")},
}
"""Every fixed key, without the namespace. Those of Sidekiq's, then ours."""


class Scripts:
    """Makes the commands of one store."""

    def __init__(self, namespace: str, clock: Clock) -> None:
        self._namespace = namespace
        self._clock = clock

    def key(self, name: str) -> str:
        """Give a key with its namespace."""
        return self._namespace + name

    def queue(self, name: str) -> str:
        """Give the list of a queue."""
        return f"{self._namespace}queue:{name}"

    def claim_keys(self, token: str) -> list[str]:
        """Give the keys of one claim: what it holds, and that it is over."""
        return [f"{self._namespace}stoker:held:{token}", f"{self._namespace}stoker:ended:{token}"]

    def script(self, name: str, args: Sequence[Arg], more: Sequence[str] = ()) -> Script:
        """Give a script with its arguments, and the keys that follow its fixed ones."""
        text, keys = source(name)
        return Script(name, text, (*map(self._fixed, keys), *more), tuple(args))

    def command(
        self,
        verb: str,
        args: Sequence[Arg],
        read: Callable[[Any], T],
        retry: Retry = Retry.SAFE,
        *,
        more: Sequence[str] = (),
        script: str = "",
    ) -> Command[T]:
        """Give the command of a verb whose script has its name unless told otherwise."""
        return Command(verb, (self.script(script or verb, args, more),), read, retry)

    def walk(self, verb: str, course: Callable[[], Course[T]], retry: Retry = Retry.SAFE) -> Walk[T]:
        """Give a command that takes several scripts."""
        return Walk(verb, (), lambda answer: answer, retry, course=course)

    def _fixed(self, name: str) -> str:
        if name.endswith("_today"):
            # Ruby takes the day from its own clock, too.
            today = datetime.fromtimestamp(self._clock.now() / SECOND, UTC).date()
            return f"{self._namespace}stat:{name.removesuffix('_today')}:{today}"
        return self._namespace + _NAMES[name]
