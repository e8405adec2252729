"""What `start` and `worker` refuse before they begin. What they do is shown by processes, in the integration tests."""

from __future__ import annotations

import pytest

from tests.unit.cli.conftest import Shell


def refused(stoker: Shell, *args: str) -> str:
    result = stoker(*args)
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.mark.parametrize("command", [("worker",), ("start", "-w"), ("start", "--worker")])
def test_a_worker_on_memory_says_why_not(shop: Shell, command: tuple[str, ...]) -> None:
    assert "memory:// lives in one process" in refused(shop, *command, "--url", "memory://")


@pytest.mark.parametrize("mode", ["async", "foreground"])
def test_a_worker_without_queue_says_why_not(shop: Shell, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOKER_WORKERS__MODE", mode)

    assert f"workers.mode is '{mode}'" in refused(shop, "worker")


def test_a_worker_that_knows_no_job_says_how_to_name_the_modules(stoker: Shell) -> None:
    stoker.write("empty.py", "from stoker import Stoker\napp = Stoker('sqlite:///jobs.sqlite3')\n")

    assert "imports" in refused(stoker, "-A", "empty", "worker")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("worker", "--names", "nope"), "no job named 'nope'"),
        (("worker", "--queues", "mail:x"), "write NAME or NAME:SLOTS"),
        (("worker", "--queues", "mail,,sms"), "a name is empty"),
        (("worker", "--queues", "mail sms"), "queue: 'mail sms': write 1 to 200 letters, digits and . _ - /"),
        (("worker", "--tags", "gpu", "--all-tags"), "--tags and --all-tags exclude each other: all tags include gpu"),
        (("worker", "--tags", "a b"), "tag 'a b': write 1 to 200 letters"),
        (("start", "--worker=gpu,", "--queues", "mail"), "a name is empty"),
        (("start", "--tags", "gpu"), "--tags needs -w or -s"),
        (("worker", "--concurrency", "0"), "--concurrency"),
        (("worker", "--concurrency", "x"), "'x' is not an integer"),
        (("worker", "--grace", "soon"), "--grace"),
        (("worker", "--log-format", "xml"), "--log-format"),
        (("start", "-w", "-s"), "exclude each other"),
        (("start", "-w", "-a"), "exclude each other"),
        (("start", "-a", "--no-periodic"), "write -s --no-periodic"),
        (("start", "--queues", "mail"), "--queues needs -w or -s"),
        (("start", "--until-empty"), "--until-empty needs -w"),
        (("start", "-s", "--until-empty"), "--until-empty needs -w"),
        (("start",), "web.app names no ASGI application"),
        (("start", "-s"), "web.app names no ASGI application"),
    ],
)
def test_wrong_use_is_told_in_a_line(shop: Shell, args: tuple[str, ...], said: str) -> None:
    assert said in refused(shop, *args)


@pytest.mark.parametrize(
    ("web", "said"),
    [("pages", "write pages:app"), ("pages:nope", "has no 'nope'"), ("missing:app", "no module named 'missing'")],
)
def test_a_web_application_that_is_not_there_is_told(
    shop: Shell, web: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.write("pages.py", "app = None\n")
    monkeypatch.setenv("STOKER_WEB__APP", web)

    assert said in refused(shop, "start")


def test_without_uvicorn_the_extra_is_named(shop: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.write("pages.py", "app = None\n")
    monkeypatch.setenv("STOKER_WEB__APP", "pages:app")
    monkeypatch.setitem(__import__("sys").modules, "uvicorn", None)

    assert 'pip install "stoker[server]"' in refused(shop, "start")


def test_the_current_folder_is_where_a_worker_looks_for_its_application(stoker: Shell) -> None:
    assert "no application" in refused(stoker, "worker", "--url", "sqlite:///jobs.sqlite3")
