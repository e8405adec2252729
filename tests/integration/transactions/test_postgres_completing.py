"""A handler completes its own job in the transaction of its writes: both happen together, or neither."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from stoker import Context, Stoker, fixed
from stoker.core.job import State
from stoker.errors import ClaimLost
from stoker.jobs.completing import Completing
from stoker.stores.postgres import PostgresStore
from stoker.telemetry.events import AttemptEnded, Event, LateEnding, LeaseLost, SettleRefused
from tests.integration.cli_processes import environment
from tests.rigs.callers import KINDS, Caller

if TYPE_CHECKING:
    from tests.integration.transactions.conftest import Shop

every_kind = pytest.mark.parametrize("caller", KINDS, indirect=True)
AT_ONCE = fixed(0)


class Rig:
    def __init__(self, url: str) -> None:
        settings = {"blocking_enqueue": "allow", "workers": {"lease": "1s"}}
        self.app: Stoker[Any] = Stoker(url, settings=settings)
        self.events: list[Event] = []
        self._told = asyncio.Event()
        self.app.events.listen(self._hear)

    def _hear(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, AttemptEnded):
            self._told.set()

    async def ended(self, attempts: int) -> None:
        """Wait until so many attempts have ended."""
        while len(self.seen(AttemptEnded)) < attempts:
            self._told.clear()
            await asyncio.wait_for(self._told.wait(), 10)

    def seen(self, kind: type[Any]) -> list[Any]:
        """Give the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
async def rig(postgres_url: str) -> AsyncIterator[Rig]:
    rig = Rig(postgres_url)
    yield rig
    rig.app.close()


async def sell(shop: Shop, completing: Completing) -> None:
    """Add a customer and complete the job, in the caller's open transaction."""
    if shop.caller.is_async:
        async with completing as sale:
            await shop.add()
            sale.result = "sold"
        return
    with completing as sale:
        await shop.add()
        sale.result = "sold"


@every_kind
async def test_what_a_handler_writes_and_its_completion_are_one(rig: Rig, shop: Shop) -> None:
    seen: list[tuple[int, str]] = []

    @rig.app.job
    async def work(context: Context) -> str:
        await sell(shop, context.completing(shop.caller.on))
        seen.append((shop.customers(), shop.jobs()[0].state))
        await shop.caller.commit()
        seen.append((shop.customers(), shop.jobs()[0].state))
        return "this is no longer asked for"

    job = work.enqueue()
    await rig.app.awork(until_empty=True)
    assert seen == [(0, "running"), (1, "completed")]
    assert await job.aresult(timeout="5s") == "sold"
    (ended,) = rig.seen(AttemptEnded)
    assert (ended.settlement.state, ended.settlement.result, shop.jobs()[0].starts) == (State.COMPLETED, '"sold"', 1)


@every_kind
async def test_a_block_that_raises_leaves_nothing_and_the_job_runs_again(rig: Rig, shop: Shop) -> None:
    @rig.app.job(backoff=AT_ONCE)
    async def work(context: Context) -> None:
        try:
            await sell(shop, context.completing(shop.caller.on))
            if context.attempt == 1:
                raise ZeroDivisionError
        except ZeroDivisionError:
            await shop.caller.rollback()
            await shop.caller.begin()
            raise
        await shop.caller.commit()

    work.enqueue()
    await rig.app.awork(until_empty=True)
    (job,) = shop.jobs()
    assert (job.state, job.starts, job.failures, shop.customers()) == ("completed", 2, 1, 1)
    assert [error.type for error in job.errors] == ["ZeroDivisionError"]
    assert rig.seen(LateEnding) == []


@every_kind
async def test_a_handler_that_returns_after_a_rollback_has_failed(rig: Rig, shop: Shop) -> None:
    @rig.app.job(backoff=AT_ONCE, retry_on=OSError)
    async def work(context: Context) -> None:
        await sell(shop, context.completing(shop.caller.on))
        if context.attempt == 1:
            await shop.caller.rollback()
            await shop.caller.begin()
        else:
            await shop.caller.commit()

    work.enqueue()
    await rig.app.awork(until_empty=True)
    (job,) = shop.jobs()
    assert (job.state, job.starts, shop.customers()) == ("completed", 2, 1)
    assert [(error.type, "had not been committed" in error.message) for error in job.errors] == [("NotCommitted", True)]


@pytest.mark.parametrize(
    "caller",
    [("psycopg", "READ COMMITTED"), ("asyncpg", "READ COMMITTED"), ("sqlalchemy session", "REPEATABLE READ")],
    indirect=True,
)
async def test_a_job_that_was_taken_back_inside_the_block_is_not_completed(
    rig: Rig, shop: Shop, postgres_url: str
) -> None:
    lost: list[BaseException] = []
    other = PostgresStore(postgres_url)

    @rig.app.job(backoff=AT_ONCE)
    async def work(context: Context) -> None:
        # Of its own: the next attempt begins before this one ends.
        mine = type(shop)(shop.store, shop.caller.another(), shop.onlooker, shop.schema)
        await mine.caller.open()
        await mine.caller.begin()
        try:
            await mine.add()
            if context._claim.crashes == 0:
                other.run(other.reclaim(10, [context._claim.token]))
            await sell(mine, context.completing(mine.caller.on))
            await mine.caller.commit()
        except BaseException as error:
            lost.append(error)
            await mine.caller.rollback()
            raise
        finally:
            await mine.caller.close()

    work.enqueue()
    await rig.app.awork(until_empty=True)
    other.close()
    (job,) = shop.jobs()
    assert (job.state, shop.customers()) == ("completed", 2)
    assert len(rig.seen(SettleRefused)) == 1
    (error,) = lost
    assert isinstance(error, ClaimLost) or "could not serialize" in str(error)


