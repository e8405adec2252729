"""What is wrong with arguments, in words that name the job and the path."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from stoker.jobs.signature import Signature

_AT: Final = re.compile(r"^(?P<said>.*) - at `(?P<path>.*?)`$")
_PARAMETER: Final = re.compile(r"\w+")
_FIELD: Final = re.compile(r"^Object (?:contains unknown|missing required) field `(?P<name>.*)`$")


def misfit(job: str, error: Exception, secrets: frozenset[str] = frozenset()) -> str:
    """Put a decoder's complaint in our words: ``welcome: argument `user_id`: expected `int`, got `str` ``.

    Of an argument whose name is among the ``secrets`` no more is said than that it does not fit.
    """
    text = " ".join(line.strip() for line in str(error).splitlines())
    found = _AT.match(text)
    said, path = (found["said"], found["path"].removeprefix("$").removeprefix(".")) if found else (text, "")
    if (name := _PARAMETER.match(path)) and name[0] in secrets:
        return f"{job}: argument `{name[0]}`, which is secret, does not fit its annotation"
    if path:
        return f"{job}: argument `{path}`: {_lower(said)}"
    field = _FIELD.match(said)
    if field is None:
        return f"{job}: {_lower(said)}"
    known = "unknown" if "unknown" in said else "missing"
    return f"{job}: {known} argument `{field['name']}`"


def too_large(job: str, size: int, most: int) -> str:
    """Say that arguments are too large, and where to put them instead."""
    return (
        f"{job}: {size} bytes of arguments, at most {most} (jobs.max_args): "
        "put large data where the job can read it, and send its address"
    )


def unbound(
    job: str, signature: Signature, args: Sequence[object], kwargs: Mapping[str, object], error: TypeError
) -> str:
    """Say why a call does not fit a signature, as Python itself would say it."""
    python = signature.as_python()
    said: TypeError = error
    try:
        python.bind(*args, **kwargs)
    except TypeError as better:
        said = better
    return f"{job}: {said}; it takes {python}"


def _lower(said: str) -> str:
    return said[:1].lower() + said[1:]
