"""One worker at work on a bench application, in the present process."""

from __future__ import annotations

import asyncio
import math
import resource
import sys
import time
from array import array
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import msgspec

from stoker.app.choice import Choice
from stoker.bench.application import QUEUE, BenchApp
from stoker.bench.tempo import STRIDE
from stoker.core.job import State
from stoker.runtime.worker import Worker
from stoker.telemetry.events import AttemptEnded

_MEGABYTE = 1_000_000


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """A moment of a shift: the monotonic clock and the CPU time of the process, in seconds."""

    at: float
    cpu: float


class ShiftReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker did. Times are monotonic seconds, which all processes of a machine share."""

    performed: list[int]
    delays: list[int]
    started: Mark
    ended: Mark
    """When the store accepted the last ending; the start where there was none."""
    marks: list[Mark]
    rss_mb: float
    ticks: list[float] = []
    """When every 100th ending was accepted."""


class Shift:
    """Runs a worker while a conductor says what happens: `mark` moments, and `finish` when the store is empty."""

    def __init__(self, bench: BenchApp) -> None:
        self._bench = bench
        self._marks: list[Mark] = []
        self._ended = 0.0
        self._endings = 0
        self._ticks = array("d")
        self._enough = math.inf if bench.task.stop_after is None else bench.task.stop_after
        self._worker: Worker | None = None

    async def run(self, conduct: Conductor) -> ShiftReport:
        """Work until the conductor has said `finish` and the store is empty."""
        stoker, task = self._bench.stoker, self._bench.task
        (self._worker,) = stoker.make_workers(Choice(queues=(QUEUE,), concurrency=task.concurrency), None)
        deaf = stoker.events.listen(self._hear, AttemptEnded)
        started = _mark()
        conducting = asyncio.ensure_future(conduct(self))
        try:
            await self._worker.run()
            await conducting
        finally:
            conducting.cancel()
            deaf()
        return self._report(started)

    def mark(self) -> None:
        """Take down this moment."""
        self._marks.append(_mark())

    def finish(self) -> None:
        """Stop as soon as the store is empty, or the task's number of jobs is done."""
        if self._worker is not None:
            self._worker.finish()

    def _hear(self, event: AttemptEnded) -> None:
        # Called for every job: the clock, a count, and nothing that allocates. What is given back has not ended.
        if event.settlement.state is not State.COMPLETED:
            return
        if self._endings >= self._enough:
            return
        self._endings += 1
        self._ended = time.monotonic()
        if not self._endings % STRIDE:
            self._ticks.append(self._ended)
        if self._endings >= self._enough and self._worker is not None:
            self._worker.stop()

    def _report(self, started: Mark) -> ShiftReport:
        return ShiftReport(
            rss_mb=resident_mb(),  # before the lists that follow
            performed=self._bench.performed.tolist(),
            delays=self._bench.delays.tolist(),
            started=started,
            ended=Mark(self._ended or started.at, time.process_time()),
            marks=self._marks,
            ticks=self._ticks.tolist(),
        )


Conductor: TypeAlias = Callable[[Shift], Awaitable[None]]
"""Says what happens during a shift."""


async def until_empty(shift: Shift) -> None:
    """Conduct a drain."""
    shift.finish()


def _mark() -> Mark:
    return Mark(time.monotonic(), time.process_time())


def resident_mb() -> float:
    """Give this process's resident memory in megabytes; its peak where the system does not tell the present."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return round(peak / _MEGABYTE if sys.platform == "darwin" else peak * 1024 / _MEGABYTE, 1)
    return round(pages * resource.getpagesize() / _MEGABYTE, 1)
