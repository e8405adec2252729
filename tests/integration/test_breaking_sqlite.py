"""Workers on one SQLite file, killed, stopped, frozen and fed with garbage."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stoker import State, Stoker
from stoker.app.operations import Operations
from stoker.core.filters import Filter
from stoker.core.job import NewJob, StoredJob, new_call
from stoker.stores.base import Store
from tests.rigs.processes import Processes, freeze, processes, until

WORKER = "tests.integration.apps.ledger"
SECOND = 1_000_000


class Scene:
    """One database, its ledger and its workers."""

    def __init__(self, folder: Path, started: Processes) -> None:
        self.database = folder / "jobs.sqlite3"
        self.ledger = folder / "ledger"
        self.app: Stoker[None] = Stoker(f"sqlite:///{self.database}")
        self.store: Store = self.app.store()
        self.operations: Operations = self.app.operations()
        self.processes = started

    def worker(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a worker."""
        return self.processes.start(WORKER, *words)

    def enqueue(self, *jobs: NewJob) -> list[str]:
        """Store jobs."""
        return [answer.id for answer in self.store.run(self.store.enqueue(jobs, new_call()))]

    def lines(self, kind: str = "") -> list[str]:
        """Give the lines of the ledger."""
        path = Path(str(self.ledger) + kind)
        return path.read_text().splitlines() if path.exists() else []

    def job(self, id: str) -> StoredJob:
        """Look a job up."""
        return self.operations.show(id)  # type: ignore[arg-type]

    def unfinished(self) -> int:
        """Count the jobs that are not in a final state."""
        return sum(row.count for row in self.store.run(self.store.count()) if not row.state.final)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Give a database of its own."""
    environment = {"LEDGER_URL": f"sqlite:///{tmp_path / 'jobs.sqlite3'}", "LEDGER": str(tmp_path / "ledger")}
    with processes(tmp_path, **environment) as started:
        scene = Scene(tmp_path, started)
        yield scene
        scene.app.close()


@pytest.mark.timeout(180)
def test_workers_that_are_killed_again_and_again_lose_no_job_and_settle_none_twice(scene: Scene) -> None:
    total, lease = 20_000, 2
    for start in range(0, total, 10_000):
        scene.enqueue(*(NewJob("note", f'{{"n":{n}}}', max_attempts=1) for n in range(start, start + 10_000)))
    workers = [scene.worker() for _ in range(4)]
    until(lambda: len(scene.lines()) > 500, what="first effects")
    kills: list[int] = []
    for turn in range(6):
        reached = len(scene.lines())
        until(lambda goal=reached + 1000: len(scene.lines()) > goal, what="work goes on")  # type: ignore[misc]
        workers[turn % 4].kill()
        kills.append(time.time_ns() // 1000)
        workers[turn % 4] = scene.worker()
    until(lambda: scene.unfinished() == 0, 90, "all jobs ended")
    assert {int(line) for line in scene.lines()} == set(range(total))
    # A worker killed between its store's answer and its own note has settled without writing so: never more than one.
    ended = Counter(line for line in scene.lines(".settled") if line.endswith(" completed"))
    assert set(ended.values()) == {1}
    jobs = scene.operations.find(Filter(names=("note",)), total + 1)
    assert {job.state for job in jobs} == {State.COMPLETED}
    crashed = [job for job in jobs if job.crashes]
    assert crashed, "no kill hit a running job: the test has proven nothing"
    assert all(job.crashes + 1 <= job.starts for job in crashed)
    # When the last one became available again; how long the others in the queue then take is another matter.
    back = max(job.run_at for job in crashed)
    assert back - kills[-1] < (lease + 30) * SECOND


@pytest.mark.timeout(120)
def test_a_job_that_kills_its_worker_is_discarded_after_three_crashes_and_its_neighbours_are_not(scene: Scene) -> None:
    before = scene.enqueue(*(NewJob("note", f'{{"n":{n}}}', max_attempts=1) for n in range(25)))
    (culprit,) = scene.enqueue(NewJob("poison", "{}", max_attempts=1, priority=1))
    after = scene.enqueue(*(NewJob("note", f'{{"n":{n}}}', max_attempts=1) for n in range(25, 50)))
    worker = scene.worker()

    def ended() -> bool:
        nonlocal worker
        if worker.poll() is not None:
            worker = scene.worker()
        return scene.unfinished() == 0

    until(ended, 60, "poison is out and its neighbours are done")
    job = scene.job(culprit)
    assert (job.state, job.crashes) == (State.DISCARDED, 3)
    assert job.errors[-1].type == "LeaseExpired"
    assert {scene.job(id).state for id in [*before, *after]} == {State.COMPLETED}
    assert max(scene.job(id).crashes for id in [*before, *after]) <= 1
    assert {int(line) for line in scene.lines()} == set(range(50))


def test_a_worker_that_is_asked_to_stop_gives_its_running_jobs_back_within_the_grace(scene: Scene) -> None:
    (id,) = scene.enqueue(NewJob("long", '{"seconds":60}', max_attempts=1))
    worker = scene.worker()
    until(lambda: scene.lines() == ["long begins"])
    asked = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(15) == 0
    assert time.monotonic() - asked < 10
    job = scene.job(id)
    assert (job.state, job.failures, job.crashes) == (State.AVAILABLE, 0, 0)


def test_a_second_signal_ends_the_worker_at_once_and_the_job_goes_back_after_its_lease_uncounted(
    tmp_path: Path,
) -> None:
    environment = {
        "LEDGER_URL": f"sqlite:///{tmp_path / 'jobs.sqlite3'}",
        "LEDGER": str(tmp_path / "ledger"),
        "LEDGER_GRACE": "60s",
    }
    with processes(tmp_path, **environment) as started:
        scene = Scene(tmp_path, started)
        (id,) = scene.enqueue(NewJob("long", '{"seconds":60}', max_attempts=1))
        worker = scene.worker()
        until(lambda: scene.lines() == ["long begins"])
        worker.send_signal(signal.SIGTERM)
        until(lambda: "stopping" in started.output() or _stopping(scene))
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(10) == 130
        store = scene.store
        until(lambda: store.run(store.reclaim(10)).available, 15, "the lease ends")
        job = scene.job(id)
        assert (job.state, job.failures, job.crashes) == (State.AVAILABLE, 0, 0)
        scene.app.close()


def _stopping(scene: Scene) -> bool:
    """Tell whether the store knows that the worker's lease is one of a worker that stops."""
    with closing(sqlite3.connect(scene.database)) as connection:
        return bool(connection.execute("SELECT max(stopping) FROM stoker_lease").fetchone()[0])


