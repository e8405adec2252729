"""The PostgreSQL store works at the same cost whatever was there before, and overlooks nothing for it.

Costs are counted in pages that the server touched, not in seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from stoker.core.job import Claim, Due, NewJob, State, new_call, new_token
from stoker.core.settlement import Settled, Settlement
from stoker.drivers.postgres_text import Texts
from stoker.stores.postgres import PostgresStore, marks
from stoker.stores.postgres_urls import parse
from stoker.testing.fake_clock import FakeClock
from tests.rigs.plans import Plans, watched_plans

SECOND = 1_000_000
LEASE = 60 * SECOND
COLUMNS = """state, queue, route, name, priority, run_at, max_attempts, crash_limit, enqueued_at, version, labels, meta,
    args"""


class Stand:
    """A store whose sweeps come only when they are asked for, and a look behind it."""

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch, clock: FakeClock | None = None) -> None:
        self.now = 1000.0
        monkeypatch.setattr(marks, "monotonic", lambda: self.now)
        self.store = PostgresStore(url, clock=clock)
        parsed = parse(url)
        self.texts = Texts(parsed.schema)
        self.conninfo = parsed.conninfo

    def sql(self, text: str) -> list[Any]:
        """Run a statement of the test's own."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            cursor = connection.execute(self.texts.plain(text).encode())
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def pinned(self) -> Iterator[None]:
        """Hold a snapshot, so that the server can clean nothing up."""
        with psycopg.connect(self.conninfo) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            connection.execute("SELECT 1")
            yield

    def let_sweep(self) -> None:
        """Let so much time pass that the next claim is a sweep."""
        self.now += 1_000_000.0

    def enqueue(self, *jobs: NewJob) -> list[str]:
        """Store jobs."""
        return [answer.id for answer in self.store.run(self.store.enqueue(jobs, new_call()))]

    def claim(self, limit: int = 10) -> list[Claim]:
        """Claim jobs."""
        command = self.store.claim({"default": limit}, ["work"], [""], new_token(), "worker", LEASE)
        return self.store.run(command).claims

    def ids(self, limit: int = 10) -> list[str]:
        """Claim jobs and name them."""
        return [claim.id for claim in self.claim(limit)]

    def finish(self, claims: Sequence[Claim], keep: int = 0) -> None:
        """Complete jobs."""
        endings = [Settlement(claim.id, claim.token, State.COMPLETED, keep=keep) for claim in claims]
        assert set(self.store.run(self.store.settle(endings)).values()) <= {Settled.ACCEPTED}


