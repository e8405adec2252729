"""How an attempt ends: the one value that moves a job out of ``running``."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

from stoker.core.job import NOW, AttemptFailure, Due, JobId, NewJob, State, Token


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """The ending of one attempt, guarded by (id, token)."""

    id: JobId
    token: Token
    state: State
    keep: int | None = None
    """For final states: how long the job is kept from now; None for ever, 0 deletes it in this unit."""
    result: str | None = None
    """JSON text."""
    due: Due = NOW
    """For waiting states: when it may run again. ``available`` with a later due is stored ``scheduled``."""
    counts: Literal["failure", "snooze", "none"] = "none"
    error: AttemptFailure | None = None
    duration: int = 0
    """How long the attempt ran, in microseconds."""
    then: tuple[NewJob, ...] = ()
    """Jobs to store in the same unit, if and only if the ending is accepted. A unique key that is taken keeps its
    holder, whatever the job says of conflicts but `replace` and `reschedule`: an ending is refused for no key."""


class Settled(StrEnum):
    """What the store says of one settlement."""

    ACCEPTED = "accepted"
    REPEATED = "repeated"
    """This very settlement was accepted before."""
    LOST = "lost"
    """The job is under another token now, or was taken back."""
    GONE = "gone"
    """There is no such job any more."""
