"""The page about settings says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stoker.settings import PoolSettings, StoreSettings, load
from stoker.settings.schema import dotted, leaves
from stoker.settings.sections import UNUSED, Keys
from stoker.settings.values import written

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(?P<key>[\w.…]+)` \| (?P<default>.+?) \| .+ \|$", re.MULTILINE)
YAML = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

RAW = {"periodic", "scheduler.output", "scheduler.jobs"}
"""Kept as written: told in the text, without a row of their own."""


def defaults() -> dict[str, str]:
    keys = Keys(queue=StoreSettings(queues={"NAME": PoolSettings()}))
    return {dotted(leaf.key): written(leaf.value, kind=leaf.kind) for leaf in leaves(keys)}


def rows() -> dict[str, str]:
    return {row["key"]: row["default"] for row in ROW.finditer(PAGE) if "…" not in row["key"]}


def test_every_key_has_a_row_and_every_row_a_key() -> None:
    assert set(rows()) == set(defaults()) - RAW


def test_keys_that_nothing_uses_are_said_to_be_so() -> None:
    said = {row["key"] for row in ROW.finditer(PAGE) if "not used by this version" in row[0]}

    assert said == UNUSED


@pytest.mark.parametrize("key", sorted(rows()))
def test_a_default_is_the_one_in_the_code(key: str) -> None:
    assert rows()[key].replace("–", "none") == defaults()[key]


@pytest.mark.parametrize("text", YAML)
def test_an_example_of_a_settings_file_is_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "development.yaml").write_text(text, encoding="utf-8")

    assert load(root=tmp_path, environ={}).origins
