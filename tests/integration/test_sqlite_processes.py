"""Several processes on one file: nobody starves, and sleepers learn in time what others did."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from stoker.core.job import NewJob, State, new_call, new_token
from stoker.core.settlement import Settlement
from stoker.stores.sqlite import SqliteStore

SPAWN = multiprocessing.get_context("spawn")
SECONDS = 3.0


def saturate(url: str, gate: Barrier, answers: Any) -> None:
    """Write without a pause, in the three ways of a busy process; tell how long each command took."""
    store = SqliteStore(url)
    store.run(store.promote(1))
    gate.wait()
    waits: list[float] = []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for command in (
            store.enqueue([NewJob("work", "{}")] * 20, new_call()),
            store.claim({"default": 20}, ["work"], [""], token := new_token(), "worker", 30_000_000),
            store.extend([token], 30_000_000),
        ):
            started = time.monotonic()
            answer: Any = store.run(command)
            waits.append(time.monotonic() - started)
            if command.name == "claim":
                endings = [Settlement(claim.id, claim.token, State.COMPLETED, keep=0) for claim in answer.claims]
                store.run(store.settle(endings))
    store.close()
    answers.put(sorted(waits))


@pytest.mark.timeout(120)
def test_of_four_processes_that_saturate_the_file_none_starves(tmp_path: Path) -> None:
    # Trap 17: with SQLite's own busy handler three of the four wait for the whole run. Here the worst wait is some
    # 30 ms on two free cores; the bounds leave room for a machine on which other things run.
    url = f"sqlite:///{tmp_path}/jobs.db"
    SqliteStore(url).migrate()
    gate, answers = SPAWN.Barrier(4), SPAWN.Queue()
    processes = [SPAWN.Process(target=saturate, args=(url, gate, answers)) for _ in range(4)]
    for process in processes:
        process.start()
    waits = [answers.get(timeout=100) for _ in processes]
    for process in processes:
        process.join()

    counts = [len(own) for own in waits]
    assert min(counts) > max(counts) / 4, counts
    for own in waits:
        assert own[len(own) * 95 // 100] < 0.1, "the usual wait"
        assert own[-1] < 1.0, "the worst wait"
    store = SqliteStore(url)
    assert {row.state for row in store.run(store.count())} <= {State.AVAILABLE}
    store.close()


def enqueue_now_and_then(url: str) -> None:
    """Enqueue ten jobs whose arguments are the time just before the commit."""
    store = SqliteStore(url)
    store.run(store.promote(1))
    for _ in range(10):
        time.sleep(0.15)
        store.run(store.enqueue([NewJob("work", str(time.monotonic()))], new_call()))
    store.close()


async def test_a_sleeper_learns_of_an_enqueue_in_another_process_within_a_poll(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/jobs.db"
    store = SqliteStore(url)
    store.migrate()
    process = SPAWN.Process(target=enqueue_now_and_then, args=(url,), daemon=True)
    process.start()
    delays: list[float] = []
    while len(delays) < 10:
        claimed = await store.arun(store.claim({"default": 10}, ["work"], [""], new_token(), "worker", 30_000_000))
        delays += [time.monotonic() - float(claim.args) for claim in claimed.claims]
        if not claimed.claims:
            assert await store.wait(["default"], 20.0)
    process.join()
    store.close()
    # 20 ms between two looks; the median because on a busy machine some of them are late.
    assert sorted(delays)[5] < 0.1
