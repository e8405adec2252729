"""Putting jobs in: one by one, and many at a time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from stoker.bench.application import BenchApp, Task
from stoker.bench.figures import Figure, percentile, rate
from stoker.bench.ground import Ground
from stoker.bench.plan import Plan
from stoker.bench.verify import waiting
from stoker.stores.base import MOST_JOBS

MOST_SINGLE: Final = 2_000
"""Enqueues one by one: each waits for the store's disk, so more would take long and say no more."""
PILERS: Final = 3
"""Threads that enqueue a backlog: while the store writes the jobs of one, another binds its own."""


@contextlib.contextmanager
def opened(task: Task, ground: Ground) -> Iterator[BenchApp]:
    """Give an application whose store is open, and whose snapshot is pinned where the task wants that."""
    bench = BenchApp(task)
    with contextlib.closing(bench.stoker):
        bench.open()
        with ground.pinned(task.url) if task.pin_snapshot else contextlib.nullcontext():
            yield bench


def task_of(plan: Plan, ground: Ground, url: str) -> Task:
    """Give the task that a plan means, on a store."""
    home = str(ground.home)
    return Task(url=url, home=home, payload=plan.payload, keep=plan.keep, pin_snapshot=plan.pin_snapshot)


def fill(bench: BenchApp, n: int) -> float:
    """Enqueue jobs 0 to n - 1, the most that one call takes at a time; give the seconds that it took."""
    started = time.perf_counter()
    bench.stoker.enqueue_many(map(bench.draft, range(n)), atomic=False)
    return time.perf_counter() - started


def pile(bench: BenchApp, n: int, backlog: int) -> None:
    """Enqueue jobs n to n + backlog - 1 behind the first n, from several threads: only the result matters."""
    with ThreadPoolExecutor(PILERS) as threads:
        for _ in threads.map(lambda first: _chunk(bench, first, n + backlog), range(n, n + backlog, MOST_JOBS)):
            pass


def _chunk(bench: BenchApp, first: int, end: int) -> None:
    drafts = [bench.draft(number) for number in range(first, min(end, first + MOST_JOBS))]
    bench.stoker.enqueue_many(drafts, atomic=False)


def enqueue(plan: Plan, ground: Ground) -> Figure:
    """Measure sync enqueues, one call for each job."""
    n = min(plan.n, MOST_SINGLE)
    calls: list[float] = []
    with ground.fresh() as url, opened(task_of(plan, ground, url), ground) as bench:
        started = time.perf_counter()
        for number in range(n):
            before = time.perf_counter()
            bench.enqueue(number)
            calls.append((time.perf_counter() - before) * 1000)
        took = time.perf_counter() - started
        faults = _missing(bench, n)
    return Figure(
        measure="enqueue",
        processes=1,
        n=n,
        rate=rate(n, took),
        p50_ms=round(percentile(calls, 0.5), 3),
        p95_ms=round(percentile(calls, 0.95), 3),
        p99_ms=round(percentile(calls, 0.99), 3),
        verified=not faults,
        faults=faults,
    )


def enqueue_many(plan: Plan, ground: Ground) -> Figure:
    """Measure enqueues of many jobs a call, binding the arguments included."""
    with ground.fresh() as url, opened(task_of(plan, ground, url), ground) as bench:
        took = fill(bench, plan.n)
        faults = _missing(bench, plan.n)
    return Figure(
        measure="enqueue_many",
        processes=1,
        n=plan.n,
        rate=rate(plan.n, took),
        verified=not faults,
        faults=faults,
    )


def _missing(bench: BenchApp, n: int) -> tuple[str, ...]:
    stored = waiting(bench.counts())
    return () if stored == n else (f"{stored} jobs are in the store, not {n}",)
