"""Tags as lanes: the tags of a job make its route, and a worker's tags say which routes it takes (Loco's rule)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

UNTAGGED: Final = ""
"""The route of jobs without tags."""
LONGEST_TAG: Final = 200
_BETWEEN: Final = ","
_TAG: Final = re.compile(r"[\w.:/-]+")


def route_of(tags: Iterable[str]) -> str:
    """Give the one way to write a set of tags; a tag has no comma in it."""
    return _BETWEEN.join(sorted(set(tags)))


def tags_of(route: str) -> tuple[str, ...]:
    """Give the tags of a route, sorted."""
    return tuple(route.split(_BETWEEN)) if route else ()


def takes(route: str, tags: Collection[str], *, all_tags: bool = False) -> bool:
    """Tell whether a worker takes jobs of a route: without tags those that have none, else those that share one."""
    if all_tags or not tags:
        return all_tags or route == UNTAGGED
    return not set(tags).isdisjoint(tags_of(route))


def is_tag(text: object) -> bool:
    """Tell whether a value can be a tag: 1 to 200 letters, digits and . _ - : /."""
    return isinstance(text, str) and len(text) <= LONGEST_TAG and _TAG.fullmatch(text) is not None
