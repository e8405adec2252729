"""Whose claims there are."""

from __future__ import annotations


def claims_of(holders: list[bytes], worker: str) -> list[tuple[str, int]]:
    """Give a worker's claims, the newest first, with their times."""
    found: list[tuple[str, int]] = []
    for token, said in zip(holders[::2], holders[1::2], strict=True):
        time, _, holder = said.decode(errors="replace").partition(" ")
        if holder == worker:
            found.append((token.decode(), int(time)))
    return sorted(found, key=lambda claim: -claim[1])
