"""The function `enqueue` of the schema: jobs from triggers, and from languages that stoker has never heard of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
import pytest

from stoker import Stoker, Unique
from stoker.core.job import JobId, NewJob, new_call
from stoker.core.unique import UniqueKey
from stoker.stores.postgres import PostgresStore

if TYPE_CHECKING:
    from tests.integration.transactions.conftest import Shop, Sleeper

TRIGGER = """
CREATE FUNCTION "{schema}".welcome() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM "{schema}".enqueue('welcome', json_build_object('name', NEW.name));
    RETURN NULL;
END $$;
CREATE TRIGGER welcome AFTER INSERT ON "{schema}".customer FOR EACH ROW EXECUTE FUNCTION "{schema}".welcome()"""

Call = Callable[..., Any]


@pytest.fixture
def call(onlooker: psycopg.Connection[Any], schema: str) -> Call:
    """Call the function with these words between its parentheses; give what it gives."""

    def enqueue(words: str, *values: object) -> Any:
        row = onlooker.execute(f'SELECT "{schema}".enqueue({words})'.encode(), values).fetchone()
        assert row is not None
        return row[0]

    return enqueue


async def test_a_trigger_enqueues_and_a_worker_performs(shop: Shop, postgres_url: str) -> None:
    welcomed: list[str] = []
    shop.onlooker.execute(TRIGGER.format(schema=shop.schema).encode())
    async with Stoker(postgres_url) as app:

        @app.job
        async def welcome(name: str) -> None:
            welcomed.append(name)

        await shop.add("Ann")
        await shop.caller.rollback()
        await shop.caller.begin()
        await shop.add("Ben")
        assert shop.stored() == []
        await shop.caller.commit()
        await app.awork(until_empty=True)
    assert (welcomed, shop.customers()) == (["Ben"], 1)


def test_a_job_from_sql_is_like_one_from_python(call: Call, store: PostgresStore, shop: Shop) -> None:
    (from_python,) = shop.enqueue_outside(NewJob("work", '{"n": 1.50}'))
    from_sql = call("'work', '{\"n\": 1.50}'")
    found = {job.id: msgspec.structs.asdict(job) for job in shop.jobs()}
    one, other = found[from_python], found[JobId(str(from_sql))]
    assert abs(one["run_at"] - other["run_at"]) < 5_000_000
    for changing in ("id", "run_at", "enqueued_at"):
        del one[changing], other[changing]
    assert one == other


@pytest.mark.parametrize("args", ['{"b":1,  "a":1e400, "b":2}', '["\\u0000", 12345678901234567890]', "[ ]"])
def test_arguments_are_kept_byte_for_byte(call: Call, shop: Shop, args: str) -> None:
    call("'work', %s", args)
    assert [job.args for job in shop.jobs()] == [args]


def test_every_option_is_there(call: Call, shop: Shop) -> None:
    call(
        "name => 'work', queue => 'mail', delay => '1 hour', priority => 7, max_attempts => 2, keep => NULL,"
        " keep_failed => '0 s'"
    )
    call("'work', at => '2020-01-01T00:00:00Z'")
    later, past = shop.jobs()
    assert (later.queue, later.priority, later.max_attempts, later.keep, later.keep_failed) == ("mail", 7, 2, None, 0)
    assert (later.state, later.run_at - later.enqueued_at) == ("scheduled", 3_600_000_000)
    assert (past.state, past.run_at) == ("available", 1_577_836_800_000_000)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("NULL", "name is null"),
        ("'send mail'", "name is 'send mail'"),
        ("'work', 'null'", "args must be a JSON object"),
        ("'work', NULL", "args must be a JSON object"),
        ("'work', queue => ''", "queue is ''"),
        ("'work', priority => 101", "priority is 101; it must be from -100 to 100"),
        ("'work', max_attempts => 0", "max_attempts is 0"),
        ("'work', delay => '1 s', at => now()", "delay and at exclude each other"),
        ("'work', keep => '-1 s'", "must not be negative"),
    ],
)
def test_what_is_wrong_is_said(call: Call, shop: Shop, words: str, said: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=said):
        call(words)
    assert shop.stored() == []


async def test_a_unique_key_is_the_same_from_sql_and_from_python(call: Call, postgres_url: str, shop: Shop) -> None:
    first = call("'work', unique_key => 'key é'")
    assert call("'work', unique_key => 'key é'") == first
    async with Stoker(postgres_url) as app:

        @app.job
        async def work() -> None: ...

        unique = work.using(unique=Unique(key="key é"))
        assert (await unique.aenqueue()).id == str(first)
        await app.awork(until_empty=True)
        again = (await unique.aenqueue()).id
    assert again != str(first)
    assert str(call("'work', unique_key => 'key é'")) == again


async def test_a_sleeping_worker_wakes_at_the_commit(shop: Shop, sleeper: Sleeper) -> None:
    async with sleeper() as worker:
        await shop.caller.execute(f"SELECT \"{shop.schema}\".enqueue('work')")
        woken = asyncio.ensure_future(worker.wait(["default"], 20.0))
        await asyncio.sleep(0.2)
        assert not woken.done()
        await shop.caller.commit()
        assert await asyncio.wait_for(woken, 2.0)


def test_a_role_with_the_documented_rights_may_enqueue(
    onlooker: psycopg.Connection[Any], schema: str, store: PostgresStore
) -> None:
    role = f"{schema}_clerk"
    onlooker.execute(f'CREATE ROLE "{role}"'.encode())
    try:
        onlooker.execute(
            f'GRANT USAGE ON SCHEMA "{schema}" TO "{role}";'
            f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA "{schema}" TO "{role}";'
            f'GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA "{schema}" TO "{role}"'.encode()
        )
        onlooker.execute(f'SET ROLE "{role}"'.encode())
        onlooker.execute(f"SELECT \"{schema}\".enqueue('work', unique_key => 'a')".encode())
        with onlooker.transaction():
            jobs = [NewJob("work", "{}"), NewJob("work", "{}", unique=UniqueKey("b", on_conflict="replace"))]
            store.run(store.enqueue(jobs, new_call()), on=onlooker)
    finally:
        onlooker.execute(f'RESET ROLE; DROP OWNED BY "{role}"; DROP ROLE "{role}"'.encode())
    assert [row.count for row in store.run(store.count())] == [3]
