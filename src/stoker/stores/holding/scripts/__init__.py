"""Parts of scripts, and whole ones, that mean the same in each of these stores.

Keys that only the caller can name follow the fixed ones: the first is ``FIXED + 1``.
"""

from __future__ import annotations

from stoker.stores.lua import Source, assembled


def source_in(package: str, name: str) -> Source:
    """Give a script of a store by its name; what the store has not of its own is taken from here."""
    text, keys = assembled(package, name, __name__)
    return Source(f"local FIXED = {len(keys)}\n{text}", keys)
