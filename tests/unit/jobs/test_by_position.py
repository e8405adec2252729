"""Arguments by position, for stores whose other readers know no names."""

from __future__ import annotations

from typing import Any

import pytest

from stoker import Stoker

app: Stoker[Any] = Stoker("memory://")


@app.job
def plain(a: int, b: str = "x", c: list[int] | None = None) -> None: ...


@app.job
def rest(a: int, *others: int) -> None: ...


@app.job
def named(a: int, *, loud: bool = False) -> None: ...


@pytest.mark.parametrize(
    ("job", "args", "kwargs", "text"),
    [
        (plain, (1,), {}, "[1]"),
        (plain, (1,), {"c": [2]}, '[1,"x",[2]]'),
        (plain, (12345678901234567890,), {"b": "ü"}, '[12345678901234567890,"ü"]'),
        (rest, (1, 2, 3), {}, "[1,2,3]"),
        (named, (1,), {}, "[1]"),
        (named, (1,), {"loud": True}, '{"a":1,"loud":true}'),
    ],
)
def test_arguments_go_by_position_where_all_have_one(job: Any, args: Any, kwargs: Any, text: str) -> None:
    given = job.draft(*args, **kwargs).args

    assert job.by_position(given) == text
    assert job.decode(text) == job.decode(given)
