"""Working jobs off: how fast, at what cost, and whether each ran exactly once."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence

import msgspec

from stoker.bench.application import BenchApp, Task
from stoker.bench.crew import Crew
from stoker.bench.enqueueing import fill, opened, pile, task_of
from stoker.bench.figures import Figure, Skipped, rate
from stoker.bench.ground import Ground
from stoker.bench.plan import DEFAULT_KEEP, USUAL_CONCURRENCY, Plan
from stoker.bench.shift import Shift, ShiftReport, until_empty
from stoker.bench.tempo import LEAST, fifths, last_to_first
from stoker.bench.verify import leftovers, miscounts, miscounts_of_some
from stoker.core.duration import keep_micros
from stoker.runtime.process import run

ONE_PROCESS = "memory:// lives in one process"


def drains(plan: Plan, ground: Ground) -> Iterator[Figure | Skipped]:
    """Measure drains of growing concurrency, then of more processes, in threads, and with the usual retention."""
    for concurrency, processes in combinations(plan):
        if processes > 1 and not ground.shared:
            note = f"{processes} processes"
            yield Skipped(measure="drain", note=note, reason=ONE_PROCESS)
            continue
        with ground.fresh() as url:
            task = msgspec.structs.replace(task_of(plan, ground, url), concurrency=concurrency)
            yield drain(task, plan.n, ground, processes, backlog=plan.backlog)
    if not plan.backlog:  # it would have to be enqueued for each
        yield from _others(plan, ground)


def _others(plan: Plan, ground: Ground) -> Iterator[Figure]:
    with ground.fresh() as url:
        task = msgspec.structs.replace(task_of(plan, ground, url), handler="thread", payload=0)
        yield drain(task, plan.n, ground, note="sync jobs, in threads")
    if plan.keep != DEFAULT_KEEP and ground.keeps:
        with ground.fresh() as url:
            task = msgspec.structs.replace(task_of(plan, ground, url), keep=DEFAULT_KEEP)
            yield drain(task, plan.n, ground, note="kept as by default")


def memory(plan: Plan, ground: Ground) -> Figure:
    """Measure the resident memory of a worker after a drain."""
    with ground.fresh() as url:
        drained = drain(task_of(plan, ground, url), plan.n, ground)
    note = "" if ground.shared else "worker, store and bench in one process"
    return msgspec.structs.replace(drained, measure="memory", rate=None, cpu_percent=None, note=note)


def combinations(plan: Plan) -> list[tuple[int, int]]:
    """Give the pairs of concurrency and processes to measure: either varies alone."""
    usual = USUAL_CONCURRENCY if USUAL_CONCURRENCY in plan.concurrency else plan.concurrency[0]
    by_concurrency = [(concurrency, plan.processes[0]) for concurrency in plan.concurrency]
    return list(dict.fromkeys([*by_concurrency, *((usual, processes) for processes in plan.processes)]))


def drain(task: Task, n: int, ground: Ground, processes: int = 1, note: str = "", backlog: int = 0) -> Figure:
    """Enqueue n jobs, work them off, and account for each of them and for what the store still has.

    With a ``backlog`` so many more stand behind them, and the workers stop after n.
    """
    if backlog:
        task = msgspec.structs.replace(task, stop_after=n)
    with opened(task, ground) as bench:
        fill(bench, n)
        pile(bench, n, backlog)
        gc.collect()
        reports = _worked(bench, processes) if ground.shared else [run(Shift(bench).run(until_empty))]
        faults = _faults(bench, n, backlog, [number for report in reports for number in report.performed])
    took, ended = span(reports), max(report.ended.at for report in reports)
    cpu = sum(report.ended.cpu - report.started.cpu for report in reports)
    told = n >= LEAST or task.pin_snapshot or backlog > 0
    rates = fifths(n, ended, [report.ticks for report in reports]) if told else None
    return Figure(
        measure="drain",
        concurrency=task.concurrency,
        processes=processes,
        n=n,
        rate=rate(n, took),
        fifths=rates,
        last_to_first=last_to_first(rates),
        cpu_percent=round(100 * cpu / took, 1) if took else None,
        rss_mb=max(report.rss_mb for report in reports),
        verified=not faults,
        note=note or (f"with {backlog:,} behind" if backlog else ""),
        faults=faults,
    )


def _faults(bench: BenchApp, n: int, backlog: int, performed: Sequence[int]) -> tuple[str, ...]:
    keep = bench.task.keep
    keeps = keep == DEFAULT_KEEP or keep_micros(keep) != 0
    if not backlog:
        return (*miscounts(n, performed), *leftovers(bench.counts(), n if keeps else 0))
    total = n + backlog
    return (
        *miscounts_of_some(n, total, performed),
        *leftovers(bench.counts(), len(performed) if keeps else 0, available=total - len(performed)),
    )


def span(reports: Sequence[ShiftReport]) -> float:
    """Give the seconds from the first worker's start to the last accepted ending."""
    return max(report.ended.at for report in reports) - min(report.started.at for report in reports)


def _worked(bench: BenchApp, processes: int) -> list[ShiftReport]:
    with Crew(bench.task, processes) as crew:
        crew.say("go")
        return crew.finish()
