"""What is different where a person sits at a terminal: questions are asked, and tables have a bold header."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stoker import State, Stoker
from tests.integration.cli_processes import DEADLINE, environment


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Stoker[None]]:
    app: Stoker[None] = Stoker(f"sqlite:///{tmp_path}/jobs.sqlite3")
    with app:

        @app.job
        def a_job_with_quite_a_long_name(n: int) -> None: ...

        yield app


def at_a_terminal(folder: Path, *args: str, typed: str = "", **variables: str) -> tuple[int, str]:
    """Say `stoker …` with a terminal for its three streams; give exit code and screen."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "stoker", "--url", "sqlite:///jobs.sqlite3", *args]
    variables = {"COLUMNS": "40", "TERM": "xterm-256color", **variables}
    with subprocess.Popen(
        command, cwd=folder, env=environment(**variables), stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        os.write(ours, typed.encode())
        screen = b"".join(_chunks(ours))
        code = process.wait(DEADLINE)
    os.close(ours)
    return code, screen.decode()


def _chunks(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(terminal, 65_536)
        except OSError:  # how Linux says that the other side was closed
            return
        if not chunk:
            return
        yield chunk


@pytest.mark.parametrize(("typed", "code", "state"), [("n\n", 1, State.AVAILABLE), ("y\n", 0, State.CANCELLED)])
def test_a_change_of_many_is_asked_for(
    tmp_path: Path, store: Stoker[None], typed: str, code: int, state: State
) -> None:
    handle = store.definitions[0].enqueue(1)

    ended, screen = at_a_terminal(tmp_path, "jobs", "cancel", "--all", typed=typed)

    assert ended == code, screen
    assert "1 job matches" in screen
    assert "cancel 1 job? [y/N]" in screen
    assert handle.fetch().state is state


@pytest.mark.parametrize("args", [("jobs", "cancel", "--all", "--yes"), ("jobs", "cancel", "1")])
def test_yes_and_single_ids_are_not_asked_about(tmp_path: Path, store: Stoker[None], args: tuple[str, ...]) -> None:
    handle = store.definitions[0].enqueue(1)
    args = tuple(handle.id if text == "1" else text for text in args)

    ended, screen = at_a_terminal(tmp_path, *args)

    assert ended == 0, screen
    assert "[y/N]" not in screen


def test_a_table_cuts_nothing_in_a_narrow_terminal(tmp_path: Path, store: Stoker[None]) -> None:
    handle = store.definitions[0].enqueue(1)

    _, screen = at_a_terminal(tmp_path, "jobs", "list")

    assert re.search(rf"{handle.id} +a_job_with_quite_a_long_name +default +available +1/20", screen)
    assert "\x1b[1m" in screen


def test_no_color_is_obeyed(tmp_path: Path, store: Stoker[None]) -> None:
    _, screen = at_a_terminal(tmp_path, "jobs", "list", NO_COLOR="1")

    assert "QUEUE" in screen
    assert "\x1b[" not in screen
