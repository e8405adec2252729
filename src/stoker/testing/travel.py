"""Time travel: a sandbox's clock goes from one periodic run to the next, and each run's job is there at its instant."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from stoker.runtime.periodic import Periodic
from stoker.schedule.planner import plan
from stoker.schedule.spec import read_spec
from stoker.stores.base import Store
from stoker.testing.fake_clock import FakeClock

if TYPE_CHECKING:
    from stoker.app.stoker import Stoker


class Travel:
    """Moves the clock of one application's sandbox."""

    def __init__(self, app: Stoker[Any], clock: FakeClock) -> None:
        self._app = app
        self._clock = clock
        self._periodic: dict[Store, Periodic] = {}

    async def go(self, until: int, arrived: Callable[[], Awaitable[object]]) -> None:
        """Go on to an instant; ``arrived`` is awaited after each periodic run on the way."""
        await self._begin()
        while (stop := self._next_run()) is not None and stop <= until:
            self._move(stop)
            for periodic in self._periodic.values():
                await periodic.turn()
            await arrived()
        self._move(until)

    async def _begin(self) -> None:
        """Register what the application declares by now, as a worker does when it starts."""
        for store in {self._app.store(entry.store) for entry in self._app.periodic_entries()} - self._periodic.keys():
            said = self._app.periodic_plan(store)
            if said is not None:
                self._periodic[store] = Periodic(
                    store,
                    "sandbox",
                    said,
                    _nobody_else,
                    clock=self._clock,
                    events=self._app.events,
                    middleware=self._app.middleware,
                )
                await self._periodic[store].begin()

    def _next_run(self) -> int | None:
        """Give the instant at which something is due next."""
        now = self._clock.now()
        runs = [
            run
            for store in self._periodic
            for entry in store.run(store.entries(self._app.application)).entries
            if (run := plan(entry, read_spec(entry.spec), now).next) is not None
        ]
        return min(runs, default=None)

    def _move(self, to: int) -> None:
        self._clock.advance(timedelta(microseconds=max(0, to - self._clock.now())))


async def _nobody_else() -> None:
    """No other worker has to be told."""
