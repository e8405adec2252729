"""The store's scripts in Lua, beside those that it shares."""

from __future__ import annotations

from stoker.stores.holding.scripts import source_in
from stoker.stores.lua import Source


def source(name: str) -> Source:
    """Give a script by its name."""
    return source_in(__name__, name)
