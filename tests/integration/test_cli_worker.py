"""`stoker worker` as a process: it works, it ends when told to, and it says what it leaves."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from stoker import State, Stoker
from tests.integration.cli_processes import DEADLINE, Running, said

SHOP = """
from pathlib import Path

from stoker import Stoker

app = Stoker("sqlite:///jobs.sqlite3")


@app.job(queue="math")
def add(a: int, b: int) -> int:
    return a + b


@app.job(max_attempts=1)
def fail() -> None:
    raise ValueError("no good")


@app.job
def hold() -> str:
    print("holding", flush=True)
    return Path("gate").read_text()


@app.job
async def wait_for_ever() -> None:
    import asyncio

    print("waiting", flush=True)
    await asyncio.Event().wait()
"""

LIFESPAN = """
import contextlib


@contextlib.asynccontextmanager
async def life(app):
    raise OSError("no disk")
    yield

"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(dedent(SHOP), encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text('[tool.stoker]\napp = "shop"\n', encoding="utf-8")
    os.mkfifo(tmp_path / "gate")
    return tmp_path


@pytest.fixture
def shop(folder: Path) -> Iterator[Stoker[None]]:
    """The store as another process sees it; it knows a name that the worker does not."""
    app: Stoker[None] = Stoker(f"sqlite:///{folder}/jobs.sqlite3")
    with app:

        @app.job(queue="math")
        def add(a: int, b: int) -> int:
            return a + b

        @app.job
        def hold() -> str:
            return ""

        @app.job
        async def wait_for_ever() -> None: ...

        @app.job
        def old() -> None: ...

        yield app


def listed_workers(folder: Path, *, some: bool = False) -> list[dict[str, Any]]:
    """List the workers; with ``some`` again and again until there is one, for it announces itself a little later."""
    end = time.monotonic() + DEADLINE
    while True:
        workers: list[dict[str, Any]] = json.loads(said(folder, "workers", "list", "--json").stdout)
        if workers or not some or time.monotonic() > end:
            return workers


def test_until_empty_performs_what_is_there_and_counts_what_is_left(folder: Path, shop: Stoker[None]) -> None:
    handles = [shop.get("add").enqueue(number, 1) for number in range(20)]
    shop.get("add").using(delay="1h").enqueue(0, 0)
    shop.get("old").enqueue()

    run = said(folder, "worker", "--until-empty")

    assert run.returncode == 0, run.stderr
    assert [handle.result(timeout=0) for handle in handles] == list(range(1, 21))
    assert run.stdout.splitlines()[-1] == "empty; left: 1 scheduled, 1 job of unknown names (old 1)"


def test_until_empty_says_it_in_json_alone(folder: Path, shop: Stoker[None]) -> None:
    shop.get("add").using(delay="1h").enqueue(0, 0)

    run = said(folder, "start", "--worker", "--until-empty", "--json", "--queues", "math", "--log-format", "json")

    left = json.loads(run.stdout)["left"]
    assert (left["scheduled"], left["unknown_names"]) == (1, {})
    assert all(json.loads(line)["level"] for line in run.stderr.splitlines())


def test_a_store_with_nothing_in_it_is_empty_at_once(folder: Path) -> None:
    run = said(folder, "worker", "--until-empty")

    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "empty; left: nothing"


def test_the_banner_says_what_is_served_and_from_where(folder: Path) -> None:
    run = said(
        folder, "worker", "--until-empty", "--queues", "math:3,default", "--exclude-names", "hold", "--grace", "2s"
    )

    assert f"sqlite:///{folder}/jobs.sqlite3" in run.stdout
    assert "queues   default, math:3" in run.stdout
    assert "names    add, fail, wait_for_ever" in run.stdout
    assert "13 at once, 2 s of grace" in run.stdout


