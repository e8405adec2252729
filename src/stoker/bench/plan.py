"""What a bench is asked to measure."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

import msgspec

from stoker.core.duration import keep_micros
from stoker.errors import ConfigurationError

Measure: TypeAlias = Literal["bare", "enqueue", "enqueue_many", "drain", "latency", "pair", "idle", "memory"]
MEASURES: Final[tuple[Measure, ...]] = get_args(Measure)
"""In the order in which they are taken: what others are held against comes first."""

DEFAULT_JOBS: Final = 10_000
DEFAULT_KEEP: Final = "default"
USUAL_CONCURRENCY: Final = 10
"""Slots of a worker wherever concurrency is not what varies."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure, and how large; the defaults take under two minutes."""

    n: int = DEFAULT_JOBS
    """Jobs of each enqueue and drain."""
    concurrency: tuple[int, ...] = (1, 2, 5, 10, 100, 1000)
    processes: tuple[int, ...] = (1, 2, 4)
    payload: int = 0
    """Bytes of text that each job carries beside its integer."""
    keep: str | int = 0
    """How long finished jobs are kept: a duration, seconds, ``"forever"``, ``"default"`` (the settings'), or 0."""
    only: tuple[Measure, ...] = MEASURES
    backlog: int = 0
    """Jobs that stand in the queue beside those that a drain works off."""
    pin_snapshot: bool = False
    """Whether another connection holds an old snapshot open meanwhile."""

    def __post_init__(self) -> None:
        """Refuse what cannot be measured: ConfigurationError."""
        for name, values, least in (
            ("n", (self.n,), 1),
            ("concurrency", self.concurrency, 1),
            ("processes", self.processes, 1),
            ("payload", (self.payload,), 0),
            ("backlog", (self.backlog,), 0),
        ):
            if any(value < least for value in values):
                raise ConfigurationError(f"{name}: {', '.join(map(str, values))}: write numbers from {least}")
        if self.keep != DEFAULT_KEEP:
            keep_micros(self.keep, "keep")

    @property
    def keeps_nothing(self) -> bool:
        """Tell whether finished jobs are deleted at once."""
        return self.keep != DEFAULT_KEEP and keep_micros(self.keep, "keep") == 0


def numbers(text: str, what: str) -> tuple[int, ...]:
    """Read ``"1,2,5"``, each number once; ConfigurationError names ``what`` when it is not that."""
    words = _words(text)
    if not words or not all(word.isascii() and word.isdigit() for word in words):
        raise ConfigurationError(f"{what}: {text!r}: write numbers with commas between them, e.g. 1,10,100")
    return tuple(int(word) for word in words)


def measures(text: str) -> tuple[Measure, ...]:
    """Read ``"drain,idle"``, in the order in which they are measured; ConfigurationError names those there are."""
    words = _words(text)
    if not words or not set(words) <= set(MEASURES):
        raise ConfigurationError(f"only: {text!r}: there are {', '.join(MEASURES)}")
    return tuple(measure for measure in MEASURES if measure in words)


def _words(text: str) -> list[str]:
    return list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
