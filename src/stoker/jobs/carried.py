"""Values of handlers as JSON text, which they may turn out not to be: results and checkpoints."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from stoker.jobs.carriers import to_carried
from stoker.jobs.obstacles import not_finite, obstacle

_ENCODER: Final = msgspec.json.Encoder(enc_hook=to_carried)
_PLAIN_TYPES: Final = frozenset({str, int, bool})


class Carried(NamedTuple):
    """A value as JSON text, or None and the reason why it is not JSON."""

    text: str | None
    reason: str = ""


def carried(value: object, what: str) -> Carried:
    """Give a value as JSON text, or say why it is not JSON; ``what`` is its name in that."""
    if value is None:
        return Carried("null")
    try:
        encoded = _ENCODER.encode(value)
    except Exception as error:
        return Carried(None, _reason(value, what, error))
    if type(value) not in _PLAIN_TYPES and b"null" in encoded and (found := not_finite(value, what)):
        return Carried(None, str(found))
    return Carried(encoded.decode())


def _reason(value: object, what: str, error: Exception) -> str:
    try:
        return str(obstacle(value, what) or error)
    except Exception as broken:  # an object that raises when it is looked at: a proxy out of its context, for example
        return f"`{what}`: looking at it raised {type(broken).__name__}"
