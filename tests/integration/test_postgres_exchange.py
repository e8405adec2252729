"""Units travel in pipeline mode, and what nobody waits for disturbs nobody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from stoker.core.command import Command, Sql
from stoker.drivers.postgres_exchange import MOST_PREPARED, Link, aexchange, exchange
from stoker.drivers.postgres_session import aopen_link, open_link, parameters
from stoker.drivers.postgres_text import Texts

TEXTS = Texts("stoker")
ONE = Sql("SELECT :word::text", {"word": "a"})
BROKEN = Sql("SELECT 1 / :number::integer", {"number": 0})


def unit(*steps: Sql, durable: bool = True) -> Command[object]:
    return Command("test", steps, lambda replies: replies, durable=durable)


@pytest.fixture
def link(postgres_server: str) -> Iterator[Link]:
    link = open_link(parameters(postgres_server))
    yield link
    link.drop()


def run(link: Link, *steps: Sql, after: Sql | None = None, durable: bool = True) -> list[list[Any]]:
    return [list(rows) for rows in exchange(link, unit(*steps, durable=durable), after, TEXTS, None)]


def test_each_step_of_a_unit_has_its_rows(link: Link) -> None:
    assert run(link, ONE, Sql("SELECT 2, NULL, true", {}), Sql("SET statement_timeout = 0", {})) == [
        [("a",)],
        [(2, None, True)],
        [],
    ]


def test_a_step_that_fails_undoes_the_unit_and_leaves_the_session_usable(link: Link) -> None:
    run(link, Sql("CREATE TEMPORARY TABLE kept (id integer)", {}))
    with pytest.raises(psycopg.errors.DivisionByZero):
        run(link, Sql("INSERT INTO kept VALUES (1)", {}), BROKEN, ONE)
    assert run(link, Sql("SELECT count(*) FROM kept", {}), ONE) == [[(0,)], [("a",)]]


def test_a_statement_that_could_not_be_prepared_is_prepared_when_it_can_be(link: Link) -> None:
    wanted = Sql("SELECT id FROM later", {})
    with pytest.raises(psycopg.errors.UndefinedTable):
        run(link, wanted)
    run(link, Sql("CREATE TEMPORARY TABLE later (id integer)", {}))
    assert run(link, wanted) == [[]]
    assert run(link, wanted) == [[]]


def test_what_comes_after_a_unit_is_done_though_nobody_waits_for_it(link: Link) -> None:
    run(link, Sql("CREATE TEMPORARY TABLE told (id integer)", {}))
    run(link, ONE, after=Sql("INSERT INTO told VALUES (1)", {}))
    assert run(link, Sql("SELECT id FROM told", {})) == [[(1,)]]


def test_what_fails_after_a_unit_is_nobody_s_failure(link: Link) -> None:
    assert run(link, ONE, after=BROKEN) == [[("a",)]]
    assert run(link, ONE) == [[("a",)]]


def test_a_unit_that_fails_keeps_nothing_back_that_comes_after_it(link: Link) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        run(link, BROKEN, after=ONE)
    assert run(link, ONE) == [[("a",)]]


def test_how_durable_a_unit_is_holds_for_that_unit(link: Link) -> None:
    shown = Sql("SHOW synchronous_commit", {})
    assert [run(link, shown, durable=durable) for durable in (True, False, False, True)] == [
        [[("on",)]],
        [[("off",)]],
        [[("off",)]],
        [[("on",)]],
    ]


def test_a_session_keeps_only_so_many_statements_ready(link: Link) -> None:
    for number in range(MOST_PREPARED + 10):
        assert run(link, Sql(f"SELECT {number}", {})) == [[(number,)]]
    assert run(link, Sql("SELECT count(*) FROM pg_prepared_statements", {})) == [[(MOST_PREPARED,)]]


def test_a_session_that_the_server_ended_says_why(link: Link, postgres_server: str) -> None:
    run(link, ONE)
    with psycopg.connect(postgres_server, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [link.pgconn.backend_pid])
    with pytest.raises(psycopg.OperationalError, match="terminating connection due to administrator command"):
        run(link, ONE)
    assert link.lost


async def test_an_answer_of_many_rows_arrives_whole_on_an_event_loop(postgres_server: str) -> None:
    link = await aopen_link(parameters(postgres_server))
    many = Sql("SELECT number, repeat('x', 1000) FROM generate_series(1, 20000) AS number", {})
    (rows,) = await aexchange(link, unit(many), None, TEXTS, None)
    link.drop()
    assert [row[0] for row in rows] == list(range(1, 20001))
    assert {row[1] for row in rows} == {"x" * 1000}
