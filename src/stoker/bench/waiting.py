"""A worker with nothing to do: how soon it starts what comes, and what waiting costs."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from stoker.bench.crew import Crew
from stoker.bench.drains import ONE_PROCESS
from stoker.bench.enqueueing import opened, task_of
from stoker.bench.figures import Figure, Skipped, percentile
from stoker.bench.ground import Ground
from stoker.bench.plan import USUAL_CONCURRENCY, Plan
from stoker.bench.shift import Mark, Shift, ShiftReport
from stoker.bench.verify import leftovers, miscounts
from stoker.runtime.process import run

MOST_SAMPLES: Final = 100
SHORTEST_PAUSE, LONGEST_PAUSE = 0.02, 0.12
"""Seconds between two samples, chosen at random so that they never march in step with a poll."""
SETTLING: Final = 1.0
"""Seconds after which a worker that started has nothing left to set up."""
IDLE: Final = 5.0
"""Seconds over which the CPU time of an idle worker is taken."""


def latencies(plan: Plan, ground: Ground) -> Iterator[Figure | Skipped]:
    """Measure the time from enqueue to handler start while the worker is idle, within and across processes."""
    yield _latency(plan, ground, across=False)
    if ground.shared:
        yield _latency(plan, ground, across=True)
    else:
        yield Skipped(measure="latency", note="across processes", reason=ONE_PROCESS)


def idle(plan: Plan, ground: Ground) -> Figure:
    """Measure the CPU time of a worker that has nothing to do."""
    with ground.fresh() as url, opened(task_of(plan, ground, url)) as bench:
        if ground.shared:
            with Crew(bench.task, 1) as crew:
                crew.say("go")
                time.sleep(SETTLING)
                crew.say("mark")
                time.sleep(IDLE)
                crew.say("mark")
                (report,) = crew.finish()
        else:
            report = run(Shift(bench).run(_idle_away))
        faults = (*miscounts(0, report.performed), *leftovers(bench.counts(), 0))
    return Figure(
        measure="idle",
        concurrency=USUAL_CONCURRENCY,
        processes=1,
        cpu_percent=cpu_percent(report.marks),
        rss_mb=report.rss_mb,
        verified=not faults,
        note=f"over {IDLE:g} s",
        faults=faults,
    )


def cpu_percent(marks: Sequence[Mark]) -> float:
    """Give the CPU time between the first and the last of some moments, as percent of one core."""
    first, last = marks[0], marks[-1]
    return round(100 * (last.cpu - first.cpu) / (last.at - first.at), 2)


def _latency(plan: Plan, ground: Ground, *, across: bool) -> Figure:
    n = min(plan.n, MOST_SAMPLES)
    with ground.fresh() as url:
        task = msgspec.structs.replace(task_of(plan, ground, url), handler="stamp", payload=0)
        with opened(task) as bench:
            if across:
                with Crew(task, 1) as crew:
                    crew.say("go")
                    time.sleep(SETTLING)
                    for number in range(n):
                        bench.enqueue(number)
                        time.sleep(_pause())
                    (report,) = crew.finish()
            else:

                async def sample(shift: Shift) -> None:
                    await asyncio.sleep(SETTLING)
                    for number in range(n):
                        await bench.aenqueue(number)
                        await asyncio.sleep(_pause())
                    shift.finish()

                report = run(Shift(bench).run(sample))
            faults = (*miscounts(n, report.performed), *leftovers(bench.counts(), 0 if plan.keeps_nothing else n))
    return _figure(report, n, faults, across=across)


def _figure(report: ShiftReport, n: int, faults: tuple[str, ...], *, across: bool) -> Figure:
    taken = [delay / 1e6 for delay in report.delays] or [0.0]
    return Figure(
        measure="latency",
        concurrency=USUAL_CONCURRENCY,
        processes=2 if across else 1,
        n=n,
        p50_ms=round(percentile(taken, 0.5), 3),
        p95_ms=round(percentile(taken, 0.95), 3),
        p99_ms=round(percentile(taken, 0.99), 3),
        verified=not faults,
        note="from another process" if across else "within one process",
        faults=faults,
    )


def _pause() -> float:
    return random.uniform(SHORTEST_PAUSE, LONGEST_PAUSE)


async def _idle_away(shift: Shift) -> None:
    await asyncio.sleep(SETTLING)
    shift.mark()
    await asyncio.sleep(IDLE)
    shift.mark()
    shift.finish()
