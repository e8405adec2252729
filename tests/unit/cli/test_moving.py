"""`queues move`, and what `status` and `doctor` say of stores that are emptied."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import redis

from stoker import Stoker
from stoker.core.filters import EVERYTHING
from stoker.core.job import new_token
from stoker.core.moving import MOVING
from tests.unit.cli.conftest import Shell

SHOP = """
from stoker import Stoker

app = Stoker(
    "sqlite:///new.sqlite3", stores={"legacy": "sqlite:///old.sqlite3", "aside": "memory://"}, retiring=["legacy"]
)


@app.job(queue="mail")
def send(to: str) -> None: ...
"""


@pytest.fixture
def shop(shop: Shell) -> Shell:
    shop.write("shop.py", SHOP)
    return shop


@pytest.fixture
def old(shop: Shell) -> Iterator[Stoker[None]]:
    """The old store of `shop`, as an earlier release sees it."""
    app: Stoker[None] = Stoker(f"sqlite:///{shop.folder}/old.sqlite3")
    with app:

        @app.job(queue="mail")
        def send(to: str) -> None: ...

        yield app


def left(shop: Shell, store: str) -> int:
    return len(shop.answer("jobs", "list", "--store", store))


def test_what_waits_goes_to_the_default_store(shop: Shell, old: Stoker[None]) -> None:
    for name in ("a", "b"):
        old.get("send").enqueue(name)
    old.get("send").using(delay="1h").enqueue("c")

    assert shop("queues", "move", "--from-store", "legacy").stdout == "3 jobs match\n3 jobs moved\n"
    assert (left(shop, "legacy"), left(shop, "default")) == (0, 3)
    assert shop("queues", "move", "--from-store", "legacy").stdout == "0 jobs match\n0 jobs moved\n"


def test_a_filter_and_a_limit_choose_and_the_rest_is_said(shop: Shell, old: Stoker[None]) -> None:
    for to in ("a", "b", "c"):
        old.get("send").enqueue(to)

    assert shop.answer("queues", "move", "--from-store", "legacy", "--arg", 'to="a"')["moved"] == 1
    moved = shop.answer("queues", "move", "--from-store", "legacy", "--queue", "mail", "--limit", "1")
    assert (moved["matching"], moved["moved"], moved["unfinished"]) == (1, 1, 0)
    assert left(shop, "legacy") == 1


def test_a_dry_run_only_counts(shop: Shell, old: Stoker[None]) -> None:
    old.get("send").enqueue("a")

    said = shop("queues", "move", "--from-store", "legacy", "--dry-run")
    assert said.stdout == "1 job matches\ndry run: nothing was moved\n"
    assert left(shop, "legacy") == 1


def test_members_of_a_batch_stay_and_are_counted(shop: Shell, old: Stoker[None]) -> None:
    with old.batch("b") as batch:
        batch.add(old.get("send").draft("a"))

    said = shop("queues", "move", "--from-store", "legacy").stdout
    assert "0 jobs moved" in said
    assert "1 job left: members of batches" in said


def test_an_unfinished_move_is_shown_and_finished(shop: Shell, old: Stoker[None]) -> None:
    old.get("send").enqueue("a")
    store, target = old.store(), f"sqlite:///{shop.folder}/new.sqlite3"
    store.run(store.hold(EVERYTHING, 1, new_token(), f"{MOVING}{target}"))

    assert f"1 job on the way to {target} since " in shop("status", "--store", "legacy").stdout
    (one,) = shop.answer("status", "--store", "legacy")["stores"]
    assert (one["moving"][0]["to"], one["moving"][0]["jobs"], one["empty"]) == (target, 1, False)
    assert "1 jobs are on their way to" in shop("doctor", "--store", "legacy").stdout
    said = shop("queues", "move", "--from-store", "legacy").stdout
    assert said == (
        "0 jobs match, and 1 job of an earlier move on the way\n1 job moved, 1 of them from an earlier move\n"
    )
    assert left(shop, "default") == 1


def test_status_says_when_a_retiring_store_is_empty_and_until_when_it_has_jobs(shop: Shell, old: Stoker[None]) -> None:
    assert "retiring, and empty: take legacy out of retiring and stores" in shop("status").stdout
    old.get("send").using(at=datetime(2099, 3, 1, 9, tzinfo=UTC)).enqueue("a")

    said = shop("status", "--store", "legacy").stdout
    assert "1 job for later, the last of them due at 2099-03-01 09:00:00Z\nretiring: 1 job waiting, 0 running\n" in said
    (one,) = shop.answer("status", "--store", "legacy")["stores"]
    assert (one["retiring"], one["empty"], one["last_due"]) == (True, False, "2099-03-01T09:00:00Z")
    assert "retiring: 1 waiting, 0 running" in shop("doctor").stdout


def test_status_of_a_store_that_was_asked_for_says_that_it_is_empty(shop: Shell) -> None:
    assert "empty: nothing waits or runs here" in shop("status", "--store", "default").stdout
    assert "empty: nothing" not in shop("status").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from-store", "legcy"), "no store named 'legcy'; configured are: aside, default, legacy"),
        (("--from-store", "legacy", "--to-store", "legacy"), "legacy and legacy are the same store"),
        (("--from-store", "legacy", "--state", "completed"), "move does not apply to jobs that are completed"),
        ((), "missing option '--from-store'"),
    ],
)
def test_wrong_use_is_said(shop: Shell, words: tuple[str, ...], said: str) -> None:
    wrong = shop("queues", "move", *words)

    assert wrong.exit_code == 2
    assert said in wrong.stderr


def test_what_a_store_lacks_is_named_before_anything_moves(shop: Shell, old: Stoker[None]) -> None:
    shop.write("shop.py", SHOP.replace('"memory://"', '"sidekiq+redis://127.0.0.1:1/0"'))
    old.get("send").enqueue("a")

    wrong = shop("queues", "move", "--from-store", "legacy", "--to-store", "aside")
    assert wrong.exit_code == 2
    assert "cannot take jobs in as they stand: it lacks RECEIVE" in wrong.stderr
    assert left(shop, "legacy") == 1


def test_a_store_that_does_not_answer_ends_the_move_with_3(shop: Shell, old: Stoker[None]) -> None:
    shop.write("shop.py", SHOP.replace('"memory://"', '"postgresql://127.0.0.1:1/x"'))
    old.get("send").enqueue("a")

    failed = shop("queues", "move", "--from-store", "legacy", "--to-store", "aside")
    assert failed.exit_code == 3
    assert "0 jobs moved; nothing is lost: run the same command again to go on" in failed.stderr
    assert left(shop, "legacy") == 1


def test_the_application_says_how_often_a_job_of_go_is_tried_that_it_moves(shop: Shell, gocraft_url: str) -> None:
    shop.write(
        "shop.py",
        SHOP.replace("sqlite:///old.sqlite3", gocraft_url).replace('queue="mail"', "max_attempts=7"),
    )
    server, _, namespace = gocraft_url.removeprefix("gocraft+").partition("?namespace=")
    with redis.Redis.from_url(server) as go:
        for name in ("send", "other"):
            go.zadd(
                f"{namespace}:retry", {f'{{"name":"{name}","id":"{name}","t":1,"args":{{}},"fails":5}}': 4_000_000_000}
            )
        assert shop.answer("queues", "move", "--from-store", "legacy")["moved"] == 2

    assert {job["name"]: job["max_attempts"] for job in shop.answer("jobs", "list")} == {"send": 7, "other": 6}
