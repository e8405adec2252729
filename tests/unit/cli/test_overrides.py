"""`stoker names override`: say it, show it, take it back."""

from __future__ import annotations

import json

import pytest

from tests.unit.cli.conftest import SHOP, Shell

LIMITED = SHOP.replace("@app.job\n", '@app.job(limit=3, rate=__import__("stoker").Rate(5, per="1s", by="path"))\n')


@pytest.fixture(autouse=True)
def limited(shop: Shell) -> None:
    shop.write("shop.py", LIMITED)


def test_an_override_is_shown_with_who_said_it_and_its_history(shop: Shell) -> None:
    said = shop("names", "override", "resize", "--limit", "5", "--timeout", "30s", "--by", "ada")
    assert said.exit_code == 0
    assert "resize: limit 5, timeout 30 s  (ada, " in said.stdout

    more = shop("names", "override", "resize", "--rate", "path=100/1m", "--max-attempts", "3", "--by", "bob")
    assert "limit 5, rate by path 100 in 60 s, timeout 30 s, max attempts 3  (bob, " in more.stdout
    standing = json.loads(shop("--json", "names", "override", "resize").stdout)["override"]
    rate = {"path": {"starts": 100, "per": 60.0}}
    assert standing["said"] == {"limits": {"": 5}, "rates": rate, "timeout": 30.0, "max_attempts": 3}
    assert standing["at"].endswith("Z")
    cleared = shop("names", "override", "resize", "--clear", "--by", "eve")
    assert "resize: nothing is overridden" in cleared.stdout
    assert "taken back" in cleared.stdout
    history = json.loads(shop("--json", "names", "override", "resize").stdout)
    assert history["override"] is None
    assert [line["by"] for line in history["history"]] == ["eve", "bob", "ada"]


def test_nothing_said_is_shown_as_such(shop: Shell) -> None:
    shown = shop("names", "override", "resize")
    assert (shown.exit_code, shown.stdout) == (0, "resize: nothing is overridden\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--limit", "many"], "write how many may run at once, 5 or tenant=5"),
        (["--limit", "0"], "write how many may run at once"),
        (["--rate", "100"], 'write starts and period, for example "100/1m"'),
        (["--timeout", "soon"], "soon"),
        (
            ["--limit", "path=3"],
            "resize has no such limit in its code, so its jobs are not counted for one",
        ),
        (["--rate", "nobody=1/1s"], "it has rate by path"),
        (["--max-attempts", "0"], "0 is not in the range"),
        (["--clear", "--limit", "3"], "--clear takes back all"),
    ],
)
def test_wrong_use_is_refused_with_what_to_write(shop: Shell, words: list[str], said: str) -> None:
    refused = shop("names", "override", "resize", *words)
    assert refused.exit_code == 2
    assert said in refused.stderr
