"""mypy and pyright see the types we promise, and exactly the mistakes that are marked in ``cases/``."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CASES = Path(__file__).parent / "cases"
MARK = re.compile(r"# error: (?P<expected>.+)$")

Errors = set[tuple[str, int, str]]
"""(file, line, code)"""


@pytest.mark.timeout(300)
def test_mypy_finds_the_marked_mistakes_and_no_others(tmp_path: Path) -> None:
    options = ["--strict", "--output=json", f"--cache-dir={tmp_path}", f"--config-file={os.devnull}"]
    lines = _run("mypy", *options, str(CASES), cwd=tmp_path).splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    errors = {(Path(one["file"]).name, one["line"], one["code"]) for one in found if one["severity"] == "error"}
    _compare(errors, _expected("mypy"))


@pytest.mark.timeout(300)
def test_pyright_finds_the_marked_mistakes_and_no_others(tmp_path: Path) -> None:
    # In an empty folder, so that users' default settings hold and not this project's.
    files = map(str, sorted(CASES.glob("*.py")))
    answer = json.loads(_run("pyright", "--outputjson", "--pythonpath", sys.executable, *files, cwd=tmp_path))
    found = [one for one in answer["generalDiagnostics"] if one["severity"] == "error"]
    errors = {(Path(one["file"]).name, one["range"]["start"]["line"] + 1, one["rule"]) for one in found}
    _compare(errors, _expected("pyright"))


def _run(tool: str, *arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", tool, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    # A checker that is not installed ends with 1 too, and says so on the error stream only.
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert "No module named" not in done.stderr, done.stderr
    return done.stdout


def _compare(found: Errors, expected: Errors) -> None:
    unmarked, missing = sorted(found - expected), sorted(expected - found)
    assert (unmarked, missing) == ([], []), f"not marked: {unmarked}\nmarked, but not found: {missing}"


def _expected(checker: str) -> Errors:
    return set(_marks(checker))


def _marks(checker: str) -> Iterator[tuple[str, int, str]]:
    for file in sorted(CASES.glob("*.py")):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            if (mark := MARK.search(line)) is None:
                continue
            for part in mark["expected"].split(";"):
                name, _, codes = part.strip().partition(" ")
                if name == checker:
                    yield from ((file.name, number, code.strip()) for code in codes.split(","))
