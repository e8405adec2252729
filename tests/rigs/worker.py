"""A worker on the memory store under a clock that stands still: nothing in this folder sleeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from stoker import Stoker
from stoker.app.choice import Choice
from stoker.core.filters import Filter
from stoker.core.job import JobId, State, StoredJob
from stoker.runtime.worker import Worker
from stoker.telemetry.events import Event
from stoker.testing.fake_clock import FakeClock


class Rig:
    """An application, its store, its clock and everything that was reported."""

    def __init__(self, **settings: object) -> None:
        self.clock = FakeClock()
        self.app: Stoker[Any] = Stoker(
            "memory://", settings={"blocking_enqueue": "allow", **settings}, clock=self.clock
        )
        self.store = self.app.store()
        self.events: list[Event] = []
        self._workers: list[Worker] = []
        self.app.events.listen(self.events.append)

    def seen(self, kind: type[Any]) -> list[Any]:
        """Give the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def find(self, id: str) -> StoredJob:
        """Look a job up."""
        return self.store.run(self.store.find(Filter(ids=(JobId(id),)), 1))[0]

    def state(self, id: str) -> State:
        """Look a job's state up."""
        return self.find(id).state

    def make(self, **choice: Any) -> Worker:
        """Make a worker that is not started."""
        return self.app.make_workers(Choice(**choice), choice.pop("state", None))[0]

    @asynccontextmanager
    async def working(self, *, until_empty: bool = False, **choice: Any) -> AsyncIterator[Worker]:
        """Run a worker for the length of a block, then stop it in order."""
        worker = self.make(**choice)
        self._workers.append(worker)
        running = asyncio.ensure_future(worker.run(until_empty=until_empty))
        await self.settle_down()
        try:
            yield worker
        finally:
            worker.stop()
            await self.drive(running)
            self._workers.remove(worker)

    async def drive(self, task: asyncio.Future[Any], step: float = 0.1) -> None:
        """Move the clock until a task has ended."""
        for _ in range(1000):
            if task.done():
                break
            self.clock.advance(step)
            await self.settle_down()
        await asyncio.wait_for(task, 10)

    async def settle_down(self) -> None:
        """Let everything run that can run without time passing."""
        for _ in range(60):
            await asyncio.sleep(0)

    async def pass_time(self, seconds: float, step: float = 0.5) -> None:
        """Let time pass in small steps; the keepers, whose threads know real time only, tick in each."""
        while seconds > 1e-9:
            self.clock.advance(min(step, seconds))
            seconds -= step
            await self.settle_down()
            for worker in self._workers:
                worker.keeper.tick()
            await self.settle_down()

    async def until(self, true: Callable[[], object]) -> None:
        """Wait for something that another thread brings about; fails after ten seconds."""
        async with asyncio.timeout(10):
            while not true():  # noqa: ASYNC110 another thread cannot set an asyncio.Event
                await asyncio.sleep(0.001)
