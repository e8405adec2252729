"""One worker at work on a bench application, in the present process."""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from stoker.app.choice import Choice
from stoker.bench.application import QUEUE, BenchApp
from stoker.runtime.worker import Worker
from stoker.telemetry.events import AttemptEnded, Event

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


class Shift:
    """Runs a worker while a conductor says what happens: `mark` moments, and `finish` when the store is empty."""

    def __init__(self, bench: BenchApp) -> None:
        self._bench = bench
        self._marks: list[Mark] = []
        self._ended = 0.0
        self._worker: Worker | None = None

    async def run(self, conduct: Callable[[Shift], Awaitable[None]]) -> ShiftReport:
        """Work until the conductor has said `finish` and the store is empty."""
        stoker, task = self._bench.stoker, self._bench.task
        (self._worker,) = stoker.make_workers(Choice(queues=(QUEUE,), concurrency=task.concurrency), None)
        deaf = stoker.events.listen(self._hear)
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
        """Stop as soon as the store is empty."""
        if self._worker is not None:
            self._worker.finish()

    def _hear(self, event: Event) -> None:
        # Called for every job: the clock alone, and nothing that allocates.
        if type(event) is AttemptEnded:
            self._ended = time.monotonic()

    def _report(self, started: Mark) -> ShiftReport:
        return ShiftReport(
            performed=self._bench.performed,
            delays=self._bench.delays,
            started=started,
            ended=Mark(self._ended or started.at, time.process_time()),
            marks=self._marks,
            rss_mb=resident_mb(),
        )


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
