"""Commands made of scripts, with their keys."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeAlias, TypeVar

from stoker.core.clock import Clock
from stoker.core.command import Command, Retry, Script
from stoker.stores.lua import Source
from stoker.stores.walks import Course, Walk

T = TypeVar("T")
Arg: TypeAlias = int | str | bytes


class HoldingScripts(ABC):
    """Makes the commands of one store, whose keys begin with a namespace."""

    names: ClassVar[dict[str, str]]
    """Every fixed key, without the namespace, by the name that scripts have for it."""

    def __init__(self, namespace: str, clock: Clock) -> None:
        self._namespace = namespace
        self._clock = clock

    @abstractmethod
    def source(self, name: str) -> Source:
        """Give a script by its name."""

    def key(self, name: str) -> str:
        """Give a key with its namespace."""
        return self._namespace + name

    def claim_keys(self, token: str) -> list[str]:
        """Give the keys of one claim: what it holds, and that it is over."""
        return [f"{self._namespace}stoker:held:{token}", f"{self._namespace}stoker:ended:{token}"]

    def script(self, name: str, args: Sequence[Arg], more: Sequence[str] = ()) -> Script:
        """Give a script with its arguments, and the keys that follow its fixed ones."""
        text, keys = self.source(name)
        return Script(name, text, (*map(self.fixed, keys), *more), tuple(args))

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

    def fixed(self, name: str) -> str:
        """Give a fixed key by the name that scripts have for it."""
        return self._namespace + self.names[name]
