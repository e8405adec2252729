"""What the memory store does beyond the contract: it does not grow without need."""

from __future__ import annotations

import os

import pytest

from stoker.core.filters import Filter
from stoker.core.job import CallId, Due, NewJob, new_call
from stoker.core.unique import UniqueKey
from stoker.stores.memory import MemoryStore, intake
from stoker.testing.fake_clock import FakeClock


def test_receipts_of_more_than_an_hour_ago_are_forgotten() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    store.run(store.enqueue([NewJob("work", "{}")], CallId("old")))
    clock.advance("61m")
    store.run(store.enqueue([NewJob("work", "{}")], CallId("new")))
    store.run(store.prune(100))

    assert list(store._contents.receipts) == ["new"]


def test_receipts_do_not_outgrow_the_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MOST_RECEIPTS", 3)
    store = MemoryStore(FakeClock())
    for number in range(5):
        store.run(store.enqueue([NewJob("work", "{}")], CallId(str(number))))

    assert list(store._contents.receipts) == ["2", "3", "4"]


def test_windows_that_have_closed_are_forgotten() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    store.run(store.enqueue([NewJob("work", "{}", unique=UniqueKey("key", within=1))], CallId("call")))
    store.run(store.delete(Filter(), 10))
    clock.advance("1s")
    store.run(store.prune(100))

    assert store._contents.slots._slots == {}


def test_jobs_cancelled_while_they_wait_leave_nothing_in_lanes_and_agendas() -> None:
    store = MemoryStore(FakeClock())
    jobs = [NewJob("work", "{}", keep_failed=0), NewJob("work", "{}", keep_failed=0, due=Due(1_000_000))]
    for number in range(20):
        store.run(store.enqueue(jobs * 50, CallId(str(number))))
        store.run(store.cancel(Filter(), 1000))

    lane = store._contents.lanes.of(jobs[0])
    assert sum(len(level) for level in lane._levels.values()) <= 64
    assert len(store._contents.due._heap) <= 64
    assert store._contents.rows == {}


def test_a_forked_child_begins_empty_and_its_parent_keeps_its_jobs() -> None:
    store = MemoryStore()
    store.run(store.enqueue([NewJob("work", "{}")], new_call()))
    child = os.fork()
    if child == 0:
        os._exit(len(store.run(store.count())))
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert [row.count for row in store.run(store.count())] == [1]
