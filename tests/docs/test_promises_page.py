"""The table of promises says of every store what its flags say."""

from __future__ import annotations

from stoker.core.capability import Capability
from tests.docs.promises import PROMISES, URLS, table, written


def test_the_table_is_made_from_the_flags() -> None:
    assert written().strip() == table().strip(), "python -m tests.docs.promises writes it anew"


def test_every_flag_has_a_row() -> None:
    assert set(PROMISES) == set(Capability)


def test_a_promise_that_no_store_keeps_says_so() -> None:
    rows = [row for row in table().splitlines() if "`" in row and "yes" not in row and "promise" not in row]

    assert rows
    assert all("in no store yet" in row for row in rows), URLS
