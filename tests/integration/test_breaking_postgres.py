"""Workers on a PostgreSQL server that are killed and frozen, while the server is restarted and stopped."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from stoker import State
from stoker.core.filters import Filter
from stoker.core.job import NewJob, new_call
from stoker.errors import StoreUnavailable
from tests.rigs.ledger import Scene, scene_on, sql
from tests.rigs.postgres import Postgres
from tests.rigs.processes import until

TERMINATE = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"""


@pytest.fixture
def scene(own_postgres: Postgres, tmp_path: Path) -> Iterator[Scene]:
    """Give a server of its own."""
    with scene_on(own_postgres.url, tmp_path) as scene:
        yield scene


@pytest.mark.timeout(180)
def test_workers_that_are_killed_again_and_again_lose_no_job_and_settle_none_twice(scene: Scene) -> None:
    total = 5_000
    scene.notes(0, total)
    workers = [scene.worker() for _ in range(3)]
    for turn in range(3):
        scene.goes_on(500)
        workers[turn].kill()
        workers[turn] = scene.worker()
    scene.account(total)
    assert any(job.crashes for job in scene.store.run(scene.store.find(Filter(), 10_000))), "no kill hit a running job"


@pytest.mark.timeout(180)
@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_a_restart_of_the_server_loses_nothing_and_the_worker_goes_on_by_itself(
    scene: Scene, own_postgres: Postgres, how: Literal["fast", "immediate"]
) -> None:
    total = 4_000
    scene.notes(0, total)
    worker = scene.worker()
    for _ in range(2):
        scene.goes_on()
        own_postgres.restart(how)
    scene.goes_on()
    scene.account(total)
    assert worker.poll() is None


@pytest.mark.timeout(180)
def test_connections_that_are_ended_all_the_time_lose_nothing(scene: Scene) -> None:
    total = 4_000
    scene.notes(0, total)
    worker = scene.worker()
    for _ in range(15):
        scene.goes_on(100)
        sql(scene.url, TERMINATE)
    scene.account(total)
    assert worker.poll() is None


def test_more_connections_may_be_lost_at_once_than_a_command_has_tries(scene: Scene) -> None:
    async def enqueue(n: int) -> None:
        await scene.store.arun(scene.store.enqueue([NewJob("note", f'{{"n":{n}}}')], new_call()))

    async def scene_of_one_loop() -> None:
        await asyncio.gather(*(enqueue(n) for n in range(10)))
        await asyncio.to_thread(sql, scene.url, TERMINATE)
        await enqueue(10)

    asyncio.run(scene_of_one_loop())
    assert scene.unfinished() == 11


@pytest.mark.timeout(120)
def test_an_enqueue_while_the_server_is_away_says_so_soon_and_the_worker_goes_on_when_it_is_back(
    scene: Scene, own_postgres: Postgres
) -> None:
    scene.notes(0, 200)
    worker = scene.worker()
    until(lambda: len(scene.lines()) > 20)
    own_postgres.stop()
    began = time.monotonic()
    with pytest.raises(StoreUnavailable) as raised:
        scene.notes(200, 201)
    assert time.monotonic() - began < 10
    assert "\n" not in str(raised.value)
    assert f"127.0.0.1:{own_postgres.port}" in str(raised.value)
    assert "refused" in str(raised.value)
    until(lambda: "store unavailable in" in scene.processes.output(), what="the worker says what is wrong")
    own_postgres.start()
    scene.notes(200, 300)
    scene.account(300)
    assert worker.poll() is None
    assert "Traceback" not in scene.processes.output()


@pytest.mark.timeout(90)
def test_a_worker_frozen_beyond_its_lease_reports_nothing_but_the_lost_claim(scene: Scene) -> None:
    (id,) = scene.enqueue(NewJob("long", '{"seconds":1}', max_attempts=1))
    frozen = scene.worker()
    until(lambda: "long begins" in scene.lines())
    frozen.send_signal(signal.SIGSTOP)
    store = scene.store
    until(lambda: store.run(store.reclaim(10)).available, 15, "the lease ends")
    store.run(store.pause("queue", ["default"], True))
    frozen.send_signal(signal.SIGCONT)
    until(lambda: scene.lines(".refused") == [id], 15, "the refusal")
    assert scene.lines(".settled") == []
    assert scene.job(id).state is State.AVAILABLE
