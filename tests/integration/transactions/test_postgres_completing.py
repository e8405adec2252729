"""A handler completes its own job in the transaction of its writes: both happen together, or neither."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stoker import Context, fixed
from stoker.core.job import State
from stoker.errors import ClaimLost
from stoker.stores.postgres import PostgresStore
from stoker.telemetry.events import AttemptEnded, LateEnding, SettleRefused
from tests.rigs.callers import KINDS

if TYPE_CHECKING:
    from tests.integration.transactions.conftest import Rig, Shop

every_kind = pytest.mark.parametrize("caller", KINDS, indirect=True)
AT_ONCE = fixed(0)


@every_kind
async def test_what_a_handler_writes_and_its_completion_are_one(rig: Rig, shop: Shop) -> None:
    seen: list[tuple[int, str]] = []

    @rig.app.job
    async def work(context: Context) -> str:
        await shop.sell(context.completing(shop.caller.on))
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
            await shop.sell(context.completing(shop.caller.on))
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
        await shop.sell(context.completing(shop.caller.on))
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
            await mine.sell(context.completing(mine.caller.on))
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
        await shop.sell(context.completing(shop.caller.on))
        await shop.caller.commit()
        raise ZeroDivisionError

    work.enqueue()
    await rig.app.awork(until_empty=True)
    assert (shop.jobs(), shop.customers()) == ([], 1)
    ((late,), (ended,)) = rig.seen(LateEnding), rig.seen(AttemptEnded)
    assert (late.settlement.error.type, ended.settlement.state) == ("ZeroDivisionError", "completed")