@every_kind
async def test_an_error_after_the_commit_is_told_and_not_tried_again(rig: Rig, shop: Shop) -> None:
    @rig.app.job(backoff=AT_ONCE, keep=0)
    async def work(context: Context) -> None:
        await sell(shop, context.completing(shop.caller.on))
        await shop.caller.commit()
        raise ZeroDivisionError

    work.enqueue()
    await rig.app.awork(until_empty=True)
    assert (shop.jobs(), shop.customers()) == ([], 1)
    ((late,), (ended,)) = rig.seen(LateEnding), rig.seen(AttemptEnded)
    assert (late.settlement.error.type, ended.settlement.state) == ("ZeroDivisionError", "completed")


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
async def test_leases_are_renewed_while_a_transaction_stays_open_for_longer(
    rig: Rig, shop: Shop, postgres_url: str, isolation: str
) -> None:
    other = PostgresStore(postgres_url)

    @rig.app.job
    async def work(context: Context) -> None:
        async with await psycopg.AsyncConnection.connect(shop.caller.conninfo) as connection:
            await connection.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}".encode())
            await connection.execute("SELECT 1")
            await asyncio.sleep(1.2)
            async with context.completing(connection):
                pass
            await asyncio.sleep(2.0)

    @rig.app.job
    async def neighbour() -> None:
        await asyncio.sleep(3.5)

    rig.app.enqueue_many([work.draft(), neighbour.draft()])
    working = asyncio.ensure_future(rig.app.awork(until_empty=True))
    while not working.done():
        back = await other.arun(other.reclaim(10))
        assert back.available == back.cancelled == back.discarded == ()
        await asyncio.sleep(0.1)
    await working
    other.close()
    assert [(job.state, job.starts) for job in shop.jobs()] == [("completed", 1)] * 2
    assert rig.seen(LeaseLost) == []


async def test_a_job_in_a_thread_completes_in_a_transaction_of_its_own(rig: Rig, shop: Shop) -> None:
    @rig.app.job
    def work(context: Context) -> int:
        with psycopg.connect(shop.caller.conninfo) as connection, context.completing(connection, result=42):
            connection.execute(f"INSERT INTO \"{shop.schema}\".customer VALUES ('Ann')".encode())
        return 0

    job = work.enqueue()
    await rig.app.awork(until_empty=True)
    assert (await job.aresult(timeout="5s"), shop.customers()) == (42, 1)


KILLED = """
import os, signal, sys
import psycopg
from stoker import Context, Stoker

app = Stoker(sys.argv[1], settings={"workers": {"lease": "1s"}})

@app.job(name="work")
def work(context: Context) -> None:
    with psycopg.connect(sys.argv[2]) as connection, context.completing(connection):
        connection.execute(sys.argv[3].encode())
    os.kill(os.getpid(), signal.SIGKILL)

work.enqueue()
app.work(until_empty=True)
"""


async def test_a_worker_that_dies_between_commit_and_settling_leaves_a_completed_job(
    rig: Rig, shop: Shop, postgres_url: str
) -> None:
    insert = f"INSERT INTO \"{shop.schema}\".customer VALUES ('Ann')"
    words = [sys.executable, "-c", KILLED, postgres_url, shop.caller.conninfo, insert]
    ended = await asyncio.to_thread(subprocess.run, words, env=environment(), timeout=30, check=False)
    assert ended.returncode == -9
    await asyncio.sleep(1.2)

    @rig.app.job
    async def work() -> None:
        raise AssertionError

    await rig.app.awork(until_empty=True)
    store = shop.store
    store.run(store.reclaim(10))
    (job,) = shop.jobs()
    assert (job.state, job.starts, job.crashes, shop.customers()) == ("completed", 1, 0, 1)
    assert shop.onlooker.execute(f'SELECT count(*) FROM "{shop.schema}".lease'.encode()).fetchone() == (0,)


async def test_a_transaction_left_open_holds_up_no_other_job_of_its_worker(rig: Rig, shop: Shop) -> None:
    connection = psycopg.connect(shop.caller.conninfo)

    @rig.app.job
    async def work(context: Context) -> None:
        with context.completing(connection):
            pass

    @rig.app.job(max_attempts=1)
    async def neighbour(seconds: float) -> None:
        await asyncio.sleep(seconds)
        raise ZeroDivisionError

    rig.app.enqueue_many([work.draft(), *(neighbour.draft(seconds) for seconds in (0.2, 1.5, 2.5))])
    async with rig.app.working():
        await asyncio.sleep(1.0)
        assert [job.state for job in shop.jobs()] == ["running", "discarded", "running", "running"]
        await rig.ended(3)
        connection.commit()
        await rig.ended(4)
    connection.close()
    assert [job.state for job in shop.jobs()] == ["completed", "discarded", "discarded", "discarded"]
    assert (rig.seen(LeaseLost), rig.seen(SettleRefused), rig.seen(LateEnding)) == ([], [], [])


async def test_a_completed_job_is_not_taken_back_before_the_commit(rig: Rig, caller: Caller, shop: Shop) -> None:
    @rig.app.job
    async def work(context: Context) -> None:
        await sell(shop, context.completing(caller.on))
        back = shop.store.run(shop.store.reclaim(10, [context._claim.token]))
        assert back.available == ()
        await caller.commit()

    work.enqueue()
    await rig.app.awork(until_empty=True)
    assert [(job.state, job.crashes) for job in shop.jobs()] == [("completed", 0)]
