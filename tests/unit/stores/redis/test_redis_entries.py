"""Periodic entries that nobody wrote on purpose are shown, and cost no other entry."""

from __future__ import annotations

import pytest

from stoker.core.periodic import Entry
from stoker.schedule.spec import read_spec
from stoker.stores.redis.periodic import entries

GOOD = b"1 1 5 7 - abc -\n{}\n{}"


@pytest.mark.parametrize("value", [b"", b"garbage", b"1 1 5 x - a b\n{}\n{}", b"\xff\xfe", b"1 1\n\n"])
def test_garbage_is_an_entry_that_no_planner_reads(value: bytes) -> None:
    bad, good = entries("shop")([b"shop\0good", GOOD, b"shop\0bad", value, b"9"]).entries

    assert good == Entry("shop", "good", "{}", "{}", 1, True, 5, 7, "abc")
    assert bad.name == "bad"
    with pytest.raises(ValueError, match="specification"):
        read_spec(bad.spec)
