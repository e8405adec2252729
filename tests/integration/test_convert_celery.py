"""A Celery project does under stoker, after its conversion, what it does under Celery."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parents[1] / "unit" / "convert" / "shop"
WORK: Final = """
from shop import tasks

tasks.order_placed(7)
tasks.survey([1, 2, 3])
"""
UNDER_CELERY: Final = f"""
import sys, time
from pathlib import Path
from celery.contrib.testing.worker import start_worker
from shop.celery import app

journal = Path("journal")
app.conf.task_default_queue = "celery"
with start_worker(app, pool="solo", perform_ping_check=False, queues=["celery", "math"], loglevel="ERROR"):
    exec({WORK!r})
    tasks.flaky.delay("key")
    end = time.monotonic() + 30
    while (not journal.exists() or len(journal.read_text().split()) < 2 * int(sys.argv[1])) and time.monotonic() < end:
        time.sleep(0.02)
"""
UNDER_STOKER: Final = f"""
import time
exec({WORK!r})
tasks.flaky.enqueue("key")
app = tasks.app
from stoker.core.job import FINAL
store = app.store()
while any(group.state not in FINAL for group in store.run(store.count())):
    app.work(until_empty=True)
    time.sleep(0.05)
"""


def journal(folder: Path, code: str, *words: str) -> list[str]:
    environment = os.environ | {"SHOP_JOURNAL": str(folder / "journal"), "STOKER_URL": "sqlite:///jobs.sqlite3"}
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    run = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=folder,
        env=environment | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return sorted((folder / "journal").read_text().splitlines())


def test_the_shop_does_the_same_after_its_conversion(tmp_path: Path) -> None:
    shutil.copytree(PROJECT, tmp_path / "new", ignore=shutil.ignore_patterns("__pycache__"))
    convert = [sys.executable, "-m", "stoker", "--json", "convert", "celery", str(tmp_path / "new"), "--write"]
    report = json.loads(subprocess.run(convert, capture_output=True, text=True, check=True).stdout)
    assert (report["jobs"], report["left"], len(report["files"])) == (9, 0, 2)
    done = journal(tmp_path / "new", UNDER_STOKER)

    shutil.copytree(PROJECT, tmp_path / "old", ignore=shutil.ignore_patterns("__pycache__"))
    assert done == journal(tmp_path / "old", UNDER_CELERY, str(len(done)))
    assert '["charged", 7]' in done
    assert done.count('["fails", 1]') == 1
