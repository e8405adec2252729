"""A process that forks: parent and child both go on, and neither harms the other's file."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stoker.core.job import NewJob, new_call
from stoker.stores.sqlite import SqliteStore

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore("sqlite:///jobs.db", root=tmp_path)
    yield store
    store.close()


def enqueue(store: SqliteStore) -> str:
    return store.run(store.enqueue([NewJob("work", "{}")], new_call()))[0].id


def total(store: SqliteStore) -> int:
    return sum(row.count for row in store.run(store.count()))


def in_a_child(work: Callable[[], object]) -> int:
    """Fork; give the child's id. It ends without touching what pytest has open."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def end_of(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_child_works_on_and_so_does_its_parent(store: SqliteStore) -> None:
    enqueue(store)
    child = in_a_child(lambda: [enqueue(store) for _ in range(20)])
    for _ in range(20):
        enqueue(store)
    assert end_of(child) == 0
    assert total(store) == 41


def test_a_child_may_use_an_event_loop_where_its_parent_did(store: SqliteStore) -> None:
    async def work() -> None:
        await store.arun(store.enqueue([NewJob("work", "{}")], new_call()))
        assert await store.arun(store.any(["default"], ["work"], [""]))

    asyncio.run(work())
    child = in_a_child(lambda: asyncio.run(work()))
    assert end_of(child) == 0
    asyncio.run(work())
    assert total(store) == 3


def test_a_child_outlives_its_parents_connection(store: SqliteStore, tmp_path: Path) -> None:
    # The parent's close deletes the log if nobody else holds the file; a child that only believed to hold it would
    # go on writing into a deleted log.
    enqueue(store)
    closed_reading, closed = os.pipe()
    used_reading, used = os.pipe()

    def work() -> None:
        enqueue(store)
        os.write(used, b".")
        os.read(closed_reading, 1)
        enqueue(store)
        assert total(store) == 3

    child = in_a_child(work)
    os.read(used_reading, 1)
    store.close()
    os.write(closed, b".")
    assert end_of(child) == 0
    with sqlite3.connect(tmp_path / "jobs.db") as reader:
        assert reader.execute("SELECT count(*) FROM stoker_job").fetchone() == (3,)
        assert reader.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    reader.close()
    for pipe in (closed_reading, closed, used_reading, used):
        os.close(pipe)


def test_forks_in_the_middle_of_commands_of_other_threads_harm_nobody(store: SqliteStore) -> None:
    stop = threading.Event()
    counts = [0, 0]

    def work(place: int) -> None:
        while not stop.is_set():
            enqueue(store)
            counts[place] += 1

    threads = [threading.Thread(target=work, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    children = [in_a_child(lambda: [enqueue(store) for _ in range(3)]) for _ in range(10)]
    assert [end_of(child) for child in children] == [0] * 10
    stop.set()
    for thread in threads:
        thread.join()
    assert total(store) == sum(counts) + 30


def test_a_sleeper_in_a_child_is_woken_by_its_parent(store: SqliteStore) -> None:
    asyncio.run(store.wait(["default"], 0.05))
    ready_reading, ready = os.pipe()

    async def sleep() -> bool:
        while await store.wait(["default"], 0.05):
            pass
        os.write(ready, b".")
        return await store.wait(["default"], 20.0)

    def work() -> None:
        assert asyncio.run(sleep())

    child = in_a_child(work)
    os.read(ready_reading, 1)
    enqueue(store)
    assert end_of(child) == 0
    os.close(ready_reading)
    os.close(ready)


async def test_a_fork_during_a_sleep_makes_nobody_deaf(store: SqliteStore) -> None:
    while await store.wait(["default"], 0.05):
        pass
    sleeper = asyncio.create_task(store.wait(["default"], 20.0))
    await asyncio.sleep(0.05)
    assert not sleeper.done()

    child = in_a_child(lambda: enqueue(store))
    assert await asyncio.wait_for(sleeper, 10)
    assert end_of(child) == 0
