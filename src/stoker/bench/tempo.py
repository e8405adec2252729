"""Whether a drain keeps its pace: the rate of each fifth."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from stoker.bench.figures import rate

STRIDE: Final = 100
"""Endings between two moments that a worker takes down."""
LEAST: Final = 100_000
"""Jobs from which on fifths are told unasked: endings come in batches, so fifths of less say little."""
PARTS: Final = 5


def fifths(n: int, ended: float, ticks: Sequence[Sequence[float]]) -> tuple[float, ...] | None:
    """Give the jobs per second of each fifth of n, of the moments that each worker took down; None for too few.

    The first begins with the first of those moments: to start a worker takes time, and would flatter the last.
    """
    merged = sorted(at for taken in ticks for at in taken)
    if n < PARTS * STRIDE or len(merged) < PARTS:
        return None
    ends = [merged[min(len(merged), n * part // (PARTS * STRIDE)) - 1] for part in range(1, PARTS)]
    jobs = [n // PARTS - STRIDE, *[n // PARTS] * (PARTS - 1)]
    borders = pairwise([merged[0], *ends, ended])
    return tuple(rate(count, after - before) for count, (before, after) in zip(jobs, borders, strict=True))


def last_to_first(rates: Sequence[float] | None) -> float | None:
    """Give the last rate as a part of the first."""
    return round(rates[-1] / rates[0], 2) if rates and rates[0] else None
