"""`stoker convert celery`: a trial unless told to write, and a report for people and for programs."""

from __future__ import annotations

import sys

import pytest

from tests.unit.cli.conftest import Shell

TASKS = """
    from celery import Celery

    app = Celery("shop")


    @app.task
    def send(to): ...


    def sign_up(to):
        send.delay(to)
    """
ODD = TASKS + "    send.apply_async((to,), link=send.s(to))\n"


def test_nothing_is_written_unless_told(stoker: Shell) -> None:
    file = stoker.write("tasks.py", TASKS)
    before = file.read_text()

    result = stoker("convert", "celery", "tasks.py")
    assert result.exit_code == 0
    assert result.stdout == "1 file to change (--write): 1 task and 1 call converted, 0 left to do by hand\n"
    assert file.read_text() == before


def test_told_to_it_writes(stoker: Shell) -> None:
    file = stoker.write("tasks.py", TASKS)

    assert stoker("convert", "celery", ".", "--write").exit_code == 0
    assert "send.enqueue(to)" in file.read_text()
    assert stoker("convert", "celery", ".", "--check").exit_code == 0


def test_a_diff_shows_what_changes(stoker: Shell) -> None:
    stoker.write("tasks.py", TASKS)

    output = stoker("convert", "celery", "tasks.py", "--diff").stdout
    assert "-    send.delay(to)\n+    send.enqueue(to)\n" in output


def test_check_fails_while_something_would_change(stoker: Shell) -> None:
    stoker.write("tasks.py", TASKS)

    assert stoker("convert", "celery", "tasks.py", "--check").exit_code == 1


def test_what_is_left_is_told_with_its_line_and_fails(stoker: Shell) -> None:
    stoker.write("tasks.py", ODD)

    result = stoker("convert", "celery", "tasks.py")
    assert result.exit_code == 1
    assert "tasks.py:13: left: link=send.s(to)\n    instead: chain(…), or ctx.then(draft) in the job\n" in result.stdout


def test_programs_get_the_report_as_json(stoker: Shell) -> None:
    stoker.write("tasks.py", TASKS)

    report = stoker.answer("convert", "celery", "tasks.py", "--diff")
    assert (report["jobs"], report["calls"], report["left"], report["written"]) == (1, 1, 0, False)
    assert report["files"][0]["path"] == "tasks.py"
    assert "send.enqueue" in report["files"][0]["diff"]


def test_to_write_and_to_check_exclude_each_other(stoker: Shell) -> None:
    stoker.write("tasks.py", TASKS)

    assert stoker("convert", "celery", "tasks.py", "--write", "--check").exit_code == 2


def test_without_libcst_the_extra_is_named(stoker: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("stoker.convert")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "libcst", None)

    result = stoker("convert", "celery", ".")
    assert result.exit_code == 2
    assert 'pip install "stoker[convert]"' in result.stderr


def test_a_folder_that_is_not_there_is_named(stoker: Shell) -> None:
    result = stoker("convert", "celery", "nowhere")

    assert result.exit_code == 2
    assert "nowhere: there is no such file or folder" in result.stderr
