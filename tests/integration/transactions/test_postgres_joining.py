"""On PostgreSQL an enqueue inside the caller's own transaction commits and rolls back with it, however one connects."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psycopg
import pytest

from stoker.core.job import Due, NewJob, new_call
from stoker.core.unique import OnConflict, UniqueKey
from stoker.errors import DuplicateJob
from tests.rigs.callers import KINDS

if TYPE_CHECKING:
    from tests.integration.transactions.conftest import Shop, Sleeper

ISOLATIONS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
every_kind = pytest.mark.parametrize("caller", KINDS, indirect=True)
every_isolation = pytest.mark.parametrize(
    "caller",
    [(kind, isolation) for kind in ("psycopg", "asyncpg", "sqlalchemy async session") for isolation in ISOLATIONS],
    indirect=True,
)


@every_kind
async def test_the_id_is_known_before_the_commit_and_nobody_sees_the_job_until_then(shop: Shop) -> None:
    await shop.add()
    (id,) = await shop.enqueue()
    assert shop.stored() == []
    await shop.caller.commit()
    assert shop.stored() == [id]
    assert shop.customers() == 1


@every_kind
async def test_a_rollback_takes_the_job_along(shop: Shop) -> None:
    await shop.add()
    await shop.enqueue()
    await shop.caller.rollback()
    assert (shop.stored(), shop.customers()) == ([], 0)
    await shop.caller.begin()
    (id,) = await shop.enqueue()
    await shop.caller.commit()
    assert shop.stored() == [id]


@every_kind
async def test_many_jobs_of_several_sorts_are_there_together(shop: Shop) -> None:
    ids = await shop.enqueue(
        NewJob("work", '{"name":"é\\u0000\\\\ \\"%s %(x)s :now $1"}', priority=3),
        NewJob("work", "[]", "mail", due=Due(3_600_000_000), meta='{"a":1}', labels=("a", "b")),
        NewJob("work", "{}", unique=UniqueKey("key"), keep=None),
    )
    assert shop.stored() == []
    await shop.caller.commit()
    assert shop.stored() == ids
    first, second, _ = shop.jobs()
    assert first.args == '{"name":"é\\u0000\\\\ \\"%s %(x)s :now $1"}'
    assert (second.queue, second.labels, second.meta, second.state) == ("mail", ("a", "b"), '{"a":1}', "scheduled")


@every_kind
async def test_a_savepoint_that_is_rolled_back_drops_its_own_jobs_only(shop: Shop) -> None:
    (before,) = await shop.enqueue()
    await shop.caller.execute("SAVEPOINT stoker")
    await shop.enqueue(NewJob("work", "{}"), NewJob("other", "{}"))
    await shop.caller.execute("ROLLBACK TO SAVEPOINT stoker")
    (after,) = await shop.enqueue()
    await shop.caller.commit()
    assert shop.stored() == [before, after]


@every_kind
async def test_a_key_that_is_taken_leaves_the_transaction_as_it_was(shop: Shop) -> None:
    (holder,) = shop.enqueue_outside(NewJob("work", '{"n":1}', unique=UniqueKey("key")))
    await shop.add()
    with pytest.raises(DuplicateJob):
        await shop.enqueue(NewJob("work", "{}"), NewJob("work", "{}", unique=UniqueKey("key", on_conflict="raise")))
    policies: list[OnConflict] = ["keep", "replace", "reschedule"]
    for policy in policies:
        unique = UniqueKey("key", on_conflict=policy)
        assert await shop.enqueue(NewJob("work", f'"{policy}"', unique=unique, due=Due(60_000_000))) == [holder]
    await shop.caller.commit()
    assert (shop.stored(), shop.customers()) == ([holder], 1)
    (found,) = shop.jobs()
    assert (found.args, found.state) == ('"replace"', "scheduled")


@every_isolation
async def test_every_isolation_level_is_welcome(shop: Shop) -> None:
    (holder,) = shop.enqueue_outside(NewJob("work", "{}", unique=UniqueKey("key")))
    await shop.add()
    ids = await shop.enqueue(NewJob("work", "{}"), NewJob("work", "{}", unique=UniqueKey("key", on_conflict="replace")))
    with pytest.raises(DuplicateJob):
        await shop.enqueue(NewJob("work", "{}", unique=UniqueKey("key", on_conflict="raise")))
    await shop.caller.commit()
    assert (sorted(shop.stored()), ids[1]) == (sorted([holder, ids[0]]), holder)


@every_kind
async def test_a_statement_that_fails_in_the_middle_leaves_the_transaction_usable(shop: Shop) -> None:
    await shop.add()
    await shop.caller.execute("SET LOCAL lock_timeout = '20ms'")
    with psycopg.connect(shop.caller.conninfo) as other:
        elsewhere = shop.store.enqueue([NewJob("work", "{}", unique=UniqueKey("key"))], new_call())
        shop.store.run(elsewhere, on=other)
        with pytest.raises(Exception, match="lock timeout"):
            await shop.enqueue(NewJob("work", "{}", unique=UniqueKey("key")))
        await shop.add("Ben")
        await shop.caller.commit()
    assert (shop.customers(), len(shop.stored())) == (2, 1)


@every_kind
async def test_a_sleeping_worker_wakes_at_the_commit_and_not_before(shop: Shop, sleeper: Sleeper) -> None:
    async with sleeper() as worker:
        await shop.enqueue(NewJob("work", "{}"), NewJob("work", "[]"), NewJob("other", "{}"))
        woken = asyncio.ensure_future(worker.wait(["default"], 20.0))
        await asyncio.sleep(0.2)
        assert not woken.done()
        await shop.caller.commit()
        assert await asyncio.wait_for(woken, 2.0)


@every_kind
async def test_nobody_wakes_for_a_rollback(shop: Shop, sleeper: Sleeper) -> None:
    async with sleeper() as worker:
        await shop.enqueue()
        await shop.caller.rollback()
        assert not await worker.wait(["default"], 0.3)
