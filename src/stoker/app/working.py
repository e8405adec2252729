"""Workers of an application: made by a plan, run until a signal or beside other code."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from stoker.errors import ConfigurationError
from stoker.runtime.plan import WorkerPlan
from stoker.runtime.process import stop_on_signals
from stoker.runtime.worker import Worker
from stoker.stores.base import Store

if TYPE_CHECKING:
    from stoker.app.stoker import Stoker


def refuse_useless_worker(mode: str, store: Store) -> None:
    """Refuse a worker process that could never see a job; ConfigurationError says what to do instead."""
    if mode != "queue":
        raise ConfigurationError(
            f"workers.mode is {mode!r}: jobs run in the process that enqueues them, "
            "so a worker would have nothing to do; set workers.mode: queue"
        )
    if store.url.startswith("memory:"):
        raise ConfigurationError(
            "memory:// lives in one process, so a separate worker would find nothing; "
            "use sqlite:///stoker.sqlite3, or workers.mode: async"
        )


def worker_of(app: Stoker[Any], name: str, store: Store, plan: WorkerPlan, state: object) -> Worker:
    """Make the worker of one store: the plan, narrowed to the jobs that wait there."""
    definitions = {job: app.performable[job] for job in plan.names if app.store(app.performable[job].store) is store}
    return Worker(
        store,
        name,
        definitions,
        replace(plan, names=tuple(definitions)),
        clock=app.clock,
        events=app.events,
        defaults=app.defaults,
        state=state,
        middleware=app.middleware,
    )


async def run_until_signal(workers: Sequence[Worker], *, until_empty: bool) -> None:
    """Run workers until SIGTERM or SIGINT, or until their stores are empty."""

    def stop() -> None:
        for worker in workers:
            worker.stop()

    async with stop_on_signals(stop):
        await asyncio.gather(*(worker.run(until_empty=until_empty) for worker in workers))


@contextlib.asynccontextmanager
async def run_beside(workers: Sequence[Worker]) -> AsyncIterator[None]:
    """Run workers for the length of a block, then stop them in order."""
    running = [asyncio.ensure_future(worker.run()) for worker in workers]
    try:
        yield
    finally:
        for worker in workers:
            worker.stop()
        await asyncio.gather(*running)
