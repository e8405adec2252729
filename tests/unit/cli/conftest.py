"""A folder with an application in it, and a way to say `stoker …` there."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from click.testing import CliRunner, Result

from stoker import Stoker
from stoker.cli.program import program

SHOP = """
from stoker import Stoker

app = Stoker("sqlite:///jobs.sqlite3")


@app.job(queue="mail")
def send(to: str, copies: int = 1) -> int:
    return copies


@app.job
def resize(path: str) -> None: ...
"""


class Shell:
    """Says `stoker …` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), encoding="utf-8")
        return file

    def __call__(self, *args: str) -> Result:
        return CliRunner().invoke(program, args, prog_name="stoker", catch_exceptions=False)

    def answer(self, *args: str) -> Any:
        """Say it with --json and give what was printed; it must end well."""
        result = self(*args, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture
def stoker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    for name in [name for name in os.environ if name.startswith("STOKER_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield Shell(tmp_path)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def shop(stoker: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """The same folder with the application `shop` in it, which STOKER_APP names."""
    stoker.write("shop.py", SHOP)
    stoker.write("pyproject.toml", "")
    monkeypatch.setenv("STOKER_APP", "shop")
    return stoker


@pytest.fixture
def jobs(shop: Shell) -> Iterator[Stoker[None]]:
    """The store of `shop` as another process sees it."""
    app: Stoker[None] = Stoker(f"sqlite:///{shop.folder}/jobs.sqlite3")
    with app:

        @app.job(queue="mail")
        def send(to: str, copies: int = 1) -> int:
            return copies

        @app.job
        def resize(path: str) -> None: ...

        yield app
