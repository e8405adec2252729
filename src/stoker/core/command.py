"""A store verb as a value: what to send, and how to read the answer. A driver runs it, sync or async.

Rules (contract §7): no step depends on a reply of an earlier one; all steps are one unit; ``read`` never raises for
one bad row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeAlias, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Value: TypeAlias = int | float | str | bytes | None
Row: TypeAlias = Sequence[Any]
Replies: TypeAlias = Sequence[Sequence[Row]]
"""For each step its rows; a step that returns nothing has none."""


class Retry(Enum):
    """What a driver may do when it does not know whether the store acted."""

    SAFE = "safe"
    """Idempotent as written: send again."""
    KEYED = "keyed"
    """Carries a call id or a token by which the store recognises the repeat: send again."""
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Sql:
    """One statement with ``:name`` placeholders; with ``many``, run once for each of a sequence of parameters."""

    text: str
    params: Mapping[str, Value] | Sequence[Mapping[str, Value]]
    many: bool = False
    replan: bool = False
    """It joins what it is given with a large table: to be planned for the sizes of the moment, each time."""


@dataclass(frozen=True, slots=True)
class Script:
    """One Lua script of the Redis store: always the only step, because two scripts are not one unit."""

    name: str
    source: str
    keys: tuple[str, ...]
    args: tuple[int | float | str | bytes, ...]


@dataclass(frozen=True, slots=True)
class Apply:
    """A step of the memory store: a function of its state, run under its lock."""

    change: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Inside:
    """A step of a store in this process's reach: a function of a cursor and of the instant, run within the unit."""

    call: Callable[[Any, int], Sequence[Row]]


@dataclass(frozen=True, slots=True)
class Command(Generic[T_co]):
    """One exchange with a store: ``steps`` run as one unit, ``read`` makes the answer of the replies."""

    name: str
    steps: tuple[Sql | Inside, ...] | tuple[Apply] | tuple[Script]
    read: Callable[[Any], T_co]
    retry: Retry = Retry.SAFE
    joins: bool = False
    """May run on a caller's connection, inside the caller's transaction."""
    writes: bool = True
    durable: bool = True
    """Whether a power cut may not undo it. It may undo a claim or a heartbeat: then the jobs are available again."""


@dataclass(frozen=True, slots=True)
class Rings(Command[T_co]):
    """Once it is committed, jobs of ``queues`` may have become available; None means of any queue."""

    queues: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Wakes(Rings[T_co]):
    """Once it is committed, jobs may have become available if ``wakes`` says so of the answer."""

    wakes: Callable[[Any], bool] = bool
