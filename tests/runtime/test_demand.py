"""How free slots are split over queues: in turn, by weight, in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from stoker.runtime.demand import MOST_QUEUES, Split, split_of
from stoker.runtime.plan import PoolPlan


def split(*queues: str, weights: tuple[int, ...] = (), strict: bool = False) -> Split:
    return split_of(PoolPlan("shared", queues, 10, weights, strict))


def serve(split: Split, room: int, waiting: Mapping[str, int], rounds: int) -> Counter[str]:
    """Claim so many times from queues with so many jobs; give what was taken of each."""
    left, taken = Counter(waiting), Counter[str]()
    for _ in range(rounds):
        demand = split.share(room)
        assert sum(demand.values()) == room
        assert all(demand.values())
        given = {queue: min(wanted, left[queue]) for queue, wanted in demand.items()}
        split.answered(demand, given)
        left -= Counter(given)
        taken.update(given)
    return taken


def test_equal_queues_have_equal_parts_and_the_odd_ones_change() -> None:
    assert split("a", "b").share(10) == {"a": 5, "b": 5}
    assert serve(split("a", "b", "c"), 1, {"a": 99, "b": 99, "c": 99}, 9) == {"a": 3, "b": 3, "c": 3}


def test_weights_are_kept_over_large_claims_and_small_ones() -> None:
    plenty = {"a": 9999, "b": 9999}
    assert serve(split("a", "b", weights=(3, 1)), 100, plenty, 4) == {"a": 300, "b": 100}
    assert serve(split("a", "b", weights=(3, 1)), 1, plenty, 40) == {"a": 30, "b": 10}
    assert serve(split("a", "b", weights=(99, 1)), 7, plenty, 100)["b"] in range(6, 9)


def test_what_a_queue_of_large_weight_does_not_use_the_others_have() -> None:
    taken = serve(split("a", "b", weights=(9, 1)), 10, {"b": 999}, 10)
    assert taken["b"] >= 80


def test_a_queue_that_was_empty_has_its_part_again_soon_and_no_more() -> None:
    one = split("a", "b", weights=(9, 1))
    serve(one, 10, {"b": 999}, 50)
    taken = serve(one, 10, {"a": 999, "b": 999}, 20)
    assert 160 <= taken["a"] <= 190


def test_a_single_free_slot_reaches_every_queue_although_most_are_empty() -> None:
    taken = serve(split("a", "b", "c", weights=(50, 20, 1)), 1, {"c": 999}, 12)
    assert taken["c"] >= 3


def test_many_queues_are_asked_some_at_a_time() -> None:
    names = tuple(f"q{number}" for number in range(200))
    asked = Counter[str]()
    one = split(*names, weights=(2, *[1] * 199))
    for _ in range(20):
        demand = one.share(1000)
        assert len(demand) <= MOST_QUEUES
        asked.update(demand.keys())
    assert len(asked) == 200


def test_in_strict_order_the_next_queue_is_asked_only_when_those_before_are_empty() -> None:
    one = split("a", "b", "c", strict=True)
    assert one.share(10) == {"a": 10}
    one.answered({"a": 10}, {"a": 10})
    assert one.share(4) == {"a": 4}
    one.answered({"a": 4}, {"a": 1})
    assert one.share(3) == {"b": 3}
    one.answered({"b": 3}, {"b": 3})
    assert one.share(3) == {"a": 3}


def test_the_claims_of_other_pools_do_not_change_the_order() -> None:
    one = split("a", "b", strict=True)
    one.answered({"mail": 3}, {})
    assert one.share(1) == {"a": 1}
