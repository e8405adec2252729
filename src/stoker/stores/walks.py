"""Commands of several scripts, each a unit of its own."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from stoker.core.command import Command, Script

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Course: TypeAlias = Generator[Script, Any, T]


@dataclass(frozen=True, slots=True)
class Walk(Command[T_co]):
    """A command of several scripts: what is asked of many jobs may not stop the server, or has to be read first.

    ``course`` gives the scripts one by one, is sent the reply of each, and returns the answer.
    """

    course: Callable[[], Generator[Script, Any, T_co]] | None = None
