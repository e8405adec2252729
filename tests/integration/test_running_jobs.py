"""Jobs that run in another process are seen, stopped and taken further, on real stores."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from stoker import State, Stoker
from stoker.core.filters import Filter
from stoker.core.job import JobId, NewJob, StoredJob, new_call
from stoker.core.limits import Gate, Rule
from stoker.core.lines import read
from tests.rigs.processes import Processes, processes, until

WORKER = "tests.integration.apps.running"


class Watched:
    """A store, workers on it, and what their jobs wrote down."""

    def __init__(self, url: str, folder: Path, started: Processes) -> None:
        self.store = Stoker(url).store()
        self.ledger = folder / "running"
        self.processes = started

    def enqueue(self, name: str, args: str = "{}") -> JobId:
        job = NewJob(name, args, max_attempts=3, keep=None, keep_failed=None)
        return self.store.run(self.store.enqueue([job], new_call()))[0].id

    def enqueue_behind(self, gate: str, count: int) -> list[JobId]:
        jobs = [NewJob("waits", "{}", gates=(Gate(gate),))] * count
        return [answer.id for answer in self.store.run(self.store.enqueue(jobs, new_call()))]

    def job(self, id: JobId) -> StoredJob:
        return self.store.run(self.store.find(Filter(ids=(id,)), 1))[0]

    def lines(self) -> list[str]:
        return self.ledger.read_text().splitlines() if self.ledger.exists() else []

    def let(self, step: int) -> None:
        Path(f"{self.ledger}.{step}").touch()

    def cancel(self, id: JobId) -> float:
        """Cancel a running job, wait for its end, and tell how long that took."""
        began = time.monotonic()
        self.store.run(self.store.cancel(Filter(ids=(id,)), 1))
        until(lambda: self.job(id).state is not State.RUNNING)
        return time.monotonic() - began


@pytest.fixture(params=["sqlite", "postgres_url", "redis_url"])
def watched(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Watched]:
    kind: str = request.param
    url = f"sqlite:///{tmp_path}/jobs.sqlite3" if kind == "sqlite" else request.getfixturevalue(kind)
    running = str(tmp_path / "running")
    with processes(tmp_path, RUNNING_URL=url, RUNNING=running, RUNNING_LEASE="2s") as started:
        scene = Watched(url, tmp_path, started)
        yield scene
        scene.store.close()


def test_what_a_running_job_notes_is_seen_and_a_cancel_reaches_it_within_two_seconds(watched: Watched) -> None:
    id = watched.enqueue("waits")
    watched.processes.start(WORKER)
    until(lambda: watched.job(id).progress)
    assert watched.job(id).progress == '{"fraction":0.4,"note":"rows"}'
    assert watched.job(id).checkpoint == '{"row":40}'

    assert watched.cancel(id) < 3  # two, and what it takes to see it
    assert watched.job(id).state is State.CANCELLED
    assert watched.lines() == ["waits begins", "waits ends"]
    assert watched.job(id).progress == '{"fraction":0.4,"note":"rows"}'


def test_a_job_in_a_thread_sees_the_flag_within_two_seconds(watched: Watched) -> None:
    id = watched.enqueue("threaded")
    watched.processes.start(WORKER)
    until(watched.lines)

    assert watched.cancel(id) < 3
    assert watched.job(id).state is State.CANCELLED
    assert watched.lines() == ["threaded begins", "threaded ends"]


def test_the_job_of_a_killed_worker_goes_on_where_it_was(watched: Watched) -> None:
    id = watched.enqueue("steps", '{"count":3}')
    first = watched.processes.start(WORKER)
    watched.let(0)
    until(lambda: watched.job(id).checkpoint == "2")
    first.kill()

    watched.let(2)
    watched.processes.start(WORKER)
    until(lambda: watched.job(id).state is State.COMPLETED)
    assert watched.lines() == ["step 0", "step 1", "step 2"]
    assert watched.job(id).crashes == 1


@pytest.mark.parametrize("watched", ["postgres_url", "redis_url"], indirect=True)
def test_a_killed_holder_gives_its_place_back_with_its_lease(watched: Watched) -> None:
    watched.store.run(watched.store.define([Rule("one", running=1)], replace=True))
    ids = watched.enqueue_behind("one=", 3)
    worker = watched.processes.start(WORKER)
    until(watched.lines)
    (holder,) = (id for id in ids if watched.job(id).state is State.RUNNING)
    until(lambda: watched.store.run(watched.store.logged([holder])))
    worker.kill()
    watched.processes.start(WORKER)
    until(lambda: len(watched.lines()) == 2)

    states = Counter(watched.job(id).state for id in ids)
    assert states == {State.RUNNING: 1, State.AVAILABLE: 2}
    assert sum(watched.job(id).crashes for id in ids) == 1
    (killed,) = read(watched.store.run(watched.store.logged([holder]))[holder])[:1]
    assert [line.message for line in killed.lines] == ["waits begins"]
