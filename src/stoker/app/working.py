"""Workers of an application, run until a signal or beside other code."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence

from stoker.errors import ConfigurationError
from stoker.runtime import current
from stoker.runtime.process import stop_on_signals
from stoker.runtime.worker import Worker
from stoker.stores.base import Store

log = logging.getLogger("stoker")


def refuse_useless_worker(mode: str, store: Store) -> None:
    """Refuse a worker process that could never see a job; ConfigurationError says what to do instead."""
    if current.in_child:
        raise ConfigurationError(
            "a process of executor='process' has imported this module, which starts a worker: put that under "
            "if __name__ == '__main__':"
        )
    if mode != "queue":
        raise ConfigurationError(
            f"workers.mode is {mode!r}: jobs run in the process that enqueues them, "
            "so a worker would have nothing to do; set workers.mode: queue"
        )
    if store.url.startswith("memory:"):
        raise ConfigurationError(
            "memory:// lives in one process, so a worker process would find nothing; use sqlite:///stoker.sqlite3, "
            "or in this process workers.mode: async or `async with app.working():`"
        )


async def warn_of_lost_jobs(store: Store) -> None:
    """Log how many jobs end with this process because they were not due yet, or not done in time."""
    rows = await store.arun(store.count())
    if left := sum(row.count for row in rows if not row.state.final):
        log.warning("mode async: %d unfinished job(s) are lost with this process; workers.mode: queue keeps them", left)


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
    for ending in running:
        ending.add_done_callback(_tell)
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


def _tell(ending: asyncio.Future[None]) -> None:
    """Log a worker's failure when it happens: the block around it may go on for days."""
    if not ending.cancelled() and (error := ending.exception()) is not None:
        log.error("a worker has failed; its jobs wait for another", exc_info=error)


async def _all_ended(running: Sequence[asyncio.Future[None]]) -> None:
    """Wait until every worker has ended, and only then raise what the first of them raised."""
    for ending in await asyncio.gather(*running, return_exceptions=True):
        if isinstance(ending, BaseException):
            raise ending
