"""On each store that processes share: what `stoker status` tells of queues, and queues with slots of their own."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from stoker import Stoker
from stoker.cli.program import program

AGE = 0.3


@pytest.fixture(params=["postgres_url", "redis_url", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/jobs.sqlite3"
    found: str = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def application(url: str) -> Iterator[Stoker[Any]]:
    app: Stoker[Any] = Stoker(url, settings={"blocking_enqueue": "allow"})
    yield app
    app.close()


@pytest.fixture
def older_release(url: str) -> Iterator[Stoker[Any]]:
    """An application that has a job which the other no longer knows."""
    app: Stoker[Any] = Stoker(url, settings={"blocking_enqueue": "allow"})

    @app.job(queue="mail")
    async def old_report() -> None: ...

    yield app
    app.close()


def said(url: str, *arguments: str) -> str:
    done = CliRunner().invoke(program, ["--url", url, *arguments], prog_name="stoker", catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def queues(url: str) -> dict[str, Any]:
    (store,) = json.loads(said(url, "status", "--json"))["stores"]
    return {queue["name"]: queue for queue in store["queues"]}


async def seen(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not what():  # noqa: ASYNC110 - what is waited for happens in a store
            await asyncio.sleep(0.01)


def test_the_lag_of_a_queue_is_the_age_of_its_oldest_available_job(application: Stoker[Any], url: str) -> None:
    @application.job
    async def send(number: int) -> None: ...

    send.using(queue="mail").enqueue(1)
    send.using(queue="later", delay=60).enqueue(2)
    time.sleep(AGE)
    send.using(queue="mail").enqueue(3)
    send.using(queue="reports").enqueue(4)

    found = queues(url)

    assert AGE <= found["mail"]["lag_seconds"] < 10
    assert found["reports"]["lag_seconds"] < found["mail"]["lag_seconds"]
    assert found["later"]["lag_seconds"] == 0
    assert {name: queue["states"]["available"] for name, queue in found.items()} == {
        "mail": 2,
        "reports": 1,
        "later": 0,
    }


def test_the_lag_stands_in_the_table(application: Stoker[Any], url: str) -> None:
    @application.job
    async def send() -> None: ...

    send.using(queue="mail").enqueue()
    time.sleep(AGE)

    table = said(url, "status")

    heading, row = (line.split() for line in table.splitlines()[1:3])
    assert (heading[:2], row[0], row[2]) == (["QUEUE", "LAG"], "mail", "s")
    assert AGE <= float(row[1]) < 10
    assert "queue mail: no live worker serves it; 1 job waiting" in table


async def test_jobs_of_unknown_names_are_left_alone_and_shown(
    application: Stoker[Any], older_release: Stoker[Any], url: str
) -> None:
    done: list[int] = []

    @application.job(queue="mail")
    async def send(number: int) -> None:
        done.append(number)

    forgotten = older_release.get("old_report").enqueue()
    async with application.working(queues=["mail"]):
        send.enqueue(1)
        await seen(lambda: done == [1])
        await seen(lambda: queues(url)["mail"]["served"])
        found = queues(url)["mail"]
        table = said(url, "status")

    assert found["unserved"]["names"] == ["old_report"]
    assert found["states"]["available"] == 1
    assert "queue mail: no live worker knows old_report" in table
    assert older_release.handle(forgotten.id).fetch().starts == 0


async def test_one_worker_serves_queues_with_different_limits(application: Stoker[Any]) -> None:
    limits = {"mail": 1, "resize": 3, "default": 2}
    running: Counter[str] = Counter()
    most: defaultdict[str, int] = defaultdict(int)
    done: Counter[str] = Counter()

    @application.job
    async def work(queue: str) -> None:
        running[queue] += 1
        most[queue] = max(most[queue], running[queue])
        await asyncio.sleep(0.02)
        running[queue] -= 1
        done[queue] += 1

    for queue in limits:
        application.enqueue_many([work.using(queue=queue).draft(queue) for _ in range(12)])
    async with application.working(queues=["mail:1", "resize:3", "default"], concurrency=2):
        await seen(lambda: sum(done.values()) == 36)

    assert dict(most) == limits
    assert dict(done) == dict.fromkeys(limits, 12)
