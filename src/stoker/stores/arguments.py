"""Stored arguments as filters ask for them: a path into the JSON, and the JSON of what is to be there."""

from __future__ import annotations

import json
from typing import Final

_ABSENT: Final = object()


def args_are(wanted: tuple[tuple[str, str], ...], text: str) -> bool:
    """Tell whether arguments have one of the wanted values at each path."""
    paths: dict[str, set[str]] = {}
    for path, value in wanted:
        paths.setdefault(path, set()).add(_canonical(_read(value)))
    args = _read(text)
    return all(_canonical(_at(args, path.split("."))) in texts for path, texts in paths.items())


def _at(value: object, path: list[str]) -> object:
    for step in path:
        match value:
            case dict() if step in value:
                value = value[step]
            case list() if step.isdecimal() and int(step) < len(value):
                value = value[int(step)]
            case _:
                return _ABSENT
    return value


def _read(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _ABSENT


def _canonical(value: object) -> str:
    # As text, because 1, 1.0 and True are equal in Python but not in JSON.
    return "absent" if value is _ABSENT else json.dumps(value, sort_keys=True)
