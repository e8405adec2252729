"""A store of another package, found by its scheme, carries jobs through the command line and real workers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Final

import pytest

from examples.directory_store.stoker_directory import DirectoryStore
from stoker.core.job import NewJob, new_call
from stoker.testing.contract.base import everything
from stoker.testing.fake_clock import FakeClock

EXAMPLE: Final = Path(__file__).parents[2] / "examples" / "directory_store"
APP: Final = """
from pathlib import Path
from time import sleep

from stoker import Stoker, fixed

app = Stoker()


@app.job(max_attempts=2, backoff=fixed("0.05s"))
def note(text: str, fail: bool = False) -> None:
    with Path("notes").open("a") as notes:
        notes.write(f"{text}\\n")
    if fail:
        raise ValueError("no")


@app.job
def hang(text: str) -> None:
    first = not Path("begun").exists()
    Path("begun").touch()
    if first:
        sleep(60)
    note(text)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with an application, into whose path the example was installed as pip would."""
    site = tmp_path / "site"
    info = site / "stoker_directory-0.1.0.dist-info"
    info.mkdir(parents=True)
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0.1.0\n")
    points = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("".join(points))
    shutil.copy(EXAMPLE / "stoker_directory.py", site)
    (tmp_path / "work.py").write_text(APP)
    return tmp_path


def command(home: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "stoker", "-A", "work", "--url", "dir:///jobs", *words]


def environment(home: Path) -> dict[str, str]:
    path = os.pathsep.join([str(home / "site"), str(home), *filter(None, [os.environ.get("PYTHONPATH")])])
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STOKER_")}
    return clean | {"PYTHONPATH": path, "STOKER_WORKERS__LEASE": "1s"}


def stoker(home: Path, *words: str) -> str:
    run = subprocess.run(
        command(home, *words), cwd=home, env=environment(home), capture_output=True, text=True, timeout=50, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_a_worker_performs_retries_and_takes_over_from_one_that_was_killed(home: Path) -> None:
    stoker(home, "enqueue", "hang", '["last"]')
    victim = subprocess.Popen(command(home, "worker"), cwd=home, env=environment(home), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not (home / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    stoker(home, "enqueue", "note", '{"text": "failing", "fail": true}')

    stoker(home, "worker", "--until-empty")
    assert sorted((home / "notes").read_text().split()) == ["failing", "failing", "last"]
    states = {
        record["name"]: (record["state"], record["crashes"])
        for record in json.loads(stoker(home, "--json", "jobs", "list"))
    }
    assert states["hang"] == ("completed", 1)


def test_who_is_killed_while_it_enqueues_leaves_whole_calls(tmp_path: Path) -> None:
    code = f"""
import sys
sys.path[:0] = {[str(EXAMPLE), *sys.path]!r}
from pathlib import Path
from stoker_directory import DirectoryStore
from stoker.core.job import NewJob, new_call
from stoker.testing.fake_clock import FakeClock
store = DirectoryStore(Path({str(tmp_path / "jobs")!r}), FakeClock())
print("ready", flush=True)
while True:
    store.run(store.enqueue([NewJob("work", "{{}}")] * 7, new_call()))
"""
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(0.05)
            writer.kill()

    store = DirectoryStore(tmp_path / "jobs", FakeClock())
    store.run(store.enqueue([NewJob("work", "{}")] * 7, new_call()))
    (group,) = store.run(store.count())
    assert group.count % 7 == 0
    ids = [job.id for job in everything(store)]
    assert len(set(ids)) == len(ids) == group.count
