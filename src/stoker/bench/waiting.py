"""What a worker with nothing to do costs: its own CPU time, and the server's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from stoker.bench.crew import Crew
from stoker.bench.enqueueing import opened, task_of
from stoker.bench.figures import Figure
from stoker.bench.ground import Ground
from stoker.bench.plan import USUAL_CONCURRENCY, Plan
from stoker.bench.shift import Mark, Shift
from stoker.bench.verify import leftovers, miscounts
from stoker.drivers.system_processes import cpu_of_tree, spent_between
from stoker.runtime.process import run

SETTLING: Final = 1.0
"""Seconds after which a worker that started has nothing left to set up."""
WARM: Final = 6.0
"""Seconds after which an idle worker has asked everything it asks: a server makes plans for what it hears first."""
IDLE: Final = 10.0
"""Seconds over which the CPU time of an idle worker is taken."""


def idle(plan: Plan, ground: Ground) -> Figure:
    """Measure the CPU time of a worker that has nothing to do, and of the server that it asks."""
    server: float | None = None
    with ground.fresh() as url, opened(task_of(plan, ground, url), ground) as bench:
        if ground.shared:
            meter = _server_meter(ground)
            with Crew(bench.task, 1) as crew:
                crew.say("go")
                time.sleep(WARM)
                crew.say("mark")
                server = meter(lambda: time.sleep(IDLE))
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
        server_cpu_percent=server,
        rss_mb=report.rss_mb,
        verified=not faults,
        note=f"over {IDLE:g} s",
        faults=faults,
    )


def cpu_percent(marks: Sequence[Mark]) -> float:
    """Give the CPU time between the first and the last of some moments, as percent of one core."""
    first, last = marks[0], marks[-1]
    return round(100 * (last.cpu - first.cpu) / (last.at - first.at), 2)


def _server_meter(ground: Ground) -> Callable[[Callable[[], None]], float | None]:
    """Give what takes the CPU time of the server meanwhile, as percent of one core; None where nobody can."""
    pid = None if ground.side is None else ground.side.server_pid()

    def metered(meanwhile: Callable[[], None]) -> float | None:
        if pid is None:
            meanwhile()
            return None
        before, started = cpu_of_tree(pid), time.monotonic()
        meanwhile()
        after = cpu_of_tree(pid)
        return round(100 * spent_between(before, after) / (time.monotonic() - started), 2) if before else None

    return metered


async def _idle_away(shift: Shift) -> None:
    await asyncio.sleep(WARM)
    shift.mark()
    await asyncio.sleep(IDLE)
    shift.mark()
    shift.finish()
