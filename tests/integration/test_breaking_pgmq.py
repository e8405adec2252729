"""Workers on pgmq's queues that are killed, and many who ask for everything about the same messages at once."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest

from stoker.core.filters import Filter
from stoker.core.job import NewJob, State, new_call, new_token
from stoker.core.moving import MOVING
from stoker.core.settlement import Settlement
from stoker.stores.pgmq import PgmqStore, open_pgmq
from tests.rigs.processes import processes, until
from tests.rigs.turmoil import SECOND, Turmoil

WORKER = "tests.integration.apps.ledger"


@pytest.mark.timeout(120)
def test_workers_that_are_killed_lose_no_message(pgmq_url: str, tmp_path: Path) -> None:
    url = f"{pgmq_url}&on_success=archive"
    store, ledger = open_pgmq(url), tmp_path / "ledger"
    jobs = [NewJob("note", f'{{"n":{number}}}', max_attempts=1, keep=None) for number in range(700)]
    store.run(store.enqueue(jobs, new_call()))

    def lines() -> list[str]:
        return ledger.read_text().splitlines() if ledger.exists() else []

    def is_finished() -> bool:
        return all(row.state.final for row in store.run(store.count()))

    with processes(tmp_path, LEDGER_URL=url, LEDGER=str(ledger)) as started:
        workers = [started.start(WORKER) for _ in range(2)]
        for turn in range(2):
            reached = len(lines())
            until(lambda goal=reached + 100: len(lines()) > goal, what="work goes on")  # type: ignore[misc]
            workers[turn].kill()
            workers[turn] = started.start(WORKER)
        until(is_finished, 60, "all jobs ended")

    assert {int(line) for line in lines()} == set(range(700))
    found = store.run(store.find(Filter(), 2000))
    assert {job.state for job in found} == {State.COMPLETED}
    assert any(job.crashes for job in found), "no kill hit a running job: the test has proven nothing"
    store.close()


class PgmqTurmoil(Turmoil):
    """The like for a store without unique keys."""

    def _enqueue(self, chance: random.Random) -> None:
        jobs = [NewJob("work", '{"bb":1,"a":2}', keep=chance.choice([0, SECOND])) for _ in range(20)]
        self._ids += [answer.id for answer in self._run(self._store.enqueue(jobs, new_call()))]

    def _promote(self, chance: random.Random) -> None:
        """Let a mover come by: there is nothing to promote here. Some die on their way."""
        token = new_token()
        held = self._run(self._store.hold(self._some(chance), 10, token, f"{MOVING}elsewhere"))
        if chance.random() < 0.7:
            self._run(self._store.settle([Settlement(one.id, token, State.COMPLETED, keep=0) for one in held]))


@pytest.mark.timeout(60)
def test_all_verbs_at_once_meet_neither_deadlock_nor_error(pgmq_url: str) -> None:
    store = open_pgmq(f"{pgmq_url}&on_success=archive")
    turmoil = PgmqTurmoil(store)
    problems: list[BaseException] = []

    def stir(seed: int) -> None:
        try:
            turmoil.stir(3, seed)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=stir, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert problems == []
    assert turmoil.done > 100
    _nothing_is_held_by_two(store)
    store.close()


def _nothing_is_held_by_two(store: PgmqStore) -> None:
    """Take all leases back: then every message waits or is archived, and is there once."""
    while store.run(store.requeue(Filter(), 1000, force=True)).count:
        pass
    found = store.run(store.find(Filter(), 100_000))
    assert len({job.id for job in found}) == len(found)
    assert State.RUNNING not in {job.state for job in found}
