"""Blanking out of texts what nobody may see."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

HIDDEN: Final = "[secret]"
_ALL_HIDDEN: Final = "[not shown: it may show a secret argument]"
_SHORT: Final = 3


def blanked(text: str, hidden: Iterable[str]) -> str:
    """Give a text without what is to be hidden, the longest first."""
    for secret in hidden:
        if secret in text:
            if len(secret) < _SHORT:
                return _ALL_HIDDEN  # replacing each letter of a kind would tell which one it is
            text = text.replace(secret, HIDDEN)
    return text
