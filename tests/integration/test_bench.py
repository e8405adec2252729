"""`stoker bench` as its users call it: small, and its speed is nobody's business here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stoker.bench.drains import drain
from stoker.bench.enqueueing import task_of
from stoker.bench.ground import Ground
from stoker.bench.plan import Plan

FIELDS = [
    "measure",
    "concurrency",
    "processes",
    "n",
    "rate",
    "of_bare",
    "fifths",
    "last_to_first",
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "cpu_percent",
    "server_cpu_percent",
    "rss_mb",
    "verified",
]
CONDITIONS = {
    *("stoker", "python", "system", "cores", "event_loop", "url", "n", "payload_bytes", "keep"),
    *("backlog", "pin_snapshot", "notes", "skipped"),
}
PROGRAM = "from stoker.cli import main; main()"


def bench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, "bench", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=50, check=False)


def taken(folder: Path, *arguments: str) -> dict[str, Any]:
    done = bench(folder, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    assert [list(result) for result in answer["results"]] == [FIELDS] * len(answer["results"])
    assert all(result["verified"] is True for result in answer["results"])
    return answer


def test_memory_is_measured_within_one_process(tmp_path: Path) -> None:
    answer = taken(tmp_path, "--url", "memory://", "--n", "20", "--concurrency", "1,10", "--processes", "1,2")
    assert answer["conditions"].keys() == CONDITIONS
    assert [result["measure"] for result in answer["results"]] == [
        *("enqueue", "enqueue_many"),
        *("drain",) * 4,
        *("latency", "pair", "idle", "memory"),
    ]
    assert [(one["measure"], one["note"]) for one in answer["conditions"]["skipped"]] == [
        ("drain", "2 processes"),
        ("latency", "across processes"),
    ]
    assert list(tmp_path.iterdir()) == []


def test_sqlite_is_measured_across_processes_and_nothing_stays(tmp_path: Path) -> None:
    only = "enqueue_many,drain,latency"
    url = "sqlite:///mine.sqlite3"
    answer = taken(tmp_path, "--url", url, "--n", "20", "--concurrency", "10", "--processes", "1,2", "--only", only)
    assert answer["conditions"].keys() == CONDITIONS | {"sqlite", "synchronous"}
    shape = [(result["measure"], result["processes"], result["n"]) for result in answer["results"]]
    assert shape == [
        ("enqueue_many", 1, 20),
        *(("drain", 1, 20), ("drain", 2, 20), ("drain", 1, 20), ("drain", 1, 20)),
        *(("latency", 1, 20), ("latency", 2, 20)),
    ]
    assert answer["conditions"]["skipped"] == []
    assert list(tmp_path.iterdir()) == []


def test_reports_larger_than_a_pipe_arrive_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    plan = Plan(n=30_000)
    with Ground(None, tmp_path) as ground, ground.fresh() as url:
        assert drain(task_of(plan, ground, url), plan.n, ground, processes=2).faults == ()


def test_payload_and_keep_are_conditions(tmp_path: Path) -> None:
    sizes = ("--n", "5", "--concurrency", "2", "--processes", "1", "--payload", "300", "--keep", "1h")
    answer = taken(tmp_path, "--url", "memory://", "--only", "drain", *sizes)
    assert (answer["conditions"]["payload_bytes"], answer["conditions"]["keep"]) == (300, "1h")


@pytest.mark.parametrize("url", ["memory://", "sqlite:///mine.sqlite3"])
def test_a_backlog_stays_behind_while_the_rate_is_taken(tmp_path: Path, url: str) -> None:
    sizes = ("--n", "1500", "--backlog", "2500", "--concurrency", "10", "--processes", "1")
    answer = taken(tmp_path, "--url", url, "--only", "drain", *sizes)
    (drain,) = answer["results"]
    assert drain["n"] == 1500
    assert len(drain["fifths"]) == 5
    assert drain["last_to_first"] > 0
    assert answer["conditions"]["backlog"] == 2500
    assert answer["conditions"]["notes"] == [{"result": 0, "note": "with 2,500 behind"}]
    assert list(tmp_path.iterdir()) == []


def test_workers_share_what_they_are_to_take_off_a_backlog(tmp_path: Path) -> None:
    plan = Plan(n=601)
    with Ground(None, tmp_path) as ground, ground.fresh() as url:
        assert drain(task_of(plan, ground, url), plan.n, ground, processes=2, backlog=3000).faults == ()


def test_a_snapshot_of_a_file_is_held_while_its_jobs_are_worked_off(tmp_path: Path) -> None:
    sizes = ("--n", "600", "--concurrency", "10", "--processes", "1")
    answer = taken(tmp_path, "--only", "enqueue_many,drain", "--pin-snapshot", *sizes)
    assert answer["conditions"]["pin_snapshot"] is True
    assert [result["fifths"] is None for result in answer["results"]] == [True, False, False, False]


def test_the_second_of_two_jobs_is_timed(tmp_path: Path) -> None:
    (pair,) = taken(tmp_path, "--only", "pair", "--n", "3")["results"]
    assert (pair["processes"], pair["n"]) == (2, 3)
    assert 0 < pair["p50_ms"] <= pair["p95_ms"] <= pair["p99_ms"]


@pytest.mark.parametrize(
    "wrong",
    [
        ("--only", "speed"),
        ("--only", "bare"),
        ("--n", "0"),
        ("--concurrency", "many"),
        ("--keep", "soon"),
        ("--backlog", "-1"),
        ("--pin-snapshot",),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(tmp_path: Path, wrong: tuple[str, ...]) -> None:
    done = bench(tmp_path, "--url", "memory://", *wrong)
    assert done.returncode == 2
    assert done.stderr.startswith("stoker: ")
    assert done.stderr.count("\n") == 1
