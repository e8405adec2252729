"""No verb walks over jobs that are none of its business, whatever the planner's statistics say (contract, trap 9)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from stoker.core.command import Command, Sql
from stoker.core.filters import Filter
from stoker.core.job import AttemptFailure, Due, JobId, NewJob, State, Token, new_call, new_token
from stoker.core.settlement import Settlement
from stoker.core.unique import UniqueKey
from stoker.drivers.sqlite_unit import exchange
from stoker.stores.base import Store
from stoker.stores.sqlite import SqliteStore

NOW = 1_767_268_800_000_000
TOKEN = Token("0" * 32)


def settlements() -> list[Settlement]:
    error = AttemptFailure(1, 0, "ValueError", "no")
    return [
        Settlement(JobId("1"), TOKEN, State.COMPLETED, keep=0),
        Settlement(JobId("2"), TOKEN, State.COMPLETED, keep=None, result="null"),
        Settlement(JobId("3"), TOKEN, State.RETRYABLE, due=Due(1), counts="failure", error=error),
        Settlement(JobId("4"), TOKEN, State.AVAILABLE),
    ]


def unique_jobs() -> list[NewJob]:
    policies: list[Any] = ["keep", "replace", "reschedule", "raise"]
    return [NewJob("work", "{}", unique=UniqueKey(policy, on_conflict=policy)) for policy in policies]


VERBS: dict[str, Callable[[Store], Command[Any]]] = {
    "enqueue": lambda store: store.enqueue([NewJob("work", "{}")], new_call()),
    "enqueue of unique jobs": lambda store: store.enqueue(unique_jobs(), new_call()),
    "claim": lambda store: store.claim({"a": 5, "b": 5}, ["work", "mail"], ["", "gpu"], TOKEN, "worker", 1),
    "claim by age": lambda store: store.claim(
        {"a": 5, "b": 5}, ["work", "mail"], ["", "gpu"], TOKEN, "worker", 1, oldest=True
    ),
    "enqueue with tags": lambda store: store.enqueue([NewJob("work", "{}", route="gpu")], new_call()),
    "routes": lambda store: store.routes(),
    "extend": lambda store: store.extend([TOKEN], 1, started=[JobId("1")]),
    "settle": lambda store: store.settle(settlements()),
    "promote": lambda store: store.promote(10),
    "reclaim": lambda store: store.reclaim(10),
    "reclaim by token": lambda store: store.reclaim(10, [TOKEN]),
    "expire": lambda store: store.expire(10),
    "enqueue of expiring jobs": lambda store: store.enqueue([NewJob("work", "{}", expires=Due(1))], new_call()),
    "prune": lambda store: store.prune(10),
    "any": lambda store: store.any(["default"], ["work"], [""]),
    "result": lambda store: store.result(JobId("1")),
    "find by id": lambda store: store.find(Filter(ids=(JobId("1"),)), 10),
    "cancel by id": lambda store: store.cancel(Filter(ids=(JobId("1"),)), 10),
    "retry by id": lambda store: store.retry(Filter(ids=(JobId("1"),)), 10),
    "delete by id": lambda store: store.delete(Filter(ids=(JobId("1"),)), 10),
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore("sqlite:///jobs.db", root=tmp_path)
    store.migrate()
    yield store
    store.close()


@pytest.fixture
def connection(store: SqliteStore, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)
    yield connection
    connection.close()


@pytest.mark.parametrize("rows", [0, 1, 3, 2000])
@pytest.mark.parametrize("verb", VERBS)
def test_jobs_are_found_by_key_or_index(
    store: SqliteStore, connection: sqlite3.Connection, verb: str, rows: int
) -> None:
    with_statistics_of(store, connection, rows)
    for step in VERBS[verb](store).steps:
        assert isinstance(step, Sql)
        params = step.params if isinstance(step.params, Mapping) else step.params[0]
        plan = connection.execute(f"EXPLAIN QUERY PLAN {step.text}", {**params, "now": NOW}).fetchall()
        for *_, detail in plan:
            assert not walks_over_jobs(detail), f"{detail} in {step.text}"


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_a_claim_does_not_notice_a_hundred_thousand_jobs_of_other_names(
    store: SqliteStore, connection: sqlite3.Connection, rows: int
) -> None:
    with_statistics_of(store, connection, rows)
    connection.execute("DELETE FROM stoker_job")
    alone = work_of(connection, store, 5)
    for _ in range(5):
        store.run(store.enqueue([NewJob("unknown", "{}")] * 5000, new_call()))
        store.run(store.enqueue([NewJob("work", "{}", queue="other")] * 5000, new_call()))
        store.run(store.enqueue([NewJob("work", "{}", route="gpu")] * 5000, new_call()))
        store.run(store.enqueue([NewJob("work", "{}", due=Due(60_000_000))] * 5000, new_call()))

    assert work_of(connection, store, 5) < alone * 2 + 10


def test_settling_does_not_notice_the_jobs_that_are_kept(store: SqliteStore, connection: sqlite3.Connection) -> None:
    with_statistics_of(store, connection, 1)
    alone = work_of(connection, store, 5)
    store.run(store.enqueue([NewJob("unknown", "{}")] * 10_000, new_call()))
    store.run(store.enqueue([NewJob("unknown", "{}")] * 10_000, new_call()))

    assert work_of(connection, store, 5) < alone * 2 + 10


def test_where_there_is_nothing_to_do_nothing_is_written(store: SqliteStore, connection: sqlite3.Connection) -> None:
    store.run(store.promote(10))  # opens the connection, which may touch the file
    before = connection.execute("PRAGMA data_version").fetchone()
    for command in (
        store.claim({"default": 10}, ["work"], [""], new_token(), "worker", 1),
        store.promote(10),
        store.reclaim(10),
        store.prune(10),
        store.settle([]),
        store.extend([new_token()], 1),
    ):
        store.run(command)
        assert connection.execute("PRAGMA data_version").fetchone() == before, command.name


def test_a_store_without_unique_jobs_does_not_pay_for_them(store: SqliteStore) -> None:
    texts = [step.text for step in store.enqueue([NewJob("work", "{}")], new_call()).steps if isinstance(step, Sql)]
    assert not any("stoker_slot" in text or "stoker_answer" in text for text in texts)


def test_three_hundred_lanes_are_merged_in_order(store: SqliteStore) -> None:
    names = [f"job{number}" for number in range(100)]
    jobs = [NewJob(name, "{}", queue="q", route=route) for name in names for route in ("", "a", "b")]
    ids = [answer.id for answer in store.run(store.enqueue(jobs, new_call()))]

    claimed = store.run(store.claim({"q": 250}, names, ["", "a", "b"], new_token(), "worker", 1))
    assert [claim.id for claim in claimed.claims] == ids[:250]


def with_statistics_of(store: SqliteStore, connection: sqlite3.Connection, rows: int) -> None:
    """Let the planner believe in so many jobs, spread over all states."""
    for start in range(0, rows, 500):
        store.run(store.enqueue([NewJob("work", "{}")] * min(500, rows - start), new_call()))
    connection.execute("UPDATE stoker_job SET state = 1 + id % 7, expires_at = id")
    connection.execute("ANALYZE")
    connection.execute("ANALYZE sqlite_schema")


def walks_over_jobs(detail: str) -> bool:
    """Tell whether a line of a plan visits all jobs, or all available ones."""
    table = ("stoker_job", "job", "holder")
    return detail.startswith(tuple(f"SCAN {name}" for name in table)) and not any(
        f"USING {kind}INDEX {index}" in detail
        for kind in ("", "COVERING ")
        for index in ("stoker_job_due", "stoker_job_expiry")
    )


def work_of(connection: sqlite3.Connection, store: Store, jobs: int) -> int:
    """Enqueue, claim and settle some jobs; give the hundreds of instructions that claim and settle cost."""
    store.run(store.enqueue([NewJob("work", "{}")] * jobs, new_call()))
    ticks = 0

    def tick() -> int:
        nonlocal ticks
        ticks += 1
        return 0

    connection.set_progress_handler(tick, 100)
    command = store.claim({"default": jobs}, ["work", "mail"], [""], new_token(), "worker", 30_000_000)
    claims = command.read(exchange(connection, command, NOW)).claims
    assert len(claims) == jobs
    endings = [Settlement(claim.id, claim.token, State.COMPLETED, keep=0) for claim in claims]
    exchange(connection, store.settle(endings), NOW)
    connection.set_progress_handler(None, 0)
    return ticks
