"""Ten workers, killed and restarted all the time: each tick has one job, no more and no less."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import count, takewhile
from pathlib import Path

import msgspec
import pytest

from stoker.core.duration import SECOND, as_datetime
from stoker.core.filters import Filter
from stoker.core.job import JobId, NewJob, StoredJob
from stoker.core.periodic import PERIODIC_TICK
from stoker.runtime.periodic import Periodic
from stoker.runtime.plan import PeriodicPlan
from stoker.schedule.rhythm import rhythm_of
from stoker.schedule.spec import Spec, template
from stoker.stores.base import Store
from stoker.stores.memory import MemoryStore
from stoker.stores.postgres import PostgresStore
from stoker.stores.redis import RedisStore
from stoker.stores.sqlite import SqliteStore
from stoker.stores.urls import open_store
from stoker.telemetry.board import Events
from stoker.testing.fake_clock import FakeClock
from tests.rigs.processes import processes, until

CREW = 10
MINUTES = 10
SPECS = {
    "cron": Spec(rhythm_of("*/5 * * * * *", None), "", template(NewJob("cron", "{}", keep=None)), "all"),
    "minutes": Spec(
        rhythm_of("* * * * *", None, "Europe/Berlin"), "", template(NewJob("minutes", "{}", keep=None)), "all"
    ),
    "every": Spec(rhythm_of(None, "7s"), "", template(NewJob("every", "{}", keep=None)), "all", jitter=3 * SECOND),
}
PLAN = PeriodicPlan("shop", tuple(spec.entry(name) for name, spec in SPECS.items()))


@pytest.fixture(params=["memory", "sqlite", "postgres", "redis"])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[FakeClock], Store]:
    if request.param == "memory":
        return cache(MemoryStore)  # all workers share the one instance
    if request.param == "sqlite":
        return lambda clock: SqliteStore(f"sqlite:///{tmp_path}/jobs.db", clock=clock)
    url: str = request.getfixturevalue(f"{request.param}_url")
    kind = PostgresStore if request.param == "postgres" else RedisStore
    return lambda clock: kind(url, clock=clock)


class Crew:
    """Workers as far as periodic jobs need them, who are killed at whatever they wait for."""

    def __init__(self, stores: Sequence[Store], clock: FakeClock, chance: random.Random) -> None:
        self._stores = stores
        self._clock = clock
        self._chance = chance
        self._numbers = count()
        self._workers = [self._new(store) for store in stores]
        self.killed = 0

    async def step(self) -> None:
        """Let everybody look at what is due, and kill some of them in the middle of it."""
        turns = [asyncio.ensure_future(self._turn(place)) for place in range(CREW)]
        for place, turn in enumerate(turns):
            if self._chance.random() < 0.15:
                for _ in range(self._chance.randrange(6)):
                    await asyncio.sleep(0)
                turn.cancel()
                self.killed += 1
                self._workers[place] = self._new(self._stores[place])
        await asyncio.gather(*turns, return_exceptions=True)

    async def _turn(self, place: int) -> None:
        periodic, begun = self._workers[place]
        if not begun:
            await periodic.begin()
            self._workers[place] = (periodic, True)
        await periodic.turn()

    def _new(self, store: Store) -> tuple[Periodic, bool]:
        async def announce() -> None: ...

        worker = f"worker-{next(self._numbers)}"
        return Periodic(store, worker, PLAN, announce, clock=self._clock, events=Events()), False


@pytest.mark.timeout(180)
async def test_ten_minutes_of_fake_time_have_one_job_for_each_tick(connect: Callable[[FakeClock], Store]) -> None:
    clock, chance = FakeClock(), random.Random(7)
    stores = [connect(clock) for _ in range(CREW)]
    stores[0].migrate()
    begin = clock.now()
    crew = Crew(stores, clock, chance)
    while clock.now() < begin + MINUTES * 60 * SECOND:
        clock.advance(chance.choice(["1s", "2s", "500ms", "3s"]))
        await crew.step()
    end = clock.now()
    clock.advance("20s")
    for _ in range(3):
        await crew.step()

    assert crew.killed > 100
    ticks = ticks_of(stores[0])
    anchor = {entry.name: entry.anchor for entry in stores[0].run(stores[0].entries("shop")).entries}
    for name, spec in SPECS.items():
        expected = list(takewhile(lambda at: at <= end, spec.rhythm.after(anchor[name], anchor[name])))
        assert len(expected) >= MINUTES - 1
        assert [at for at in ticks[name] if at <= end] == expected
    for store in stores:
        store.close()


def ticks_of(store: Store) -> dict[str, list[int]]:
    """Give the ticks of all jobs in order, by the job's name."""
    found: dict[str, list[int]] = {name: [] for name in SPECS}
    for job in every_job(store):
        found[job.name].append(msgspec.json.decode(job.meta)[PERIODIC_TICK])
    return {name: sorted(ticks) for name, ticks in found.items()}


def every_job(store: Store) -> list[StoredJob]:
    jobs: list[StoredJob] = []
    before: JobId | None = None
    while page := store.run(store.find(Filter(), 1000, before)):
        jobs += page
        before = page[-1].id
    return jobs


# -- real processes, real time -----------------------------------------------------------------------------------------

PATIENCE = 120.0
"""Seconds: ten processes take their time to start where other tests run."""
SECONDS = {"sqlite": 60, "postgres": 12, "redis": 12}
"""One real minute on the store that needs no server; on all of them with STOKER_LONG_TESTS set."""


@pytest.fixture(params=list(SECONDS))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, float]:
    seconds = 60 if os.environ.get("STOKER_LONG_TESTS") else SECONDS[request.param]
    if request.param == "sqlite":
        return f"sqlite:////{tmp_path}/jobs.db", seconds
    return request.getfixturevalue(f"{request.param}_url"), seconds


@pytest.mark.timeout(360)
def test_ten_processes_that_are_killed_all_the_time_enqueue_one_job_for_each_tick(
    place: tuple[str, float], tmp_path: Path
) -> None:
    url, seconds = place
    store = open_store(url, root=tmp_path)
    store.migrate()
    chance = random.Random(11)
    with processes(tmp_path, TICKER_URL=url) as crew:
        start = partial(crew.start, "tests.integration.apps.ticker")
        running = [start() for _ in range(CREW)]
        until(lambda: every_job(store), PATIENCE, "the first tick")
        end = time.monotonic() + seconds
        killed = 0
        while time.monotonic() < end:
            time.sleep(chance.uniform(0.2, 1.0))
            place_of_victim = chance.randrange(CREW)
            running[place_of_victim].kill()
            running[place_of_victim].wait()
            running[place_of_victim] = start()
            killed += 1
        until(lambda: last_tick(store) > store.run(store.entries()).now - 3 * SECOND, PATIENCE, "the last tick")
        output = crew.output()
    ticks: dict[bool, list[int]] = {True: [], False: []}
    for job in every_job(store):
        at = msgspec.json.decode(job.meta)[PERIODIC_TICK]
        ticks[at % SECOND == 0].append(at)
    store.close()

    assert killed >= seconds / 2
    for period, own in ((1, sorted(ticks[True])), (2, sorted(ticks[False]))):
        assert len(own) >= seconds / period - 2, output
        assert own == list(range(own[0], own[-1] + 1, period * SECOND)), [str(as_datetime(at)) for at in own]


def last_tick(store: Store) -> int:
    """Give the instant up to which the entry of the seconds was decided."""
    return next(entry.last for entry in store.run(store.entries()).entries if entry.name == "seconds")
