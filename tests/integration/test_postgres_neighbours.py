"""Several schemas, several versions and several migrating processes get along in one database."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from urllib.parse import urlsplit

import psycopg
import pytest

from stoker.core.filters import Filter
from stoker.core.job import NewJob, State, new_call, new_token
from stoker.core.settlement import Settled, Settlement
from stoker.core.unique import UniqueKey
from stoker.drivers.postgres_text import Texts
from stoker.errors import ConfigurationError
from stoker.stores.postgres import PostgresStore
from stoker.stores.postgres.schema import migrations
from stoker.stores.postgres_urls import parse
from tests.rigs.ledger import sql
from tests.rigs.postgres import Postgres
from tests.rigs.processes import ROOT
from tests.rigs.servers import running

LEASE = 60_000_000


@pytest.fixture(scope="module")
def own_server() -> Iterator[str]:
    """Give the URL of a server whose schemas are all the test's."""
    with running(Postgres(fsync=False)) as server:
        yield server.url


def with_schema(server: str, name: str) -> str:
    return urlsplit(server)._replace(query=f"schema={name}").geturl()


def works(store: PostgresStore) -> None:
    """Let one unique job go all the way, with a retry."""
    (answer,) = store.run(store.enqueue([NewJob("work", "{}", unique=UniqueKey("key"))], new_call()))
    for state in (State.AVAILABLE, State.COMPLETED):
        command = store.claim({"default": 10}, ["work"], [""], new_token(), "worker", LEASE)
        (claim,) = store.run(command).claims
        ending = Settlement(claim.id, claim.token, state)
        assert store.run(store.settle([ending])) == {answer.id: Settled.ACCEPTED}


def waiting(store: PostgresStore) -> int:
    return sum(row.count for row in store.run(store.count()))


def migrate(url: str) -> list[str]:
    store = PostgresStore(url)
    try:
        return list(store.migrate())
    finally:
        store.close()


def test_of_many_processes_that_migrate_at_once_one_does(postgres_url: str) -> None:
    with ProcessPoolExecutor(8, multiprocessing.get_context("spawn")) as pool:
        applied = [name for names in pool.map(migrate, [postgres_url] * 8) for name in names]
    assert applied == list(migrations())


def test_a_short_statement_timeout_of_the_role_stops_no_migration_that_waits_for_another(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = parse(postgres_url)
    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=100ms")
    with psycopg.connect(parsed.conninfo) as other:
        name = f"stoker migrate {parsed.schema}"
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (name,))
        release = threading.Timer(0.5, other.rollback)
        release.start()
        assert migrate(postgres_url) == list(migrations())
        release.join()


def test_a_worker_runs_on_the_schema_of_a_later_version(postgres_url: str) -> None:
    migrate(postgres_url)
    parsed = parse(postgres_url)
    later = "INSERT INTO stoker.migration (name, at) VALUES ('9999_from_the_future', now())"
    more = (
        "ALTER TABLE stoker.job ADD COLUMN novelty text; ALTER TABLE stoker.lease ADD COLUMN novelty integer DEFAULT 7"
    )
    sql(parsed.conninfo, Texts(parsed.schema).plain(f"{later}; {more}"))
    store = PostgresStore(postgres_url, auto_migrate=False)
    assert store.pending_migrations() == []
    works(store)
    store.close()


@pytest.mark.parametrize("name", ["Jobs", "UPPER", "select", "_", "user", "stoker", "stoker_stoker", "x" * 46])
def test_a_schema_may_have_any_plain_name(own_server: str, name: str) -> None:
    store = PostgresStore(with_schema(own_server, name))
    works(store)
    store.close()
    assert sql(own_server, f"SELECT count(*) FROM pg_namespace WHERE nspname = '{name}'") == [(1,)]


@pytest.mark.parametrize("name", ["", "1st", "a-b", 'a"b', "a$$b", "a.b", "pg_jobs", "x" * 47, "größe"])
def test_a_schema_of_another_name_is_refused(postgres_server: str, name: str) -> None:
    with pytest.raises(ConfigurationError, match="schema is"):
        PostgresStore(with_schema(postgres_server, name))


def test_the_permissions_in_the_documentation_are_enough_to_work(own_server: str) -> None:
    page = (ROOT / "docs" / "how-to" / "postgresql.md").read_text()
    grants = page.partition("```sql\n")[2].partition("```")[0]
    migrate(own_server)
    sql(own_server, f"CREATE ROLE shop LOGIN; {grants}")
    store = PostgresStore(own_server.replace("postgres@", "shop@"), auto_migrate=False)
    works(store)
    ids = [answer.id for answer in store.run(store.enqueue([NewJob("work", "{}")], new_call()))]
    verbs = (
        store.cancel(Filter(ids=tuple(ids)), 1),
        store.retry(Filter(ids=tuple(ids)), 1),
        store.delete(Filter(ids=tuple(ids)), 1),
        store.pause("queue", ["default"], True),
        store.pause("queue", ["default"], False),
    )
    assert [store.run(verb).count for verb in verbs] == [1] * len(verbs)
    for verb in (store.promote(10), store.reclaim(10), store.prune(10), store.lead("role", "me", LEASE)):
        store.run(verb)
    store.close()


@pytest.mark.asyncio
async def test_two_schemas_of_one_database_neither_see_nor_wake_each_other(own_server: str) -> None:
    one, other = (PostgresStore(with_schema(own_server, name)) for name in ("one", "other"))
    for store in (one, other):
        while await store.wait(["default"], 0.2):
            pass
    sleeper = asyncio.create_task(other.wait(["default"], 1.0))
    await one.arun(one.enqueue([NewJob("work", "{}", unique=UniqueKey("key"))], new_call()))
    assert not await sleeper
    assert waiting(other) == 0
    (answer,) = other.run(other.enqueue([NewJob("work", "{}", unique=UniqueKey("key"))], new_call()))
    assert not answer.duplicate
    for store in (one, other):
        store.close()
