"""Workers on a PostgreSQL server whose jobs write down what they did, so that each can be accounted for."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg

from stoker import State, Stoker
from stoker.core.filters import Filter
from stoker.core.job import JobId, NewJob, StoredJob, new_call
from stoker.errors import StoreUnavailable
from tests.rigs.processes import Processes, processes, until

WORKER: Final = "tests.integration.apps.ledger"

# Every job that waits or runs is in exactly one place, and nothing else is in any.
MISPLACED: Final = """
WITH held AS (SELECT unnest(ids) AS id FROM stoker.lease), places AS (
    SELECT id FROM held UNION ALL SELECT id FROM stoker.ready
), counted AS (SELECT id, count(*) AS places FROM places GROUP BY id)
SELECT id, state, places FROM counted FULL JOIN stoker.job USING (id)
WHERE (state = 2 AND places IS DISTINCT FROM 1) OR (state IS DISTINCT FROM 2 AND places IS NOT NULL)"""


class Scene:
    """One server, its ledger and its workers."""

    def __init__(self, url: str, folder: Path, started: Processes) -> None:
        self.url = url
        self.ledger = folder / "ledger"
        self.app: Stoker[None] = Stoker(url)
        self.store = self.app.store()
        self.processes = started

    def worker(self) -> subprocess.Popen[bytes]:
        """Start a worker."""
        return self.processes.start(WORKER)

    def enqueue(self, *jobs: NewJob) -> list[JobId]:
        """Store jobs."""
        return [answer.id for answer in self.store.run(self.store.enqueue(jobs, new_call()))]

    def notes(self, start: int, stop: int) -> None:
        """Store jobs that write their number down."""
        self.enqueue(*(NewJob("note", f'{{"n":{n}}}', max_attempts=1) for n in range(start, stop)))

    def lines(self, kind: str = "") -> list[str]:
        """Give the lines of the ledger."""
        path = Path(str(self.ledger) + kind)
        return path.read_text().splitlines() if path.exists() else []

    def job(self, id: JobId) -> StoredJob:
        """Look a job up."""
        return self.store.run(self.store.find(Filter(ids=(id,)), 1))[0]

    def unfinished(self) -> int:
        """Count the jobs that are not in a final state; many while the server does not say."""
        try:
            return sum(row.count for row in self.store.run(self.store.count()) if not row.state.final)
        except StoreUnavailable:
            return 1_000_000

    def goes_on(self, more: int = 300) -> None:
        """Wait until so many further jobs were performed."""
        reached = len(self.lines())
        until(lambda: len(self.lines()) >= reached + more, 60, "work goes on")

    def account(self, total: int) -> None:
        """Wait for the end of all jobs, and account for each."""
        until(lambda: self.unfinished() == 0, 90, "all jobs ended")
        assert {int(line) for line in self.lines()} == set(range(total))
        jobs = [job for page in self._pages() for job in page]
        assert Counter(job.state for job in jobs) == {State.COMPLETED: total}
        # Of an accepted ending whose answer was lost the worker may not know; one that it knows of is known once.
        ended = Counter(line for line in self.lines(".settled") if line.endswith(" completed"))
        assert set(ended.values()) == {1}
        assert sql(self.url, MISPLACED) == []

    def _pages(self) -> Iterator[list[StoredJob]]:
        before: JobId | None = None
        while page := self.store.run(self.store.find(Filter(), 5_000, before)):
            yield page
            before = page[-1].id


def sql(url: str, words: str) -> list[tuple[object, ...]]:
    """Run statements of the test's own."""
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        cursor = connection.execute(words.encode())
        return cursor.fetchall() if cursor.description else []


@contextmanager
def scene_on(url: str, folder: Path, **environment: str) -> Iterator[Scene]:
    """Give a scene on a server, with more for the environment of its workers."""
    with processes(folder, LEDGER_URL=url, LEDGER=str(folder / "ledger"), **environment) as started:
        scene = Scene(url, folder, started)
        yield scene
        scene.app.close()
