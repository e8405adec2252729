"""Commands of this store: those that need queues to be there, and those that take several exchanges."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from stoker.core.command import Command, Rings

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Course: TypeAlias = Generator[Command[Any], Any, T]


@dataclass(frozen=True, slots=True)
class OnQueues(Command[T_co]):
    """Asks queues of pgmq that are made if they are not there."""

    tables: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class IntoQueues(Rings[T_co]):
    """Puts messages into queues of pgmq that are made if they are not there."""

    tables: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Walk(Command[T_co]):
    """Several commands, each a unit of its own: which queues it is about has to be read first.

    ``course`` gives them one by one, is sent the answer of each, and returns the answer of all.
    """

    course: Callable[[], Generator[Command[Any], Any, T_co]] | None = None


def walk(verb: str, course: Callable[[], Course[T]], *, writes: bool = True) -> Walk[T]:
    """Give a command of several."""
    return Walk(verb, (), lambda answer: answer, writes=writes, course=course)
