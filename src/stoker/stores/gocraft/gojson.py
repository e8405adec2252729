"""JSON as Go's ``encoding/json`` writes it, byte for byte: what two sides must spell alike to mean the same key."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Final

_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_SPECIAL: Final = re.compile('[\\x00-\\x1f"\\\\<>&\\u2028\\u2029]')
_LARGE, _SMALL = 1e21, 1e-6


def in_gos_words(text: str) -> str:
    """Give a JSON value as Go would have written it; ValueError for what is none, or what Go cannot have."""
    return written(json.loads(text, parse_constant=_refuse))


def written(value: object) -> str:
    """Write a value: keys sorted, no spaces, ``<>&`` escaped, numbers without a needless point."""
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case int():
            return str(value)
        case float():
            return _number(value)
        case str():
            return _text(value)
        case list():
            return f"[{','.join(map(written, value))}]"
        case dict():
            return f"{{{','.join(f'{_text(key)}:{written(value[key])}' for key in sorted(value))}}}"
        case _:
            raise ValueError(f"{value!r} is not JSON")


def _text(value: str) -> str:
    value.encode()  # UnicodeEncodeError, a ValueError, for a lone surrogate
    return f'"{_SPECIAL.sub(_escape, value)}"'


def _escape(found: re.Match[str]) -> str:
    sign = found[0]
    return _ESCAPES.get(sign) or f"\\u{ord(sign):04x}"


def _number(value: float) -> str:
    digits = Decimal(repr(value))
    if value and not _SMALL <= abs(value) < _LARGE:
        mantissa, _, exponent = f"{digits.normalize():e}".partition("e")
        return f"{mantissa}e{int(exponent):+}"
    text = f"{digits:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _refuse(name: str) -> None:
    raise ValueError(f"Go's JSON has no {name}")
