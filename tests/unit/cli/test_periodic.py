"""`stoker periodic`: list, run, pause, resume, add, remove."""

from __future__ import annotations

import json

import pytest

from tests.unit.cli.conftest import Shell

CODE = """
from stoker import Stoker
app = Stoker(name="shop")

@app.periodic("at 10:30 on mondays", tz="Europe/Berlin")
@app.job
def report(days: int = 1) -> None: ...
"""


@pytest.fixture
def shop_with_entries(shop: Shell) -> Shell:
    shop.write("shop.py", CODE)
    shop("migrate")
    return shop


def listed(shell: Shell, *options: str) -> dict[str, dict[str, object]]:
    found = json.loads(shell("periodic", "list", "--json", *options).stdout)
    return {one["name"]: one for one in found}


def test_what_the_code_declares_is_listed_before_any_worker_ran(shop_with_entries: Shell) -> None:
    report = listed(shop_with_entries)["report"]

    assert (report["application"], report["when"], report["tz"]) == ("shop", "at 10:30 on mondays", "Europe/Berlin")
    assert (report["registered"], report["paused"], report["last_at"]) == (False, False, None)
    assert str(report["next_at"]).endswith(":30:00Z")
    assert "at 10:30 on mondays  Europe/Berlin" in shop_with_entries("periodic", "list").stdout


def test_an_entry_is_run_now(shop_with_entries: Shell) -> None:
    id = shop_with_entries("periodic", "run", "report").stdout.strip()
    (job,) = json.loads(shop_with_entries("jobs", "list", "--json").stdout)

    assert (job["id"], job["name"], job["args"]) == (id, "report", {})


def test_an_entry_is_paused_and_resumed(shop_with_entries: Shell) -> None:
    assert shop_with_entries("periodic", "pause", "report").stdout == "1 entry paused\n"
    assert (listed(shop_with_entries)["report"]["paused"], listed(shop_with_entries)["report"]["next_at"]) == (
        True,
        None,
    )
    assert shop_with_entries("periodic", "pause", "report").stdout == "0 entries paused, 1 already paused\n"
    resumed = shop_with_entries("periodic", "resume", "report", "--json").stdout
    assert json.loads(resumed) == {"names": ["report"], "changed": 1}
    assert listed(shop_with_entries)["report"]["paused"] is False


def test_an_entry_is_added_and_removed(shop_with_entries: Shell) -> None:
    added = shop_with_entries("periodic", "add", "weekly", "--every", "1w", "--job", "report", "--args", '{"days": 7}')
    assert added.stdout == "weekly added\n"
    weekly = listed(shop_with_entries)["weekly"]
    assert (weekly["args"], weekly["declared"], weekly["registered"]) == ({"days": 7}, False, True)

    assert shop_with_entries("periodic", "remove", "weekly").stdout == "1 entry removed\n"
    assert list(listed(shop_with_entries)) == ["report"]


def test_the_store_alone_is_enough(stoker: Shell) -> None:
    shell, url = stoker, "sqlite:///alone.sqlite3"
    added = shell("periodic", "add", "x", "--cron", "@daily", "--application", "bank", "--url", url)
    assert added.stdout == "x added\n"
    assert listed(shell, "--url", url)["x"]["application"] == "bank"
    assert shell("periodic", "run", "x", "--url", url).exit_code == 0
    assert shell("periodic", "add", "y", "--cron", "@daily", "--url", url).exit_code == 2


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("run", "reprot"), "no periodic entry 'reprot'; did you mean 'report'?"),
        (("pause", "x"), "no periodic entry 'x'; there are: report"),
        (("add", "report", "--every", "5m"), "there is an entry of this name"),
        (("add", "x", "--every", "5m"), "no job named 'x'"),
        (("add", "x", "--job", "report"), "say when"),
        (("add", "x", "--job", "report", "--cron", "whenever"), "'whenever' is not understood"),
        (("add", "x", "--job", "report", "--every", "5m", "--args", '{"days": "a"}'), "argument `days`"),
        (("add", "x", "--job", "report", "--every", "5m", "--tz", "Mars"), "is no time zone"),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_2(shop_with_entries: Shell, words: tuple[str, ...], complaint: str) -> None:
    result = shop_with_entries("periodic", *words)

    assert result.exit_code == 2
    assert complaint in result.stderr.replace("' in 'whenever", "")
    assert len(result.stderr.strip().splitlines()) == 1


def test_the_doctor_says_that_nobody_sees_to_the_entries(shop_with_entries: Shell) -> None:
    assert "periodic" not in shop_with_entries("doctor").stdout
    shop_with_entries("periodic", "add", "weekly", "--every", "1w", "--job", "report")

    assert "periodic: no live worker sees to the periodic entries of shop" in shop_with_entries("doctor").stdout


def test_removing_what_the_code_declares_says_that_it_comes_back(shop_with_entries: Shell) -> None:
    shop_with_entries("periodic", "pause", "report")
    assert "pause it instead" in shop_with_entries("periodic", "remove", "report").stderr
