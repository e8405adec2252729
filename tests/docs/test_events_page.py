"""The page on events names every kind there is."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

import stoker.telemetry
from stoker.telemetry.events import KINDS

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "middleware-and-events.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| `")]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_kind_of_event_has_a_row_that_names_its_fields(kind: type[msgspec.Struct]) -> None:
    (row,) = [row for row in ROWS if f"`{kind.__name__}`" in row.split("|")[1]]

    fields = row.rpartition("| `")[2].partition("`")[0].split()
    assert "…" in fields or set(kind.__struct_fields__) <= set(fields)


def test_every_kind_is_public() -> None:
    assert {kind.__name__ for kind in KINDS} <= set(stoker.telemetry.__all__)
