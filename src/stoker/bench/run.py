"""A whole bench: every measure that was asked for, one after another."""

from __future__ import annotations

from collections.abc import Iterator

from stoker.bench.drains import drains, memory
from stoker.bench.enqueueing import enqueue, enqueue_many
from stoker.bench.figures import Figure, Skipped
from stoker.bench.ground import Ground
from stoker.bench.plan import Measure, Plan
from stoker.bench.waiting import idle, latencies


def measured(plan: Plan, ground: Ground) -> Iterator[Figure | Skipped]:
    """Give each figure as soon as it is taken."""
    for measure in plan.only:
        yield from _measured(measure, plan, ground)


def _measured(measure: Measure, plan: Plan, ground: Ground) -> Iterator[Figure | Skipped]:
    match measure:
        case "enqueue":
            yield enqueue(plan, ground)
        case "enqueue_many":
            yield enqueue_many(plan, ground)
        case "drain":
            yield from drains(plan, ground)
        case "latency":
            yield from latencies(plan, ground)
        case "idle":
            yield idle(plan, ground)
        case "memory":
            yield memory(plan, ground)
