"""Secret arguments: how they are marked, and by which texts they would show in an error."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, get_args, get_origin, get_type_hints
from urllib.parse import quote, quote_plus

import msgspec

from stoker.jobs.fidelity import parts


class Secret:
    """Marks an argument that nobody but the handler may see: ``token: Annotated[str, Secret]``."""


def holds_secret(hint: Any, seen: frozenset[int] = frozenset()) -> bool:
    """Tell whether a parameter's annotation marks it, or something in it, as secret."""
    if id(hint) in seen:
        return False
    seen |= {id(hint)}
    if get_origin(hint) is Annotated and any(_marks(one) for one in hint.__metadata__):
        return True
    inner: list[Any] = [one for one in get_args(hint) if not isinstance(one, (str, int))]
    if isinstance(hint, type) and (dataclasses.is_dataclass(hint) or issubclass(hint, msgspec.Struct)):
        inner += _hints_of(hint)
    return any(holds_secret(one, seen) for one in inner)


def _marks(metadata: object) -> bool:
    return metadata is Secret or isinstance(metadata, Secret)


def _hints_of(kind: type) -> list[Any]:
    try:
        return list(get_type_hints(kind, include_extras=True).values())
    except Exception:  # a hint that cannot be resolved is reported where the job's own are
        return []


def texts_in(values: Iterable[object]) -> tuple[str, ...]:
    """Give all texts by which secret values may show in an error, the longest first."""
    found = {text for value in values for leaf in _leaves(value) for text in _spellings(leaf) if text}
    return tuple(sorted(found, key=len, reverse=True))


def _leaves(value: object, depth: int = 0) -> Iterator[object]:
    inner = list(parts(value, "")) if depth < 20 else []
    if inner:
        for _, part in inner:
            yield from _leaves(part, depth + 1)
    elif value is not None and not isinstance(value, bool):
        yield value


def _spellings(leaf: object) -> Iterator[str]:
    if isinstance(leaf, (bytes, bytearray, memoryview)):
        raw = bytes(leaf)
        yield from (raw.decode("utf-8", "replace"), repr(raw)[2:-1], raw.hex(), base64.b64encode(raw).decode())
        return
    text = str(leaf)
    yield from (text, repr(text)[1:-1], ascii(text)[1:-1], repr(leaf))
    yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
    yield from (
        quote(text, safe="", errors="replace"),
        quote(text, errors="replace"),
        quote_plus(text, errors="replace"),
    )
