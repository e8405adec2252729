"""Roadster's hash of periodic jobs, with the values of its own tests."""

from __future__ import annotations

import pytest

from stoker.stores.pgmq.periodic import periodic_hash


@pytest.mark.parametrize(
    ("name", "schedule", "args", "hashed"),
    [
        ("a", "* * * * * *", {"foo": "bar"}, 11189630487790136136),
        ("b", "*/10 * * * * *", {"foo": "baz"}, 4508099775577637326),
    ],
)
def test_a_hash_is_the_one_that_roadster_computes(name: str, schedule: str, args: object, hashed: int) -> None:
    assert periodic_hash(name, schedule, args) == hashed


def test_the_order_of_keys_does_not_matter() -> None:
    assert periodic_hash("a", "* * * * * *", {"a": 1, "b": [None, True, -1, 2.5]}) == periodic_hash(
        "a", "* * * * * *", {"b": [None, True, -1, 2.5], "a": 1}
    )


@pytest.mark.parametrize("other", [{"foo": 1}, {"foo": "1"}, {"foo": 1.0}, {"foo": True}, {"foo": None}, {"foo": [1]}])
def test_what_differs_in_its_type_only_has_another_hash(other: object) -> None:
    everything = [{"foo": 1}, {"foo": "1"}, {"foo": 1.0}, {"foo": True}, {"foo": None}, {"foo": [1]}]

    assert [repr(one) for one in everything if _hash(one) == _hash(other)] == [repr(other)]


def test_what_is_no_json_has_no_hash() -> None:
    with pytest.raises(TypeError, match="set is not JSON"):
        periodic_hash("a", "* * * * * *", {"foo": {1}})


def _hash(args: object) -> int:
    return periodic_hash("a", "* * * * * *", args)