@pytest.fixture
def stand(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    stand = Stand(postgres_url, monkeypatch)
    yield stand
    stand.store.close()


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> Plans:
    return watched_plans(monkeypatch)


def work(**fields: Any) -> NewJob:
    return NewJob("work", "{}", **fields)


def pages(plans: Plans, act: Callable[[], object]) -> int:
    plans.forget()
    act()
    assert plans.pages
    return plans.pages


# -- flat --------------------------------------------------------------------------------------------------------------


def test_a_claim_costs_the_same_before_and_behind_the_dead_entries_of_a_long_drain(plans: Plans, stand: Stand) -> None:
    for _ in range(2):
        stand.enqueue(*(work() for _ in range(10_000)))
    with stand.pinned():
        costs: list[int] = []
        for _ in range(20_000 // 500):
            stand.finish(stand.claim(400))
            costs.append(pages(plans, lambda: stand.finish(stand.claim(100))))
        assert stand.claim(1) == []
        bounded = pages(plans, stand.claim)
        stand.let_sweep()
        sweep = pages(plans, stand.claim)
    early, late = sum(costs[2:7]), sum(costs[-5:])
    assert late < 1.3 * early
    assert sweep > 5 * bounded, "the sweep found nothing dead: the test has proven nothing"


def test_what_is_due_next_is_found_behind_the_dead_entries_of_promoted_jobs(plans: Plans, stand: Stand) -> None:
    stand.enqueue(work(due=Due(delay=SECOND * 3600)))
    stand.enqueue(*(work(due=Due(delay=1)) for _ in range(5_000)))
    stand.claim(1)
    before = pages(plans, lambda: stand.claim(1))
    with stand.pinned():
        stand.let_sweep()
        stand.claim(1)
        costs: list[int] = []
        for _ in range(50):
            costs.append(pages(plans, lambda: stand.store.run(stand.store.promote(100))))
            stand.claim(1)
        after = pages(plans, lambda: stand.claim(1))
        stand.let_sweep()
        sweep = pages(plans, lambda: stand.claim(1))
    assert after < before + 30
    assert sum(costs[-5:]) < 1.5 * sum(costs[5:10])
    assert sweep > 2 * after, "the sweep found nothing dead: the test has proven nothing"


def test_a_round_of_pruning_does_not_walk_over_what_it_has_deleted(plans: Plans, stand: Stand) -> None:
    stand.enqueue(*(work() for _ in range(10_000)))
    stand.sql("TRUNCATE stoker.ready")
    stand.sql("UPDATE stoker.job SET state = 5, expires_at = id")
    with stand.pinned():
        costs = [pages(plans, lambda: stand.store.run(stand.store.prune(200))) for _ in range(49)]
    assert stand.sql("SELECT count(*) FROM stoker.job") == [(200,)]
    assert sum(costs[-5:]) < 1.3 * sum(costs[2:7])


# -- and nothing overlooked --------------------------------------------------------------------------------------------


def test_a_sweep_finds_a_job_whose_transaction_took_its_place_early_and_was_committed_late(stand: Stand) -> None:
    with psycopg.connect(stand.conninfo) as caller:
        command = stand.store.enqueue([work()], new_call())
        (late,) = stand.store.run(command, on=caller)
        others = stand.enqueue(work(), work())
        assert stand.ids() == others
        caller.commit()
    assert stand.ids() == [], "a bounded claim finds it too: then why sweep?"
    stand.let_sweep()
    assert stand.ids() == [late.id]


def test_a_sweep_finds_the_jobs_of_a_claimer_that_was_rolled_back(stand: Stand) -> None:
    ids = stand.enqueue(*(work() for _ in range(6)))
    with psycopg.connect(stand.conninfo) as claimer:
        locked = claimer.execute(
            stand.texts.plain("SELECT id FROM stoker.ready ORDER BY pos LIMIT 3 FOR UPDATE").encode()
        ).fetchall()
        assert stand.ids() == ids[3:]
        claimer.rollback()
    assert [str(id) for (id,) in locked] == ids[:3]
    stand.let_sweep()
    assert stand.ids() == ids[:3]


def test_jobs_before_a_sweeps_end_are_claimed_by_the_claims_that_follow_it(stand: Stand) -> None:
    with psycopg.connect(stand.conninfo) as caller:
        late = stand.store.run(stand.store.enqueue([work() for _ in range(30)], new_call()), on=caller)
        stand.enqueue(*(work() for _ in range(5)))
        assert len(stand.claim()) == 5
        caller.commit()
    stand.let_sweep()
    assert [id for _ in range(3) for id in stand.ids(10)] == [answer.id for answer in late]


def test_a_retry_is_found_without_a_sweep(stand: Stand) -> None:
    stand.enqueue(*(work() for _ in range(5)))
    first, *others = stand.claim()
    stand.finish(others)
    ending = Settlement(first.id, first.token, State.AVAILABLE, counts="failure")
    assert stand.store.run(stand.store.settle([ending])) == {first.id: Settled.ACCEPTED}
    assert stand.ids() == [first.id]


def test_a_promoted_job_is_found_without_a_sweep(stand: Stand) -> None:
    (scheduled,) = stand.enqueue(work(due=Due(delay=SECOND // 10)))
    stand.enqueue(work(), work())
    assert len(stand.claim()) == 2
    deadline = time.monotonic() + 20
    while not stand.store.run(stand.store.promote(10)).count:
        assert time.monotonic() < deadline
    assert stand.ids() == [scheduled]


def test_a_sweep_finds_a_job_that_was_imported_with_an_earlier_place(stand: Stand) -> None:
    ids = stand.enqueue(work(), work())
    imported = stand.sql("SELECT nextval('stoker.line')")[0][0]
    later = stand.enqueue(work())
    assert stand.ids() == [*ids, *later]
    stand.sql(f"""
        WITH one AS (
            INSERT INTO stoker.job (id, pos, {COLUMNS}) SELECT {imported}, 1, {COLUMNS}
            FROM stoker.job WHERE id = {ids[0]} RETURNING *
        ) INSERT INTO stoker.ready SELECT queue, route, name, priority, pos, id, run_at, 2 FROM one""")
    stand.let_sweep()
    assert stand.ids() == [str(imported)]


@pytest.mark.parametrize("priority", [1, -1, 100])
def test_a_job_of_a_new_priority_is_found_without_a_sweep(stand: Stand, priority: int) -> None:
    stand.enqueue(work(), work())
    assert len(stand.claim()) == 2
    (other,) = stand.enqueue(work(priority=priority))
    assert stand.ids() == [other]


class Wrong(FakeClock):
    """A clock that somebody sets."""

    wrong_by = 0

    def now(self) -> int:
        return super().now() + self.wrong_by


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_step_hides_no_job(postgres_url: str, monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    clock = Wrong()
    stand = Stand(postgres_url, monkeypatch, clock)
    stand.enqueue(work(), work())
    assert len(stand.claim()) == 2
    clock.wrong_by = hours * 3600 * SECOND
    stand.claim()
    (available,) = stand.enqueue(work())
    (scheduled,) = stand.enqueue(work(due=Due(delay=10 * SECOND)))
    assert stand.ids() == [available]
    clock.advance("10s")
    assert stand.store.run(stand.store.promote(10)).count == 1
    assert stand.ids() == [scheduled]
    stand.store.close()


def test_a_sweep_finds_a_scheduled_job_that_was_committed_after_later_ones_were_promoted(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    stand = Stand(postgres_url, monkeypatch, clock)
    with psycopg.connect(stand.conninfo) as caller:
        (late,) = stand.store.run(stand.store.enqueue([work(due=Due(delay=SECOND))], new_call()), on=caller)
        clock.advance("10s")
        stand.claim()
        caller.commit()
    stand.let_sweep()
    claimed = stand.store.run(stand.store.claim({"default": 1}, ["work"], [""], new_token(), "worker", LEASE))
    assert claimed.next_due is not None
    assert claimed.next_due < claimed.now
    assert stand.store.run(stand.store.promote(10)).count == 1
    assert stand.ids() == [late.id]
    stand.store.close()


def test_an_idle_worker_sleeps_no_longer_than_until_the_sweep_that_its_last_claim_was_not(postgres_url: str) -> None:
    store = PostgresStore(postgres_url)

    def claim() -> list[Claim]:
        return store.run(store.claim({"default": 10}, ["work"], [""], new_token(), "worker", LEASE)).claims

    async def slept(seconds: float) -> float:
        began = time.monotonic()
        await store.wait(["default"], seconds)
        return time.monotonic() - began

    async def scene() -> None:
        await store.wait(["default"], 0.001)
        claim()
        assert await slept(0.5) > 0.4, "after a sweep there is nothing that it cannot have seen"
        claim()
        claim()
        assert await slept(60.0) < 30.0

    asyncio.run(scene())
    store.close()
