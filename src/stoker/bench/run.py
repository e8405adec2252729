"""A whole bench: every measure that was asked for, one after another."""

from __future__ import annotations

from collections.abc import Iterator

from stoker.bench.bare import Yardstick, bare
from stoker.bench.drains import drains, memory
from stoker.bench.enqueueing import enqueue, enqueue_many
from stoker.bench.figures import Figure, Skipped
from stoker.bench.ground import Ground
from stoker.bench.latency import latencies, pair
from stoker.bench.plan import MEASURES, Measure, Plan
from stoker.bench.waiting import idle


def usual(ground: Ground) -> tuple[Measure, ...]:
    """Give the measures that a store has."""
    return tuple(measure for measure in MEASURES if measure != "bare" or ground.has_yardstick)


def check(plan: Plan, ground: Ground) -> None:
    """Refuse what cannot be measured on this store: ConfigurationError."""
    if plan.pin_snapshot:
        ground.check_snapshots()
    if "bare" in plan.only:
        ground.check_yardstick()


def measured(plan: Plan, ground: Ground) -> Iterator[Figure | Skipped]:
    """Give each figure as soon as it is taken."""
    yardstick = Yardstick()
    for measure in plan.only:
        for one in _measured(measure, plan, ground):
            yield yardstick.held(one) if isinstance(one, Figure) else one


def _measured(measure: Measure, plan: Plan, ground: Ground) -> Iterator[Figure | Skipped]:
    match measure:
        case "bare":
            yield from bare(plan, ground)
        case "enqueue":
            yield enqueue(plan, ground)
        case "enqueue_many":
            yield enqueue_many(plan, ground)
        case "drain":
            yield from drains(plan, ground)
        case "latency":
            yield from latencies(plan, ground)
        case "pair":
            yield pair(plan, ground)
        case "idle":
            yield idle(plan, ground)
        case "memory":
            yield memory(plan, ground)
