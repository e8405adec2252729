"""How relational stores write jobs: numbers for states and ids, JSON text for everything that has parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from stoker.core.job import JobId, QueueCount, State
from stoker.core.unique import UniqueKey

STATES: Final = (
    State.SCHEDULED,
    State.AVAILABLE,
    State.RUNNING,
    State.RETRYABLE,
    State.COMPLETED,
    State.CANCELLED,
    State.DISCARDED,
)
CODES: Final = {state: code for code, state in enumerate(STATES, 1)}
"""The numbers under which states are stored; also written out in the SQL of the stores."""
GATED: Final = 0
"""What is stored for an available job that waits at its gates."""

_LARGEST_ID: Final = 18
_encoder = msgspec.json.Encoder()


def encode(value: object) -> str:
    """Write a value as JSON text for the database to take apart."""
    return _encoder.encode(value).decode()


def row_ids(ids: Iterable[JobId]) -> list[int]:
    """Give the row ids of job ids; what cannot be an id of this store is left out."""
    return [int(id) for id in ids if id.isdecimal() and id.isascii() and len(id) <= _LARGEST_ID]


def are_row_ids(ids: Sequence[JobId]) -> bool:
    """Tell, quickly, whether all of them can be ids of this store."""
    joined = "".join(ids)
    lengths = set(map(len, ids)) or {1}
    return not ids or (joined.isascii() and joined.isdecimal() and 0 < min(lengths) <= max(lengths) <= _LARGEST_ID)


def state_of(code: int) -> State:
    """Give the state of a number; one that nobody wrote on purpose shows as discarded: such a job never runs."""
    if code == GATED:
        return State.AVAILABLE
    return STATES[code - 1] if 1 <= code <= len(STATES) else State.DISCARDED


def key_of(key: str | None, states: int | None) -> UniqueKey | None:
    """Give the unique key of a stored job; bit n of ``states``: it is taken while the job is in state n."""
    if not key:
        return None
    return UniqueKey(key, tuple(state.value for state, code in CODES.items() if (states or 0) >> code & 1))


def counted(rows: Iterable[Sequence[Any]]) -> list[QueueCount]:
    """Make the counts of rows of queue, name, route, state's number, count and oldest; the gated are available too."""
    found: dict[tuple[str, str, str, State], QueueCount] = {}
    for queue, name, route, code, count, oldest in rows:
        group = (queue, name, route, state_of(code))
        other = found.get(group) or QueueCount(*group, 0, oldest)
        gated = count if code == GATED else 0
        found[group] = QueueCount(*group, count + other.count, min(oldest, other.oldest), gated + other.gated)
    return list(found.values())


def text(value: str) -> str:
    """Give a text that UTF-8 can hold: lone surrogates become escapes."""
    return value.encode("utf-8", "backslashreplace").decode()


def json_text(value: str) -> str:
    """Give a JSON text that a database's JSON carries unchanged, whatever was in it: NUL becomes an escape too."""
    return text(value).replace("\0", "\\u0000")
