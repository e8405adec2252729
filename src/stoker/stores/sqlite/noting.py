"""What running attempts leave with their jobs: progress, checkpoints, log lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stoker.core.command import Replies, Sql
from stoker.core.job import JobId
from stoker.core.note import Note
from stoker.stores.codes import encode, json_text
from stoker.stores.sqlite.wire import read_array

_SAID: Final = """SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS token,
    json_extract(value, '$[2]') AS progress, json_extract(value, '$[3]') AS checkpoint,
    json_extract(value, '$[4]') AS lines FROM json_each(:notes)"""

MAY: Final = f"""
SELECT CAST(json_group_array(CAST(job.id AS TEXT)) AS BLOB) AS ids FROM ({_SAID}) AS said
CROSS JOIN stoker_job AS job NOT INDEXED ON job.id = said.id
WHERE job.state = 3 AND job.token = said.token"""  # noqa: S608 - put together from constants

NOTE: Final = f"""
UPDATE stoker_job NOT INDEXED SET progress = coalesce(said.progress, stoker_job.progress),
    checkpoint = coalesce(said.checkpoint, stoker_job.checkpoint), lines = coalesce(said.lines, stoker_job.lines)
FROM ({_SAID} LIMIT -1) AS said
WHERE stoker_job.id = said.id AND state = 3 AND stoker_job.token = said.token"""  # noqa: S608

SAVED: Final = """
SELECT CAST(json_group_array(json_array(CAST(job.id AS TEXT), job.checkpoint)) AS BLOB) AS saved
FROM json_each(:ids) AS one CROSS JOIN stoker_job AS job NOT INDEXED ON job.id = one.value
WHERE job.checkpoint IS NOT NULL"""

LOGGED: Final = SAVED.replace("checkpoint", "lines")


def note_steps(notes: Sequence[Note]) -> tuple[Sql, ...]:
    """Give the steps that keep notes: tell which, then write."""
    rows = [(one.id, one.token, _text(one.progress), _text(one.checkpoint), _text(one.lines)) for one in notes]
    params = {"notes": encode(rows)}
    return (Sql(MAY, params), Sql(NOTE, params))


def noted(replies: Replies) -> frozenset[JobId]:
    """Read whose notes were kept."""
    return frozenset(map(JobId, read_array(replies[0][0][0])))


def saved_step(ids: Sequence[JobId]) -> Sql:
    """Give the statement that reads checkpoints."""
    return Sql(SAVED, {"ids": encode(list(ids))})


def saved(replies: Replies) -> dict[JobId, str]:
    """Read the checkpoints, or the log lines."""
    return {JobId(id): text for id, text in read_array(replies[0][0][0])}


def logged_step(ids: Sequence[JobId]) -> Sql:
    """Give the statement that reads log lines."""
    return Sql(LOGGED, {"ids": encode(list(ids))})


def _text(value: str | None) -> str | None:
    return None if value is None else json_text(value)
