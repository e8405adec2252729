"""How a script of a Redis store is put together from its file and what it uses."""

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
def assembled(package: str, name: str, shared: str = "") -> Source:
    """Put a script together: a local for each key that it names, the prelude, what it uses, and itself.

    Files that ``package`` has not are those of the package ``shared``.
    """
    own = _read(package, name, shared)
    said = {kind: tuple(words.split()) for kind, words in _HEADER.findall(own)}
    keys = said["keys"]
    locals_ = (
        f"local {', '.join(f'k_{key}' for key in keys)} = {', '.join(f'KEYS[{n + 1}]' for n in range(len(keys)))}\n"
        if keys
        else ""
    )
    parts = ("prelude", *said.get("uses", ()))
    text = "".join([*(_read(package, part, shared) for part in parts), own])
    return Source(f"{locals_}{_COMMENTS.sub('', text)}", keys)


def _read(package: str, name: str, shared: str) -> str:
    own = files(package).joinpath(f"{name}.lua")
    found = files(shared).joinpath(f"{name}.lua") if shared and not own.is_file() else own
    return found.read_text("utf-8")
