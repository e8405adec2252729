"""What the processes that stay do, from the banner to the last line; and in which order they stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from stoker.cli.banner import print_banner
from stoker.cli.left import print_left
from stoker.runtime.process import stop_on_signals

if TYPE_CHECKING:
    from stoker.app.choice import Choice
    from stoker.app.stoker import Stoker
    from stoker.cli.invocation import Invocation
    from stoker.cli.web import WebServer
    from stoker.runtime.worker import Worker


async def work(app: Stoker[Any], asked: Invocation, choice: Choice, *, until_empty: bool) -> None:
    """Perform jobs until a signal comes, or until nothing is left to do now."""
    async with app.workers(choice) as workers:

        def stop() -> None:
            for worker in workers:
                worker.stop()

        async with stop_on_signals(stop):
            await _reach_stores(workers)
            print_banner(app, asked, workers)
            await asyncio.gather(*(worker.run(until_empty=until_empty) for worker in workers))
        if until_empty:
            await print_left(asked, workers)


async def serve(app: Stoker[Any], asked: Invocation, server: WebServer) -> None:
    """Serve the web application until a signal comes."""
    async with stop_on_signals(server.stop):
        print_banner(app, asked, address=server.bind())
        await server.run()


async def serve_and_work(app: Stoker[Any], asked: Invocation, choice: Choice, server: WebServer) -> None:
    """Serve and perform jobs on one event loop until a signal comes."""
    async with app.workers(choice) as workers, stop_on_signals(server.stop):
        await _reach_stores(workers)
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


async def _reach_stores(workers: list[Worker]) -> None:
    """Ask each store once, so that a wrong URL or an old schema ends the process and does not repeat in its log."""
    for worker in workers:
        store, plan = worker.store, worker.plan
        await store.arun(store.any(plan.queues, plan.names, worker.routes.known))
