"""`stoker worker` as several processes, or as one that is started again: under a supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from stoker.cli.banner import print_banner
from stoker.cli.left import print_left
from stoker.cli.processes import reach_stores
from stoker.cli.watching import watching
from stoker.core.job import Reclaimed, Token
from stoker.runtime.probe import probes
from stoker.runtime.process import stop_on_signals
from stoker.runtime.supervisor import Supervisor, SupervisorPlan
from stoker.runtime.systemd import notify, watchdog_interval
from stoker.telemetry.events import JobsReclaimed

if TYPE_CHECKING:
    from stoker.app.choice import Choice
    from stoker.app.stoker import Stoker
    from stoker.cli.crew import Crew
    from stoker.cli.invocation import Invocation
    from stoker.runtime.worker import Worker


async def supervise(app: Stoker[Any], asked: Invocation, choice: Choice, crew: Crew, *, until_empty: bool) -> int:
    """Keep the processes running until a signal comes or nothing is left to do; gives the exit code."""
    workers = app.make_workers(choice, None)
    await reach_stores(workers)
    plan = workers[0].plan
    # By default three times the lease: by then others have its jobs anyway.
    silence = max(10.0, 3 * plan.lease / 1_000_000)
    supervisor = Supervisor(
        SupervisorPlan(_command(), crew.processes, plan.grace, silence, until_empty, patient=crew.reload),
        _taking_back(app, workers),
        lambda: _say_ready(crew.processes),
    )

    def stop() -> None:
        notify("STOPPING=1")
        supervisor.stop()

    async with probes(supervisor, crew.probe), stop_on_signals(stop, supervisor.leave):
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, supervisor.roll)
        print_banner(app, asked, workers, processes=crew.processes)
        async with _beside(
            _watchdog(supervisor), watching(app.settings.root, supervisor.replace) if crew.reload else None
        ):
            code = await supervisor.run()
    if until_empty and code == 0:
        await print_left(asked, workers)
    return code


def _taking_back(app: Stoker[Any], workers: Sequence[Worker]) -> Any:
    stores = {worker.store_name: worker.store for worker in workers}

    async def take_back(name: str, tokens: Sequence[Token]) -> None:
        back = await stores[name].arun(stores[name].reclaim(len(tokens), tokens))
        if back != Reclaimed():
            app.events.emit(JobsReclaimed(back.available, back.cancelled, back.discarded))

    return take_back


def _command() -> tuple[str, ...]:
    """Give the command line that was given, for one process."""
    return (sys.executable, "-m", "stoker", *sys.argv[1:], "--supervised")


def _say_ready(processes: int) -> None:
    notify(f"READY=1\nSTATUS={processes} worker processes")


async def _watchdog(supervisor: Supervisor) -> None:
    interval = watchdog_interval()
    while interval is not None:
        if supervisor.healthy:
            notify("WATCHDOG=1")
        await asyncio.sleep(interval)


@contextlib.asynccontextmanager
async def _beside(*works: Any) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(work) for work in works if work is not None]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
