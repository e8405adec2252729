"""Workers that are killed again and again while one job follows from another: no step is lost, none comes twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from stoker import Stoker
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
            until(lambda goal=reached + between: len(self.lines()) >= goal, 60, "work goes on")  # type: ignore[misc]
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
