"""What the processes that stay do, from the banner to the last line; and in which order they stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any

from stoker.cli.banner import print_banner
from stoker.cli.left import print_left
from stoker.errors import StoreUnavailable
from stoker.runtime.probe import probes
from stoker.runtime.process import stop_on_signals
from stoker.runtime.pulse import Pulse, Tally, metrics, pulse_of
from stoker.runtime.systemd import notify, watchdog_interval
from stoker.runtime.witness import Witness

if TYPE_CHECKING:
    from stoker.app.choice import Choice
    from stoker.app.stoker import Stoker
    from stoker.cli.crew import Crew
    from stoker.cli.invocation import Invocation
    from stoker.cli.web import WebServer
    from stoker.runtime.worker import Worker

log = logging.getLogger("stoker")


async def work(
    app: Stoker[Any],
    asked: Invocation,
    choice: Choice,
    *,
    until_empty: bool,
    crew: Crew,
    supervised: int | None = None,
) -> None:
    """Perform jobs until a signal comes, or until nothing is left to do now.

    ``supervised`` is the file descriptor by which a supervisor is told; then what there is to say, it says.
    """
    async with app.workers(choice) as workers:
        health = WorkerHealth(app, workers, counts=crew.probe is not None)

        def stop() -> None:
            if supervised is None:
                notify("STOPPING=1")
            for worker in workers:
                worker.stop()

        async with stop_on_signals(stop), probes(health, None if supervised is not None else crew.probe):
            await reach_stores(workers)
            if supervised is None:
                print_banner(app, asked, workers)
            async with _telling(workers, health, crew, supervised, stop):
                await asyncio.gather(*(worker.run(until_empty=until_empty) for worker in workers))
        if until_empty and supervised is None:
            await print_left(asked, workers)


@contextlib.asynccontextmanager
async def _telling(
    workers: list[Worker], health: WorkerHealth, crew: Crew, supervised: int | None, stop: Callable[[], None]
) -> AsyncIterator[None]:
    """Tell the supervisor, or systemd, how the workers stand, and stop them when they are worn."""
    if supervised is None:
        notify("READY=1")
        telling = asyncio.ensure_future(watchdog())
        try:
            yield
        finally:
            telling.cancel()
        return
    witness = Witness(supervised)
    for worker in workers:
        worker.witness(witness.of(worker.store_name))
    witness.start(health.pulse, stop)
    wearing = asyncio.ensure_future(_wear_out(health, crew, stop))
    try:
        yield
    finally:
        wearing.cancel()
        witness.stop()


async def _wear_out(health: WorkerHealth, crew: Crew, stop: Callable[[], None]) -> None:
    """Stop in order once enough jobs were performed, or the process has grown: the supervisor starts another one."""
    while True:
        pulse = health.pulse()
        worn = crew.max_jobs is not None and pulse.performed >= crew.max_jobs
        # Not before it has done something: one that is too large from the start would else be replaced for ever.
        grown = crew.max_rss is not None and pulse.performed > 0 and pulse.rss > crew.max_rss
        if worn or grown:
            stop()
            return
        await asyncio.sleep(0.25)


class WorkerHealth:
    """What probes ask of the workers of this process."""

    def __init__(self, app: Stoker[Any], workers: list[Worker], *, counts: bool) -> None:
        self._workers = workers
        self._tally = Tally(app.events) if counts else None

    def pulse(self) -> Pulse:
        """Give the present state."""
        return pulse_of(self._workers, self._tally)

    def unready(self) -> str:
        """Say why no jobs are taken; '' when they are."""
        pulse = self.pulse()
        if pulse.stopping:
            return "stopping"
        return "" if pulse.ready else f"the store has not answered for {pulse.silent:.0f} s"

    def metrics(self) -> str:
        """Give what Prometheus reads."""
        return metrics([self.pulse()], {})


async def watchdog() -> None:
    """Tell systemd again and again that the event loop turns, if it asks."""
    interval = watchdog_interval()
    while interval is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(interval)


async def serve(app: Stoker[Any], asked: Invocation, server: WebServer) -> None:
    """Serve the web application until a signal comes."""
    async with stop_on_signals(server.stop):
        print_banner(app, asked, address=server.bind())
        await server.run()


async def serve_and_work(app: Stoker[Any], asked: Invocation, choice: Choice, server: WebServer) -> None:
    """Serve and perform jobs on one event loop until a signal comes."""
    async with app.workers(choice) as workers, stop_on_signals(server.stop):
        await reach_stores(workers)
        print_banner(app, asked, workers, address=server.bind())
        working: asyncio.Future[Any] = asyncio.gather(*(worker.run() for worker in workers))
        serving: asyncio.Future[Any] = asyncio.ensure_future(server.run())
        try:
            await asyncio.wait({working, serving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # The server goes first: requests that it still answers may enqueue, and their jobs may still run.
            server.stop()
            await asyncio.wait({serving})
            for worker in workers:
                worker.stop()
            await asyncio.wait({working})
        await serving
        await working


async def reach_stores(workers: Sequence[Worker]) -> None:
    """Ask each store once, so that a wrong URL or an old schema ends the process and does not repeat in its log.

    Of several stores those that do not answer are waited for while the others are served.
    """

    async def reach(worker: Worker) -> StoreUnavailable | None:
        store, plan = worker.store, worker.plan
        try:
            await store.arun(store.any(plan.queues, plan.names, worker.routes.known))
        except StoreUnavailable as error:
            return error
        return None

    silent = [error for error in await asyncio.gather(*map(reach, workers)) if error is not None]
    if silent and len(silent) == len(workers):
        raise silent[0]
    for error in silent:
        log.warning("%s; its jobs wait until it answers, the other stores are served", error)
