"""Jobs in processes of their own under worker processes: of a script, on another store, stopped and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from stoker import State, Stoker
from stoker.core.filters import Filter
from tests.integration.cli_processes import Running, environment, said
from tests.rigs.processes import until

SCRIPT = """
import os
import subprocess
import sys
import sys
import time
from pathlib import Path

from stoker import Context, Stoker

app = Stoker("sqlite:///jobs.sqlite3")


@app.job(executor="process")
def double(n: int) -> int:
    return 2 * n


@app.job(executor="process", max_attempts=1)
def enqueues() -> str:
    return double.enqueue(1).id


@app.job(executor="process")
def spins(ctx: Context[None], n: int) -> None:
    Path("spins").write_text(str(os.getpid()))
    while not ctx.stopping or n:
        time.sleep(0.01)


if __name__ == "__main__":
    double.enqueue(21)
    app.work(until_empty=True)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(dedent(SCRIPT), encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text('[tool.stoker]\napp = "shop"\n', encoding="utf-8")
    return tmp_path


@pytest.fixture
def shop(folder: Path) -> Iterator[Stoker[None]]:
    app: Stoker[None] = Stoker(f"sqlite:///{folder}/jobs.sqlite3")
    with app:

        @app.job
        def spins(n: int) -> None: ...

        yield app


def spinning(folder: Path) -> int:
    """Wait until the job spins, and give its process."""
    file = folder / "spins"
    until(lambda: file.exists() and file.read_text())
    return int(file.read_text())


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]
    except OSError:
        return False


def test_the_jobs_of_a_script_are_found_without_running_its_main_part(folder: Path) -> None:

    run = subprocess.run(
        [sys.executable, "shop.py"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert run.returncode == 0, run.stderr

    listed = said(folder, "jobs", "list", "--json")
    assert '"result":42' in listed.stdout.replace(" ", "")


def test_a_job_enqueues_where_the_command_line_says(folder: Path) -> None:
    url = f"sqlite:///{folder}/other.sqlite3"
    assert said(folder, "--url", url, "enqueue", "enqueues").returncode == 0
    assert said(folder, "--url", url, "worker", "--until-empty").returncode == 0

    assert not (folder / "jobs.sqlite3").exists()
    with Stoker[None](url) as app:
        assert {job.name: job.state for job in app.operations().find(Filter())} == {
            "enqueues": State.COMPLETED,
            "double": State.COMPLETED,
        }


def test_the_process_of_a_killed_worker_ends_with_it(folder: Path, shop: Stoker[None]) -> None:
    shop.get("spins").enqueue(1)
    with Running(folder, "worker") as worker:
        pid = spinning(folder)
        worker.send(signal.SIGKILL)
        worker.ended()
        until(lambda: not is_running(pid), 10)


def test_a_job_sees_that_its_worker_stops(folder: Path, shop: Stoker[None]) -> None:
    handle = shop.get("spins").enqueue(0)
    with Running(folder, "worker") as worker:
        pid = spinning(folder)
        worker.send(signal.SIGTERM)
        assert worker.ended() == 0, worker.lines
    assert handle.fetch().state is State.COMPLETED
    assert not is_running(pid)


def test_a_job_that_outlasts_the_grace_goes_back_unharmed(folder: Path, shop: Stoker[None]) -> None:
    handle = shop.get("spins").enqueue(1)
    with Running(folder, "worker", "--grace", "0") as worker:
        pid = spinning(folder)
        worker.send(signal.SIGTERM)
        assert worker.ended() == 0, worker.lines
    record = handle.fetch()
    assert (record.state, record.failures, record.crashes) == (State.AVAILABLE, 0, 0)
    assert not is_running(pid)


def test_a_signal_to_the_terminals_group_does_not_reach_the_jobs(folder: Path, shop: Stoker[None]) -> None:
    shop.get("spins").enqueue(1)
    with Running(folder, "worker") as worker:
        assert os.getsid(spinning(folder)) != os.getsid(0)
        worker.send(signal.SIGKILL)