def test_a_worker_frozen_beyond_its_lease_reports_nothing_but_the_lost_claim(scene: Scene) -> None:
    (id,) = scene.enqueue(NewJob("long", '{"seconds":1}', max_attempts=1))
    frozen = scene.worker()
    until(lambda: "long begins" in scene.lines())
    store = scene.store
    freeze(frozen, store)
    until(lambda: store.run(store.reclaim(10)).available, 15, "the lease ends")
    store.run(store.pause("queue", ["default"], True))
    frozen.send_signal(signal.SIGCONT)
    until(lambda: scene.lines(".refused") == [id], 15, "the refusal")
    assert scene.lines(".settled") == []
    assert scene.job(id).state is State.AVAILABLE


def test_a_handler_that_blocks_the_loop_for_longer_than_the_lease_keeps_its_job(scene: Scene) -> None:
    (id,) = scene.enqueue(NewJob("blocks", '{"seconds":5}', max_attempts=1))
    for _ in range(2):
        scene.worker()
    until(lambda: scene.job(id).state is State.COMPLETED, 20)
    assert scene.lines() == ["blocks begins", "blocks ends"]
    assert scene.job(id).starts == 1


def test_corrupt_rows_are_discarded_and_the_queue_goes_on(scene: Scene) -> None:
    ids = scene.enqueue(*(NewJob("note", f'{{"n":{n}}}', max_attempts=1) for n in range(6)))
    with sqlite3.connect(scene.database) as connection:
        for id, change in zip(
            ids[:4],
            ("args = '{\"n\":'", "args = CAST(x'ff00fe' AS TEXT)", "failures = 'many'", "max_attempts = 1e300"),
            strict=True,
        ):
            connection.execute(f"UPDATE stoker_job SET {change} WHERE id = ?", (int(id),))
    connection.close()
    worker = scene.worker("--until-empty")
    assert worker.wait(30) == 0, scene.processes.output()
    with sqlite3.connect(scene.database) as connection:
        kept = connection.execute("SELECT count(*) FROM stoker_job").fetchone()[0]
    connection.close()
    assert kept == 6
    assert {scene.job(id).state for id in ids[4:]} == {State.COMPLETED}
    assert {scene.job(id).state for id in ids[:4]} == {State.DISCARDED}


