"""What a claim holds when its lease is over."""

from __future__ import annotations

from typing import NamedTuple


class Held(NamedTuple):
    """One job that a claim holds."""

    id: bytes
    value: bytes
    crashes: int
    """With this one, where it counts."""
    counted: bool


def items_of(fields: list[bytes], crashes: list[bytes]) -> list[Held]:
    """Give the jobs of a claim in their order, from all that it holds and how often the worker of each has died."""
    told = dict(zip(fields[::2], fields[1::2], strict=True))
    died = dict(zip(fields[::2], map(int, crashes), strict=True))
    items: list[Held] = []
    for id, value in told.items():
        if not (id.startswith(b"\0") or value.startswith(b"\0")):
            counted = (not died[id] or b"\0" + id in told) and b"\0stopping" not in told
            items.append(Held(id, value, died[id] + counted, counted))
    return sorted(items, key=lambda item: int(item.value.partition(b" ")[0]))
