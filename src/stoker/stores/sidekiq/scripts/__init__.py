"""The store's scripts in Lua. Keys that only the caller can name follow the fixed ones: the first is ``FIXED + 1``."""

from __future__ import annotations

from stoker.stores.lua import Source, assembled


def source(name: str) -> Source:
    """Give a script by its name."""
    text, keys = assembled(__name__, name)
    return Source(f"local FIXED = {len(keys)}\n{text}", keys)
