"""Every Python example in the README and in the documentation works as it stands there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.fences import Example, examples

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = [example for page in PAGES for example in examples(page)]


def named(example: Example) -> str:
    return f"{example.page.relative_to(ROOT)}:{example.line}"


@pytest.mark.parametrize("example", [example for example in EXAMPLES if example.runs], ids=named)
def test_an_example_runs_as_a_script_in_an_empty_folder(example: Example, tmp_path: Path) -> None:
    # Titled blocks are files: later ones of the page may import earlier ones.
    for earlier in examples(example.page):
        if earlier.line <= example.line and (earlier.line == example.line or earlier.name != "example.py"):
            (tmp_path / earlier.name).write_text(earlier.code, encoding="utf-8")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("STOKER_")}

    run = subprocess.run(
        [sys.executable, example.name],
        cwd=tmp_path,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert run.returncode == 0, f"{named(example)} exits {run.returncode}\n{run.stdout}{run.stderr}"
    if example.output is not None:
        assert run.stdout == example.output


@pytest.mark.parametrize("example", [example for example in EXAMPLES if not example.runs], ids=named)
def test_an_example_that_is_not_run_is_python_all_the_same(example: Example) -> None:
    compile(example.code, named(example), "exec")


def test_pages_of_the_site_say_no_run_in_the_way_it_can_render() -> None:
    wrong = [page.name for page in PAGES[1:] if "```python no-run" in page.read_text(encoding="utf-8")]

    assert wrong == [], "write ```{ .python .no-run }"
