# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""Periodic entries: registered, ticked, paused, removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stoker.core.command import Replies, Sql, Value
from stoker.core.job import CallId, Changed, NewJob
from stoker.core.periodic import Entries, Entry, NewEntry, Tick
from stoker.stores.codes import encode
from stoker.stores.grouping import sort_out
from stoker.stores.sqlite import intake, unique
from stoker.stores.sqlite.wire import read_array

REGISTER: Final = """
INSERT INTO stoker_entry (application, name, rhythm, spec, version, declared, anchor, last, registration)
SELECT :application, json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), 1,
    :declared, :now, :now, :call
FROM json_each(:entries) WHERE true
ON CONFLICT (application, name) DO UPDATE SET
    version = version + (spec <> excluded.spec),
    last = CASE WHEN rhythm = excluded.rhythm THEN last ELSE max(last, :now) END,
    rhythm = excluded.rhythm, spec = excluded.spec, declared = excluded.declared,
    registration = excluded.registration"""

ENTRIES: Final = """
SELECT CAST((SELECT json_group_array(json_array(application, name, rhythm, spec, version,
    json(CASE WHEN declared THEN 'true' ELSE 'false' END), anchor, last, registration, paused_at))
    FROM (SELECT * FROM stoker_entry WHERE :application IS NULL OR application = :application
    ORDER BY application, name)) AS BLOB) AS entries, :now + 0 AS now"""

_ONE: Final = "application = :application AND name = :name"

# One more condition than a first try needs: a repeat finds `last` where it put it.
TICK: Final = f"""
UPDATE stoker_entry SET last = :following, call = :call
WHERE {_ONE} AND version = :version AND last = :previous AND paused_at IS NULL AND call IS NOT :call"""

_TICKED: Final = f"EXISTS (SELECT 1 FROM stoker_entry WHERE {_ONE} AND call = :call)"

# Without its receipt a call is not fresh, and the steps that would store its jobs find nothing to do.
UNLESS_TICKED: Final = f"DELETE FROM stoker_call WHERE call = :call AND NOT {_TICKED}"

TOLD: Final = f"SELECT {_TICKED} AS ticked"

PAUSE: Final = """
UPDATE stoker_entry SET paused_at = :now
WHERE application = :application AND name IN (SELECT value FROM json_each(:names)) AND paused_at IS NULL"""

RESUME: Final = """
UPDATE stoker_entry SET paused_at = NULL, last = max(last, :now)
WHERE application = :application AND name IN (SELECT value FROM json_each(:names)) AND paused_at IS NOT NULL"""

REMOVE: Final = """
DELETE FROM stoker_entry WHERE (application, name, registration) IN (
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
    FROM json_each(:entries)
)"""

_CHANGES: Final = Sql("SELECT changes() AS count", {})


def register_steps(application: str, entries: Sequence[NewEntry], declared: bool, call: CallId) -> tuple[Sql, ...]:
    """Give the steps that register entries and read all of the application."""
    said = encode([(entry.name, entry.rhythm, entry.spec) for entry in entries])
    params: dict[str, Value] = {"application": application, "entries": said, "declared": int(declared), "call": call}
    return (Sql(REGISTER, params), entries_step(application))


def entries_step(application: str | None) -> Sql:
    """Give the statement that reads the entries of an application, or of all."""
    return Sql(ENTRIES, {"application": application})


def entries(replies: Replies) -> Entries:
    """Read entries."""
    rows, now = replies[-1][0]
    return Entries(tuple([Entry(*row) for row in read_array(rows)]), now)


def tick_steps(step: Tick, jobs: Sequence[NewJob], call: CallId) -> tuple[Sql, ...]:
    """Give the steps that move an entry on and, if it did move, store jobs."""
    params: dict[str, Value] = {
        "application": step.application,
        "name": step.name,
        "version": step.version,
        "previous": step.previous,
        "following": step.following,
        "call": call,
    }
    moving, telling = Sql(TICK, params), Sql(TOLD, params)
    if not jobs:
        return (moving, telling)
    receipt, *storing = _enqueue_steps(jobs, call)
    return (receipt, moving, Sql(UNLESS_TICKED, params), *storing, telling)


def ticked(replies: Replies) -> bool:
    """Read whether an entry moved on."""
    return bool(replies[-1][0][0])


def pause_steps(application: str, names: Sequence[str], *, paused: bool) -> tuple[Sql, ...]:
    """Give the steps that pause or resume entries."""
    params: dict[str, Value] = {"application": application, "names": encode(list(names))}
    return (Sql(PAUSE if paused else RESUME, params), _CHANGES)


def remove_steps(entries: Sequence[Entry]) -> tuple[Sql, ...]:
    """Give the steps that remove entries which nobody registered anew."""
    said = encode([(entry.application, entry.name, entry.registration) for entry in entries])
    return (Sql(REMOVE, {"entries": said}), _CHANGES)


def changed(replies: Replies) -> Changed:
    """Read how many entries changed."""
    return Changed(replies[-1][0][0])


def _enqueue_steps(jobs: Sequence[NewJob], call: CallId) -> tuple[Sql, ...]:
    if all(job.unique is None for job in jobs):
        return intake.plain_steps(jobs, call)
    return unique.unique_steps(jobs, sort_out(jobs), call)
