"""What running attempts leave with their jobs: progress, checkpoints, log lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from stoker.core.job import JobId
from stoker.core.note import Note
from stoker.stores.redis.commands import Arg
from stoker.stores.redis.wire import printable


def note_args(notes: Sequence[Note]) -> list[Arg]:
    """Give what `note.lua` takes."""
    args: list[Arg] = []
    for one in notes:
        args += [
            one.id,
            one.token,
            *(b"" if said is None else printable(said) for said in (one.progress, one.checkpoint, one.lines)),
        ]
    return args


def noted(reply: list[bytes]) -> frozenset[JobId]:
    """Read whose notes were kept."""
    return frozenset(JobId(id.decode()) for id in reply)


def saved(ids: Sequence[JobId]) -> Callable[[list[Any]], dict[JobId, str]]:
    """Give the reader of checkpoints or log lines, which come in the order of the ids."""

    def read(reply: list[Any]) -> dict[JobId, str]:
        return {
            id: msgspec.json.decode(b'"%s"' % text, type=str)
            for id, text in zip(ids, reply, strict=True)
            if text is not None
        }

    return read
