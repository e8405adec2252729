"""What callers set on their connections changes nothing for us, and we change nothing for them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.string import StrDumper, TextLoader
from sqlalchemy import create_engine

from stoker.core.filters import EVERYTHING
from stoker.core.job import JobId, NewJob, new_call
from stoker.core.unique import UniqueKey
from stoker.stores.postgres import PostgresStore
from tests.rigs.callers import KINDS, untyped

if TYPE_CHECKING:
    from tests.integration.transactions.conftest import Shop

every_kind = pytest.mark.parametrize("caller", KINDS, indirect=True)
ODD = """
SET TimeZone = 'Asia/Kathmandu'; SET DateStyle = 'German'; SET IntervalStyle = 'iso_8601'; SET bytea_output = 'escape';
SET search_path = 'pg_temp'; SET extra_float_digits = -15; SET standard_conforming_strings = off;
SET escape_string_warning = off; SET backslash_quote = on; SET transform_null_equals = on;
SET enable_indexscan = off; SET lc_numeric = 'C'"""
JOBS = [NewJob("work", '{"a":"\\\\ é"}'), NewJob("work", '{"a":1.5}', "mail", unique=UniqueKey("é\\"))]


@every_kind
async def test_a_session_full_of_odd_settings_enqueues_as_any_other(shop: Shop) -> None:
    for text in ODD.split(";"):
        await shop.caller.execute(text)
    ids = await shop.enqueue(*JOBS)
    assert await shop.enqueue(JOBS[1]) == ids[1:]
    await shop.enqueue()
    await shop.caller.commit()
    first, second, _ = shop.jobs()
    assert ([first.id, second.id], [first.args, second.args]) == (ids, [job.args for job in JOBS])
    assert first.run_at == first.enqueued_at


class Shouting(StrDumper):
    def dump(self, obj: str) -> Any:
        return super().dump(obj.upper())


class Mirroring(TextLoader):
    def load(self, data: Any) -> str:
        return str(super().load(data))[::-1]


async def test_adapters_and_factories_of_psycopg_are_left_alone_and_do_not_reach_us(shop: Shop) -> None:
    on = shop.caller.on
    on.adapters.register_dumper(str, Shouting)
    on.adapters.register_loader("text", Mirroring)
    on.row_factory = dict_row
    on.cursor_factory = psycopg.ClientCursor
    on.prepare_threshold = 0
    ids = await shop.enqueue(*JOBS)
    assert on.execute("SELECT %s::text AS said", ["abc"]).fetchone() == {"said": "CBA"}
    await shop.caller.commit()
    assert [(job.id, job.name) for job in shop.jobs()] == [(id, "work") for id in ids]


async def test_nothing_is_prepared_on_a_connection_of_psycopg(shop: Shop) -> None:
    for _ in range(10):
        await shop.enqueue()
    (row,) = shop.caller.on.execute("SELECT count(*) FROM pg_prepared_statements").fetchall()
    assert row == (0,)


async def test_codecs_of_asyncpg_do_not_reach_us(store: PostgresStore, postgres_server: str) -> None:
    connection = await untyped("asyncpg").connect(postgres_server, statement_cache_size=0)
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(kind, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
    for kind in ("int8", "int4"):
        await connection.set_type_codec(kind, encoder=lambda value: f"9{value}", decoder=hex, schema="pg_catalog")
    async with connection.transaction():
        answers = await store.arun(store.enqueue(JOBS, new_call()), on=connection)
    await connection.close()
    assert look(store) == [(answer.id, job.args, 20) for answer, job in zip(answers, JOBS, strict=True)]


def test_options_of_sqlalchemy_do_not_reach_us(store: PostgresStore, postgres_server: str) -> None:
    url = postgres_server.replace("postgresql", "postgresql+psycopg", 1)
    engine = create_engine(url, execution_options={"stream_results": True, "yield_per": 1})
    with engine.begin() as connection:
        answers = store.run(store.enqueue(JOBS, new_call()), on=connection)
    engine.dispose()
    assert [row[0] for row in look(store)] == [answer.id for answer in answers]


def look(store: PostgresStore) -> list[tuple[JobId, str, int]]:
    return [(job.id, job.args, job.max_attempts) for job in store.run(store.find(EVERYTHING, 10))][::-1]
