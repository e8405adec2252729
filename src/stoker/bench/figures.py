"""What was measured: one figure for each line of the table, and the arithmetic of percentiles."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from stoker.bench.plan import Measure


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement; None where a field has no meaning for it."""

    measure: Measure
    concurrency: int | None = None
    processes: int | None = None
    """Processes that took part: workers in a drain; 1 or 2 for latency within one process or across two."""
    n: int = 0
    rate: float | None = None
    """Jobs per second."""
    of_bare: float | None = None
    """The rate, as a part of that of the database's bare statements in the same run."""
    fifths: tuple[float, ...] | None = None
    """Jobs per second of each fifth of a long drain."""
    last_to_first: float | None = None
    """The rate of the last fifth, as a part of that of the first."""
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    cpu_percent: float | None = None
    """CPU time of the workers, of one core."""
    server_cpu_percent: float | None = None
    """CPU time of the store's server, of one core; None where it is another machine's or there is none."""
    rss_mb: float | None = None
    """Resident memory of the largest worker at its end, in megabytes of 10⁶ bytes."""
    verified: bool = True
    """Whether every job ran exactly once and the store was left as it must be."""
    note: str = ""
    """What is special about this line."""
    faults: tuple[str, ...] = ()
    """What was found missing, doubled or left over."""


class Skipped(msgspec.Struct, frozen=True, kw_only=True):
    """A measurement that this store does not allow, and why."""

    measure: Measure
    note: str
    reason: str


FIELDS: Final = tuple(name for name in Figure.__struct_fields__ if name not in ("note", "faults"))
"""The fields of a result in JSON, in order."""


def as_json(conditions: Mapping[str, object], figures: Sequence[Figure], skipped: Sequence[Skipped]) -> dict[str, Any]:
    """Give a whole bench in the shape of ``--json``.

    All results have the same fields; what is special about one stands among the conditions, under its index.
    """
    notes = [{"result": at, "note": figure.note} for at, figure in enumerate(figures) if figure.note]
    return {
        "conditions": {**conditions, "notes": notes, "skipped": msgspec.to_builtins(list(skipped))},
        "results": [{name: getattr(figure, name) for name in FIELDS} for figure in figures],
    }


def percentile(values: Sequence[float], part: float) -> float:
    """Give the smallest value that at least ``part`` (0 to 1) of the values do not exceed; ValueError for no values."""
    if not values:
        raise ValueError("no values, no percentile")
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)]


def rate(count: int, seconds: float) -> float:
    """Give ``count`` per second, rounded to what a run can tell; 0 when no time passed."""
    return round(count / seconds, 1) if seconds > 0 else 0.0