def test_the_first_sigterm_lets_a_running_job_finish(folder: Path, shop: Stoker[None]) -> None:
    handle = shop.get("hold").enqueue()

    with Running(folder, "worker") as worker:
        worker.line_with("holding")
        worker.send(signal.SIGTERM)
        worker.line_with("stopping, 1 running")
        (folder / "gate").write_text("let go")

        assert worker.ended() == 0, worker.lines
    assert handle.result(timeout=0) == "let go"


def test_a_job_that_outlasts_the_grace_goes_back_unharmed(folder: Path, shop: Stoker[None]) -> None:
    handle = shop.get("wait_for_ever").enqueue()

    with Running(folder, "worker", "--grace", "0") as worker:
        worker.line_with("waiting")
        worker.send(signal.SIGINT)

        assert worker.ended() == 0, worker.lines
    record = handle.fetch()
    assert (record.state, record.failures, record.crashes) == (State.AVAILABLE, 0, 0)


def test_the_second_sigterm_ends_it_at_once_with_130(folder: Path, shop: Stoker[None]) -> None:
    shop.get("wait_for_ever").enqueue()

    with Running(folder, "worker") as worker:
        worker.line_with("waiting")
        worker.send(signal.SIGTERM)
        worker.line_with("stopping, 1 running")
        worker.send(signal.SIGTERM)

        assert worker.ended() == 130
        assert any("second signal" in line for line in worker.stderr)


def test_an_idle_worker_shows_in_the_list_until_it_ends(folder: Path) -> None:
    with Running(folder, "worker", "--concurrency", "2") as worker:
        worker.line_with("at once, queues")
        announced = listed_workers(folder, some=True)
        worker.send(signal.SIGTERM)
        assert worker.ended() == 0, worker.lines

    assert [(one["concurrency"], one["stopping"]) for one in announced] == [(2, False)]
    assert listed_workers(folder) == []


def test_enqueue_waits_for_a_result_or_a_failure(folder: Path) -> None:
    with Running(folder, "worker") as worker:
        worker.line_with("at once, queues")
        good = said(folder, "enqueue", "add", "[40, 2]", f"--wait={DEADLINE:g}s")
        bad = said(folder, "enqueue", "fail", f"--wait={DEADLINE:g}s")

    assert (good.returncode, good.stdout) == (0, "42\n")
    assert (bad.returncode, bad.stdout) == (1, "")
    assert "ValueError: no good" in bad.stderr


@pytest.mark.parametrize("command", [("worker",), ("jobs", "list"), ("status",), ("enqueue", "fail")])
def test_an_application_that_is_not_there_exits_2(tmp_path: Path, command: tuple[str, ...]) -> None:
    run = said(tmp_path, "-A", "nowhere", *command)

    assert run.returncode == 2
    assert run.stderr.startswith("stoker: no module named 'nowhere'")
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [("worker",), ("jobs", "list"), ("status",), ("enqueue", "fail")])
def test_a_store_that_cannot_be_reached_exits_3(folder: Path, command: tuple[str, ...]) -> None:
    (folder / "jobs.sqlite3").mkdir()

    run = said(folder, *command)

    assert run.returncode == 3, run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("command", [("worker",), ("jobs", "list"), ("enqueue", "fail"), ("migrate", "status")])
def test_a_schema_that_nobody_made_exits_4_in_production(folder: Path, command: tuple[str, ...]) -> None:
    run = said(folder, "-e", "production", *command)

    assert run.returncode == 4, run.stderr
    assert "Traceback" not in run.stderr


def test_a_lifespan_that_fails_is_the_applications_fault(folder: Path) -> None:
    shop = (folder / "shop.py").read_text().replace('.sqlite3")', '.sqlite3", lifespan=life)')
    (folder / "shop.py").write_text(LIFESPAN + shop)

    run = said(folder, "worker")

    assert run.returncode == 1
    assert "shop.py" in run.stderr
    assert run.stderr.splitlines()[-1] == "stoker: the application raised OSError: no disk"
