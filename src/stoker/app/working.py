"""Workers of an application, run until a signal or beside other code."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

from stoker.errors import ConfigurationError
from stoker.runtime.process import stop_on_signals
from stoker.runtime.worker import Worker
from stoker.stores.base import Store


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


async def run_until_signal(workers: Sequence[Worker], *, until_empty: bool) -> None:
    """Run workers until SIGTERM or SIGINT, or until their stores are empty."""

    def stop() -> None:
        for worker in workers:
            worker.stop()

    async with stop_on_signals(stop):
        await _all_ended([asyncio.ensure_future(_run(worker, until_empty, stop)) for worker in workers])


@contextlib.asynccontextmanager
async def run_beside(workers: Sequence[Worker]) -> AsyncIterator[None]:
    """Run workers for the length of a block, then stop them in order."""
    running = [asyncio.ensure_future(worker.run()) for worker in workers]
    try:
        yield
    finally:
        for worker in workers:
            worker.stop()
        await _all_ended(running)


async def _run(worker: Worker, until_empty: bool, stop: Callable[[], None]) -> None:
    """Run a worker; one that fails takes the others of the process along, in order."""
    try:
        await worker.run(until_empty=until_empty)
    except Exception:
        stop()
        raise


async def _all_ended(running: Sequence[asyncio.Future[None]]) -> None:
    """Wait until every worker has ended, and only then raise what the first of them raised."""
    for ending in await asyncio.gather(*running, return_exceptions=True):
        if isinstance(ending, BaseException):
            raise ending
