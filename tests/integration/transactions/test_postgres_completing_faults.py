"""A completion in a transaction under long transactions, dead workers and handlers that forget to commit."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import psycopg
import pytest

from stoker import Context
from stoker.stores.postgres import PostgresStore
from stoker.telemetry.events import LateEnding, LeaseLost, SettleRefused
from tests.integration.cli_processes import environment
from tests.rigs.callers import Caller

if TYPE_CHECKING:
    from tests.integration.transactions.conftest import Rig, Shop


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
        await shop.sell(context.completing(caller.on))
        back = shop.store.run(shop.store.reclaim(10, [context._claim.token]))
        assert back.available == ()
        await caller.commit()

    work.enqueue()
    await rig.app.awork(until_empty=True)
    assert [(job.state, job.crashes) for job in shop.jobs()] == [("completed", 0)]
