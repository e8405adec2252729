"""On SQLite too a handler completes its own job in the transaction of its writes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from stoker import Context, Stoker, fixed
from stoker.errors import NotSupported, StokerError
from stoker.telemetry.events import AttemptEnded, Event


@pytest.fixture
def database(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("CREATE TABLE customer (name)")
    return tmp_path / "shop.db"


def customers(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        count: int = connection.execute("SELECT count(*) FROM customer").fetchone()[0]
        return count


def test_what_a_handler_writes_and_its_completion_are_one(database: Path) -> None:
    with Stoker(f"sqlite:///{database}") as app:
        events: list[Event] = []
        app.events.listen(events.append)

        @app.job(backoff=fixed(0))
        def work(context: Context) -> int:
            with closing(sqlite3.connect(database)) as mine, mine, context.completing(mine) as sale:
                mine.execute("INSERT INTO customer VALUES ('Ann')")
                if context.attempt == 1:
                    raise ZeroDivisionError
                sale.result = customers(database)
            raise OSError

        job = work.enqueue()
        app.work(until_empty=True)
        assert (job.result(timeout="1s"), customers(database)) == (0, 1)
        endings = [event.settlement.state for event in events if isinstance(event, AttemptEnded)]
        assert endings == ["retryable", "completed"]


def test_a_connection_with_nothing_to_join_is_refused_before_the_block_writes(database: Path) -> None:
    with Stoker(f"sqlite:///{database}") as app:

        @app.job(max_attempts=1)
        def work(context: Context) -> None:
            with closing(sqlite3.connect(database, isolation_level=None)) as mine, context.completing(mine):
                mine.execute("INSERT INTO customer VALUES ('Ann')")

        job = work.enqueue()
        app.work(until_empty=True)
        with pytest.raises(StokerError, match="execute BEGIN first"):
            job.result(timeout="1s")
        assert customers(database) == 0


async def test_a_store_without_transactions_refuses_before_the_block_writes(database: Path) -> None:
    refused: list[NotSupported] = []
    async with Stoker("memory://") as app:

        @app.job(max_attempts=1)
        def work(context: Context) -> None:
            with closing(sqlite3.connect(database)) as mine, mine:
                try:
                    with context.completing(mine):
                        mine.execute("INSERT INTO customer VALUES ('Ann')")
                except NotSupported as error:
                    refused.append(error)

        async with app.working():
            await (await work.aenqueue()).aresult(timeout="5s")
    assert ["TRANSACTIONS" in str(error) for error in refused] == [True]
    assert customers(database) == 0


@pytest.mark.parametrize("mode", ["foreground", "called directly"])
async def test_where_no_store_has_the_job_the_block_simply_runs(database: Path, mode: str) -> None:
    async with Stoker("memory://", settings={"workers.mode": "foreground"}) as app:

        @app.job
        async def work(context: Context) -> None:
            with closing(sqlite3.connect(database)) as mine, mine:
                async with context.completing(mine):
                    mine.execute("INSERT INTO customer VALUES ('Ann')")

        await (work.aenqueue() if mode == "foreground" else work())
    assert customers(database) == 1
