"""The store's scripts in Lua, and how a script is put together from its file and what it uses."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

_HEADER: Final = re.compile(r"^-- (keys|uses):(.*)$", re.MULTILINE)
_COMMENTS: Final = re.compile(r"^\s*--.*\n", re.MULTILINE)


class Source(NamedTuple):
    """A script as it is sent, and the names of its keys in their order."""

    text: str
    keys: tuple[str, ...]


@cache
def source(name: str) -> Source:
    """Put a script together: a local for each key that it names, the prelude, what it uses, and itself."""
    own = _read(name)
    said = {kind: tuple(words.split()) for kind, words in _HEADER.findall(own)}
    keys = said["keys"]
    locals_ = (
        f"local {', '.join(f'k_{key}' for key in keys)} = {', '.join(f'KEYS[{n + 1}]' for n in range(len(keys)))}\n"
    )
    parts = ("prelude", *said.get("uses", ()))
    return Source(locals_ + _COMMENTS.sub("", "".join([*map(_read, parts), own])), keys)


def _read(name: str) -> str:
    return files(__name__).joinpath(f"{name}.lua").read_text("utf-8")
