"""The store's scripts in Lua."""

from __future__ import annotations

from stoker.stores.lua import Source, assembled


def source(name: str) -> Source:
    """Give a script by its name."""
    return assembled(__name__, name)