def test_a_locked_database_makes_the_worker_wait_and_go_on(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'jobs.sqlite3'}?busy_timeout=0.2s"
    with processes(tmp_path, LEDGER_URL=url, LEDGER=str(tmp_path / "ledger"), LEDGER_LEASE="30s") as started:
        scene = Scene(tmp_path, started)
        scene.enqueue(NewJob("note", '{"n":1}'))
        scene.worker()
        until(lambda: scene.lines() == ["1"])
        blocker = sqlite3.connect(scene.database, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        time.sleep(1.5)  # longer than the busy timeout, while the worker asks in vain
        blocker.execute("COMMIT")
        blocker.close()
        scene.enqueue(NewJob("note", '{"n":2}'))
        until(lambda: scene.lines() == ["1", "2"], 20)
        scene.app.close()


def test_a_job_that_nobody_knows_stays_available_and_is_shown(scene: Scene) -> None:
    (id,) = scene.enqueue(NewJob("mystery", "{}"))
    scene.enqueue(NewJob("note", '{"n":1}'))
    scene.worker()
    until(lambda: scene.lines() == ["1"])
    until(lambda: scene.operations.status().workers, what="the worker is announced")
    (queue,) = scene.operations.status().queues
    assert queue.unserved.names == ("mystery",)
    assert scene.job(id).state is State.AVAILABLE


def test_a_forked_child_enqueues_on_a_connection_of_its_own(scene: Scene) -> None:
    scene.enqueue(NewJob("note", '{"n":0}'))
    child = os.fork()
    if child == 0:
        try:
            scene.enqueue(NewJob("note", '{"n":1}'))
            os._exit(0)
        except BaseException:
            os._exit(1)
    scene.enqueue(NewJob("note", '{"n":2}'))
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert sorted(job.args for job in scene.operations.find(Filter())) == ['{"n":0}', '{"n":1}', '{"n":2}']


def test_a_full_disk_makes_the_worker_wait_and_go_on(scene: Scene) -> None:
    scene.enqueue(NewJob("note", '{"n":1}'))
    worker = scene.worker()
    until(lambda: scene.lines() == ["1"])
    until(lambda: scene.unfinished() == 0)
    unlimited = resource.prlimit(worker.pid, resource.RLIMIT_FSIZE)
    # No file may grow beyond this any more, and the write-ahead log is longer already.
    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (1024, unlimited[1]))
    (id,) = scene.enqueue(NewJob("note", '{"n":2}', max_attempts=1))
    until(lambda: "store unavailable in claim" in scene.processes.output(), what="the worker says what is wrong")
    assert worker.poll() is None
    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, unlimited)
    until(lambda: scene.lines() == ["1", "2"], 20)
    until(lambda: scene.job(id).state is State.COMPLETED)
    assert scene.job(id).crashes == 0
