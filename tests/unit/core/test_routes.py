"""Tags: one way to write a set of them, and who takes what."""

from __future__ import annotations

import pytest

from stoker.core.routes import is_tag, route_of, tags_of, takes


def test_a_set_of_tags_is_written_in_one_way() -> None:
    assert route_of(["gpu", "eu", "gpu"]) == route_of(["eu", "gpu"]) == "eu,gpu"
    assert tags_of(route_of(["b", "a"])) == ("a", "b")
    assert (route_of([]), tags_of("")) == ("", ())


@pytest.mark.parametrize(
    ("route", "tags", "taken"),
    [
        ("", [], True),
        ("gpu", [], False),
        ("", ["gpu"], False),
        ("gpu", ["gpu"], True),
        ("eu,gpu", ["gpu", "ssd"], True),
        ("eu,gpu", ["ssd"], False),
        ("GPU", ["gpu"], False),
        ("gpu2", ["gpu"], False),
    ],
)
def test_a_worker_without_tags_takes_untagged_jobs_and_one_with_tags_what_shares_one(
    route: str, tags: list[str], taken: bool
) -> None:
    assert takes(route, tags) is taken
    assert takes(route, [], all_tags=True)


@pytest.mark.parametrize("text", ["", "a,b", "a b", "a" * 201, None, 3, "a\n"])
def test_what_command_lines_cannot_carry_is_no_tag(text: object) -> None:
    assert not is_tag(text)


def test_usual_words_are_tags() -> None:
    assert all(map(is_tag, ["gpu", "eu-west-1", "team:billing", "a/b", "größe", "v1.2"]))
