"""Importing stoker is cheap: what only workers, settings files or the command line need stays out."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {"asyncio", "click", "cronsim", "jinja2", "rich", "sqlite3", "stoker.runtime.worker", "uvloop", "yaml"}


def test_an_import_brings_nothing_along_that_an_enqueue_does_not_need() -> None:
    code = "import sys, stoker; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert HEAVY & set(loaded) == set()
