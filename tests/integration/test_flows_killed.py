"""Workers that are killed again and again while one job follows from another: no step is lost, none comes twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stoker import Stoker, Workflow
from stoker.core.filters import Filter
from stoker.core.job import NewJob, StoredJob, new_call
from stoker.stores.base import Store
from tests.rigs.processes import Processes, processes, until

WORKER = "tests.integration.apps.flows"


class Scene:
    """One store, what its jobs wrote down, and its workers."""

    def __init__(self, url: str, folder: Path, started: Processes) -> None:
        self.notes = folder / "notes"
        self.app: Stoker[None] = Stoker(url)
        self.store: Store = self.app.store()
        self._processes = started
        self._workers = [started.start(WORKER) for _ in range(3)]

    def lines(self) -> list[str]:
        """Give what was written down."""
        return self.notes.read_text().splitlines() if self.notes.exists() else []

    def jobs(self, name: str) -> list[StoredJob]:
        """Give all jobs of a name."""
        return self.store.run(self.store.find(Filter(names=(name,)), 100_000))

    def unfinished(self) -> int:
        """Count the jobs that are not in a final state."""
        return sum(row.count for row in self.store.run(self.store.count()) if not row.state.final)

    def kill(self, times: int, between: int) -> None:
        """Kill one worker after the other, each after so many further attempts."""
        for turn in range(times):
            reached = len(self.lines())
            until(lambda goal=reached + between: len(self.lines()) >= goal, 90, "work goes on")  # type: ignore[misc]
            self._workers[turn % 3].kill()
            self._workers[turn % 3] = self._processes.start(WORKER)


@pytest.fixture(params=["sqlite", "postgres", "redis"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    """Give a store of its own with three workers."""
    url = (
        f"sqlite:///{tmp_path / 'jobs.sqlite3'}"
        if request.param == "sqlite"
        else request.getfixturevalue(f"{request.param}_url")
    )
    Stoker(url).store().migrate()
    with processes(tmp_path, FLOWS_URL=url, FLOWS=str(tmp_path / "notes"), STOKER_ENV="test") as started:
        scene = Scene(url, tmp_path, started)
        yield scene
        scene.app.close()


@pytest.mark.timeout(180)
def test_each_link_of_many_chains_is_enqueued_once_wherever_workers_die(scene: Scene) -> None:
    chains, length = 30, 25
    first = [NewJob("link", f'{{"chain":{n},"left":{length}}}', max_attempts=1, keep=None) for n in range(chains)]
    scene.store.run(scene.store.enqueue(first, new_call()))
    scene.kill(5, 80)
    until(lambda: scene.unfinished() == 0 and len(scene.lines()) >= chains * (length + 1), 90, "all chains ended")

    jobs = Counter(job.args for job in scene.jobs("link"))
    assert set(jobs.values()) == {1}
    assert len(jobs) == chains * (length + 1)
    assert any(job.crashes for job in scene.jobs("link")), "no kill hit a running job"


@pytest.mark.timeout(240)
def test_workflows_lose_no_step_and_run_no_callback_twice_wherever_workers_die(scene: Scene) -> None:
    jobs = defined(scene.app)
    flows, width = 30, 6
    batches = []
    for n in range(flows):
        tell = jobs["tell"]
        flow = Workflow(on_success=tell.draft("success"), on_failure=tell.draft("failure"))
        parts = [flow.add(jobs["part"], n * width + one) for one in range(width)]
        flow.add(jobs["report"], n, flow.add(jobs["gather"], n, [part.result for part in parts]).result)
        batches.append(scene.app.start(flow))
    scene.kill(5, 20)
    until(lambda: all(batch.progress().success for batch in batches), 120, "all workflows succeeded")
    until(lambda: not scene.store.run(scene.store.batches([], 1)), 60, "all was seen to")
    until(lambda: scene.unfinished() == 0, 60, "all callbacks were performed")

    assert Counter(job.args for job in scene.jobs("part")) == {f'{{"n":{n}}}': 1 for n in range(flows * width)}
    assert len(scene.jobs("gather")) == len(scene.jobs("report")) == flows
    totals = {n: sum(range(n * width, (n + 1) * width)) for n in range(flows)}
    assert {job.args for job in scene.jobs("report")} == {f'{{"flow":{n},"total":{totals[n]}}}' for n in totals}
    assert Counter(job.args for job in scene.jobs("tell")) == {'{"what":"success"}': flows}
    assert any(job.crashes for name in ("part", "gather", "report") for job in scene.jobs(name)), "no kill hit"


@pytest.mark.timeout(240)
def test_a_batch_counts_each_of_its_jobs_once_wherever_workers_die(scene: Scene) -> None:
    jobs = defined(scene.app)
    total = 600
    tell = jobs["tell"]
    with scene.app.batch(on_success=tell.draft("success"), on_complete=tell.draft("complete")) as batch:
        for first in range(0, total, 100):
            batch.add(*[jobs["part"].draft(n) for n in range(first, first + 100)])
    scene.kill(4, 80)
    until(lambda: batch.progress().complete, 120, "the batch is complete")
    until(lambda: not scene.store.run(scene.store.batches([], 1)), 60, "all was seen to")
    until(lambda: scene.unfinished() == 0, 60, "its callbacks were performed")

    standing = batch.progress()
    assert (standing.total, standing.completed, standing.pending, standing.success) == (total, total, 0, True)
    assert Counter(job.args for job in scene.jobs("tell")) == {'{"what":"success"}': 1, '{"what":"complete"}': 1}


def defined(app: Stoker[None]) -> dict[str, Any]:
    """Define the worker's jobs here too, without their handlers' code."""

    @app.job(max_attempts=1)
    def part(n: int) -> int:
        return n

    @app.job(max_attempts=1)
    def gather(flow: int, values: list[int]) -> int:
        return flow + len(values)

    @app.job(max_attempts=1)
    def report(flow: int, total: int) -> int:
        return flow + total

    @app.job
    def tell(what: str) -> None: ...

    return {job.name: job for job in (part, gather, report, tell)}
