"""How soon an idle worker starts what comes: single jobs, and pairs of which the second comes soon after the first."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from stoker.bench.application import BenchApp
from stoker.bench.crew import Crew
from stoker.bench.drains import ONE_PROCESS
from stoker.bench.enqueueing import opened, task_of
from stoker.bench.figures import Figure, Skipped, percentile
from stoker.bench.ground import Ground
from stoker.bench.plan import USUAL_CONCURRENCY, Measure, Plan
from stoker.bench.shift import Conductor, Shift, ShiftReport
from stoker.bench.verify import leftovers, miscounts
from stoker.bench.waiting import SETTLING
from stoker.runtime.process import run

MOST_SAMPLES: Final = 100
SHORTEST_PAUSE, LONGEST_PAUSE = 0.02, 0.12
"""Seconds between two samples, chosen at random so that they never march in step with a poll."""
SHORTEST_GAP, LONGEST_GAP = 0.005, 0.045
"""Seconds between the two of a pair: where a store that folds notifications may sleep through the second."""
SHORTEST_REST, LONGEST_REST = 0.15, 0.3
"""Seconds before a pair: then nothing is left of the one before."""


def latencies(plan: Plan, ground: Ground) -> Iterator[Figure | Skipped]:
    """Measure the time from enqueue to handler start while the worker is idle, within and across processes."""
    pauses = idle_pauses(plan)
    yield _latency("latency", plan, ground, pauses, across=False)
    if ground.shared:
        yield _latency("latency", plan, ground, pauses, across=True)
    else:
        yield Skipped(measure="latency", note="across processes", reason=ONE_PROCESS)


def idle_pauses(plan: Plan) -> list[float]:
    """Give the seconds before each sample."""
    return [random.uniform(SHORTEST_PAUSE, LONGEST_PAUSE) for _ in range(min(plan.n, MOST_SAMPLES))]


def pair(plan: Plan, ground: Ground) -> Figure:
    """Measure the same for the second of two jobs that are enqueued 5 to 45 ms apart."""
    pauses: list[float] = []
    for _ in range(min(plan.n, MOST_SAMPLES)):
        pauses += random.uniform(SHORTEST_REST, LONGEST_REST), random.uniform(SHORTEST_GAP, LONGEST_GAP)
    return _latency("pair", plan, ground, pauses, across=ground.shared)


def _latency(measure: Measure, plan: Plan, ground: Ground, pauses: Sequence[float], *, across: bool) -> Figure:
    n = len(pauses)
    with ground.fresh() as url:
        task = msgspec.structs.replace(task_of(plan, ground, url), handler="stamp", payload=0)
        with opened(task, ground) as bench:
            report = _from_outside(bench, pauses) if across else run(Shift(bench).run(_from_inside(bench, pauses)))
            faults = (*miscounts(n, report.performed), *leftovers(bench.counts(), 0 if plan.keeps_nothing else n))
    taken = _milliseconds(report, only_second=measure == "pair") or [0.0]
    where = "from another process" if across else "within one process"
    return Figure(
        measure=measure,
        concurrency=USUAL_CONCURRENCY,
        processes=2 if across else 1,
        n=len(taken),
        p50_ms=round(percentile(taken, 0.5), 3),
        p95_ms=round(percentile(taken, 0.95), 3),
        p99_ms=round(percentile(taken, 0.99), 3),
        verified=not faults,
        note=f"{where}, the second of two" if measure == "pair" else where,
        faults=faults,
    )


def _from_outside(bench: BenchApp, pauses: Sequence[float]) -> ShiftReport:
    with Crew(bench.task, 1) as crew:
        crew.say("go")
        time.sleep(SETTLING)
        sent = time.monotonic()
        for number, pause in enumerate(pauses):
            time.sleep(max(0.0, sent + pause - time.monotonic()))
            sent = time.monotonic()
            bench.enqueue(number)
        time.sleep(LONGEST_REST)  # a worker that is to finish looks for jobs by itself
        (report,) = crew.finish()
    return report


def _from_inside(bench: BenchApp, pauses: Sequence[float]) -> Conductor:
    async def sample(shift: Shift) -> None:
        await asyncio.sleep(SETTLING)
        sent = time.monotonic()
        for number, pause in enumerate(pauses):
            await asyncio.sleep(max(0.0, sent + pause - time.monotonic()))
            sent = time.monotonic()
            await bench.aenqueue(number)
        await asyncio.sleep(LONGEST_REST)
        shift.finish()

    return sample


def _milliseconds(report: ShiftReport, *, only_second: bool) -> list[float]:
    """Give what was measured, of pairs for the second job, whose number is odd."""
    numbered = zip(report.performed, report.delays, strict=True)
    return [delay / 1e6 for number, delay in numbered if number % 2 or not only_second]
