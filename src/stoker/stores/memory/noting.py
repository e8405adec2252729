"""What running attempts leave with their jobs: progress, checkpoints, log lines."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.core.job import JobId
from stoker.core.note import Note
from stoker.stores.memory.contents import Contents
from stoker.stores.memory.row import RUNNING


def note(contents: Contents, notes: Sequence[Note]) -> frozenset[JobId]:
    """Keep the notes of those who hold their jobs."""
    noted: set[JobId] = set()
    for one in notes:
        row = contents.rows.get(one.id)
        if row is None or row.state is not RUNNING or row.token != one.token:
            continue
        if one.progress is not None:
            row.progress = one.progress
        if one.checkpoint is not None:
            row.checkpoint = one.checkpoint
        if one.lines is not None:
            row.lines = one.lines
        noted.add(one.id)
    return frozenset(noted)


def saved(contents: Contents, ids: Sequence[JobId]) -> dict[JobId, str]:
    """Give the checkpoints that there are."""
    rows = (contents.rows.get(id) for id in ids)
    return {row.id: row.checkpoint for row in rows if row is not None and row.checkpoint is not None}


def logged(contents: Contents, ids: Sequence[JobId]) -> dict[JobId, str]:
    """Give the log lines that there are."""
    rows = (contents.rows.get(id) for id in ids)
    return {row.id: row.lines for row in rows if row is not None and row.lines is not None}
