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
from stoker.stores.postgres.unique import OPEN, unique_steps

# In the order of names, so that two that register the same never wait for each other.
REGISTER: Final = """
INSERT INTO stoker.entry AS entry (application, name, rhythm, spec, version, declared, anchor, last, registration)
SELECT :application::text, said.value->>0, said.value->>1, said.value->>2, 1, :declared::boolean, :now, :now,
    :call::text
FROM json_array_elements(:entries::json) AS said (value) ORDER BY said.value->>0
ON CONFLICT (application, name) DO UPDATE SET
    version = entry.version + (entry.spec <> excluded.spec)::integer,
    last = CASE WHEN entry.rhythm = excluded.rhythm THEN entry.last ELSE greatest(entry.last, excluded.last) END,
    rhythm = excluded.rhythm, spec = excluded.spec, declared = excluded.declared,
    registration = excluded.registration"""

# The first row is the clock's, so that there is one without entries too.
ENTRIES: Final = """
SELECT NULL AS application, NULL AS name, NULL AS rhythm, NULL AS spec, 0 AS version, false AS declared,
    :now AS anchor, 0 AS last, NULL AS registration, NULL::bigint AS paused_at
UNION ALL (
    SELECT application, name, rhythm, spec, version, declared, anchor, last, registration, paused_at
    FROM stoker.entry
    WHERE :application::text IS NULL OR application = :application::text
    ORDER BY application COLLATE "C", name COLLATE "C"
)"""

_ONE: Final = "application = :application::text AND name = :name::text"

# One more condition than a first try needs: a repeat finds `last` where it put it.
TICK: Final = f"""
UPDATE stoker.entry SET last = :following::bigint, call = :call::text
WHERE {_ONE} AND version = :version::integer AND last = :previous::bigint AND paused_at IS NULL
    AND call IS DISTINCT FROM :call::text"""

_TICKED: Final = f"EXISTS (SELECT FROM stoker.entry WHERE {_ONE} AND call = :call::text)"

# Without its receipt a call is not open, and the steps that would store its jobs find nothing to do.
UNLESS_TICKED: Final = f"DELETE FROM stoker.call WHERE call = :call::text AND NOT {_TICKED}"

TOLD: Final = f"SELECT {_TICKED}"

_NAMED: Final = "application = :application::text AND name = ANY (ARRAY(SELECT json_array_elements_text(:names::json)))"

PAUSE: Final = f"""
WITH paused AS (
    UPDATE stoker.entry SET paused_at = :now WHERE {_NAMED} AND paused_at IS NULL RETURNING 1
) SELECT count(*) FROM paused"""

RESUME: Final = f"""
WITH resumed AS (
    UPDATE stoker.entry SET paused_at = NULL, last = greatest(last, :now)
    WHERE {_NAMED} AND paused_at IS NOT NULL RETURNING 1
) SELECT count(*) FROM resumed"""

REMOVE: Final = """
WITH removed AS (
    DELETE FROM stoker.entry USING json_array_elements(:entries::json) AS said (value)
    WHERE application = said.value->>0 AND name = said.value->>1 AND registration = said.value->>2 RETURNING 1
) SELECT count(*) FROM removed"""


def register_steps(application: str, entries: Sequence[NewEntry], declared: bool, call: CallId) -> tuple[Sql, ...]:
    """Give the steps that register entries and read all of the application."""
    said = encode([(entry.name, entry.rhythm, entry.spec) for entry in entries])
    params: dict[str, Value] = {"application": application, "entries": said, "declared": declared, "call": call}
    return (Sql(REGISTER, params), entries_step(application))


def entries_step(application: str | None) -> Sql:
    """Give the statement that reads the entries of an application, or of all."""
    return Sql(ENTRIES, {"application": application})


def entries(replies: Replies) -> Entries:
    """Read entries."""
    clock, *rows = replies[-1]
    return Entries(tuple([Entry(*row) for row in rows]), clock[6])


def tick_steps(step: Tick, jobs: Sequence[NewJob], call: CallId) -> tuple[Sql, ...]:
    """Give the steps that move an entry on and, if it did move, store jobs.

    Keys are locked first: whoever has one may keep it for a while, and nobody shall wait for the entry meanwhile.
    """
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
    steps = unique_steps(jobs, sort_out(jobs), call)
    opened = next(place for place, step in enumerate(steps) if step.text == OPEN) + 1
    return (*steps[:opened], moving, Sql(UNLESS_TICKED, params), *steps[opened:], telling)


def ticked(replies: Replies) -> bool:
    """Read whether an entry moved on."""
    return bool(replies[-1][0][0])


def pause_step(application: str, names: Sequence[str], *, paused: bool) -> Sql:
    """Give the statement that pauses or resumes entries."""
    return Sql(PAUSE if paused else RESUME, {"application": application, "names": encode(list(names))})


def remove_step(entries: Sequence[Entry]) -> Sql:
    """Give the statement that removes entries which nobody registered anew."""
    said = encode([(entry.application, entry.name, entry.registration) for entry in entries])
    return Sql(REMOVE, {"entries": said})


def changed(replies: Replies) -> Changed:
    """Read how many entries changed."""
    return Changed(replies[-1][0][0])
