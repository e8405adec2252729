"""What waits for the disk: what a power cut may not undo, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from stoker.core.job import NewJob, State, WorkerInfo, new_call, new_token
from stoker.core.settlement import Settlement
from stoker.stores.sqlite import SqliteStore

FULL, NORMAL = 2, 1


def mode(store: SqliteStore) -> int:
    """Ask the writing connection how its next commit treats the disk."""
    connection = store._driver._writing.connection
    assert connection is not None
    found: int = connection.execute("PRAGMA synchronous").fetchone()[0]
    return found


def test_an_enqueue_and_an_ending_wait_for_the_disk_and_a_claim_does_not(tmp_path: Path) -> None:
    store = SqliteStore("sqlite:///jobs.db", root=tmp_path)
    (job,) = store.run(store.enqueue([NewJob("work", "{}")], new_call()))
    assert mode(store) == FULL
    token = new_token()
    store.run(store.claim({"default": 1}, ["work"], [""], token, "me", 30_000_000))
    assert mode(store) == NORMAL
    store.run(store.settle([Settlement(job.id, token, State.COMPLETED, keep=0)]))
    assert mode(store) == FULL
    store.close()


@pytest.mark.parametrize("verb", ["extend", "beat", "lead"])
def test_a_heartbeat_does_not_wait_for_the_disk(tmp_path: Path, verb: str) -> None:
    store = SqliteStore("sqlite:///jobs.db", root=tmp_path)
    commands = {
        "extend": store.extend([new_token()], 1),
        "beat": store.beat(WorkerInfo("me", "host", 1, 0, (), (), 1), 1),
        "lead": store.lead("role", "me", 1),
    }
    store.run(commands[verb])
    assert mode(store) == NORMAL
    store.close()


def test_a_file_that_was_opened_without_waiting_for_the_disk_stays_so(tmp_path: Path) -> None:
    store = SqliteStore("sqlite:///jobs.db?synchronous=NORMAL", root=tmp_path)
    store.run(store.enqueue([NewJob("work", "{}")], new_call()))
    assert mode(store) == NORMAL
    store.close()
