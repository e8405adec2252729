"""Commands of this store that have a consequence in the process that runs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from stoker.core.command import Command

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Sheds(Command[T_co]):
    """Once it is committed, the write-ahead log is worth a look."""
