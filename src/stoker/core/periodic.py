"""Periodic entries as stores keep them: what is to happen, and the instant up to which that was decided.

Instants are integers in microseconds since the epoch by the store's clock. What a specification says is for the
planner; a store keeps its text and compares it.
"""

from __future__ import annotations

from typing import Final

import msgspec

PERIODIC_TICK: Final = "stoker/tick"
"""Where in a job's meta the planned instant of its tick stands, in microseconds."""


class NewEntry(msgspec.Struct, frozen=True):
    """A periodic entry on its way into a store."""

    name: str
    rhythm: str
    """One line of JSON: when. What changes here counts from now on."""
    spec: str
    """JSON text: everything, with the job."""


class Entry(msgspec.Struct, frozen=True):
    """A periodic entry of an application."""

    application: str
    name: str
    rhythm: str
    spec: str
    version: int
    """How many specifications it has had; a tick planned by an earlier one is refused."""
    declared: bool
    """By code or settings; an entry that was added at run time stays until somebody removes it."""
    anchor: int
    """When it was registered first."""
    last: int
    """The planned instant of the latest tick that was decided: nothing before it is due any more."""
    registration: str
    """Id of the call that registered it last."""
    paused_at: int | None = None


class Entries(msgspec.Struct, frozen=True):
    """The answer of a look at periodic entries."""

    entries: tuple[Entry, ...]
    """By application and name."""
    now: int
    """The store's clock, by which a planner tells what is due."""


class Tick(msgspec.Struct, frozen=True):
    """A step of one entry: only from ``previous``, and only by the specification of that version."""

    application: str
    name: str
    version: int
    previous: int
    following: int
