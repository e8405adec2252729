"""Rows that somebody damaged: they cost nobody else anything, and come to light."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from stoker.core.filters import EVERYTHING
from stoker.core.job import Claim, Claimed, Due, NewJob, State, new_call, new_token
from stoker.core.settlement import Settled, Settlement
from stoker.stores.sqlite import SqliteStore

DAMAGE = {
    "bytes that are no UTF-8": "args = CAST(x'7b22ff227d' AS TEXT)",
    "a lone surrogate in bytes": "args = CAST(x'22eda08022' AS TEXT)",
    "a BLOB that is no UTF-8": "args = x'fffe00'",
    "bytes in meta": "meta = CAST(x'ff' AS TEXT)",
    "a counter of text": "failures = 'many'",
    "a BLOB as counter": "failures = x'00ff'",
    "a fraction as counter": "crashes = 1.5",
    "infinity": "snoozes = 9e999",
    "minus infinity": "enqueued_at = -9e999",
    "infinite priority": "priority = 9e999",
    "no time": "run_at = x''",
    "a retention of text": "keep = 'long'",
    "text as version": "version = 'new'",
}
HARMLESS = {
    "arguments as a BLOB of good text": "args = CAST('{}' AS BLOB)",
    "a size beyond measure": "size = 9e999",
    "a size of text": "size = 'big'",
    "starts of text: counted anew": "starts = 'many'",
    "labels that are no JSON": "labels = '{['",
    "a result of bytes": "result = x'ff'",
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore("sqlite:///jobs.db", root=tmp_path)
    yield store
    store.close()


def enqueue(store: SqliteStore, count: int = 3, **fields: object) -> list[str]:
    jobs = [NewJob("work", f'{{"n":{n}}}', **fields) for n in range(count)]  # type: ignore[arg-type]
    return [answer.id for answer in store.run(store.enqueue(jobs, new_call()))]


def damage(tmp_path: Path, change: str, id: str) -> None:
    with sqlite3.connect(tmp_path / "jobs.db") as vandal:
        vandal.execute(f"UPDATE stoker_job SET {change} WHERE id = ?", (int(id),))
    vandal.close()


def claim(store: SqliteStore, limit: int = 100) -> Claimed:
    return store.run(store.claim({"default": limit}, ["work"], [""], new_token(), "worker", 30_000_000))


@pytest.mark.parametrize("change", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_row_is_claimed_as_a_defect_among_its_healthy_neighbours(
    store: SqliteStore, tmp_path: Path, change: str
) -> None:
    ids = enqueue(store)
    damage(tmp_path, change, ids[1])

    claims: dict[str, Claim] = {claim.id: claim for claim in claim(store).claims}
    assert sorted(claims) == sorted(ids)
    assert [claims[id].defect is not None for id in ids] == [False, True, False]
    assert claims[ids[1]].token == claims[ids[0]].token
    assert claims[ids[2]].args == '{"n":2}'


@pytest.mark.parametrize("change", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_row_can_be_settled_and_looked_at(store: SqliteStore, tmp_path: Path, change: str) -> None:
    ids = enqueue(store)
    damage(tmp_path, change, ids[1])
    endings = [Settlement(claim.id, claim.token, State.DISCARDED) for claim in claim(store).claims]

    assert set(store.run(store.settle(endings)).values()) == {Settled.ACCEPTED}
    found = store.run(store.find(EVERYTHING, 10))
    assert [job.state for job in found] == [State.DISCARDED] * 3
    assert sum(row.count for row in store.run(store.count())) == 3


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_what_does_not_matter_to_an_attempt_is_no_defect(store: SqliteStore, tmp_path: Path, change: str) -> None:
    ids = enqueue(store)
    for id in ids:
        damage(tmp_path, change, id)

    taken = [job for _ in ids for job in claim(store).claims]
    assert [job.id for job in taken] == ids
    assert all(job.defect is None for job in taken)
    assert len(store.run(store.find(EVERYTHING, 10))) == 3


def test_a_due_time_of_text_breaks_no_claim(store: SqliteStore, tmp_path: Path) -> None:
    (later,) = enqueue(store, 1, due=Due(60_000_000))
    enqueue(store, 1)
    damage(tmp_path, "run_at = 'soon'", later)

    assert len(claim(store).claims) == 1
    assert store.run(store.promote(10)).count == 0


def test_a_state_that_does_not_exist_is_shown_and_never_claimed(store: SqliteStore, tmp_path: Path) -> None:
    ids = enqueue(store)
    damage(tmp_path, "state = 99", ids[0])
    damage(tmp_path, "state = 'odd'", ids[1])

    assert [job.id for job in claim(store).claims] == [ids[2]]
    assert len(store.run(store.find(EVERYTHING, 10))) == 3


def test_a_claim_carries_no_more_arguments_than_fit_one_reply(store: SqliteStore, tmp_path: Path) -> None:
    ids = enqueue(store)
    damage(tmp_path, "size = 40000000", ids[0])

    assert [job.id for job in claim(store).claims] == [ids[0]]
    assert [job.id for job in claim(store).claims] == ids[1:]
