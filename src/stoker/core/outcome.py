"""What came of one attempt, before anybody decides what it means for the job."""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class Succeeded(msgspec.Struct, frozen=True, gc=False):
    """The handler returned; ``result`` is JSON text, or None when it cannot be carried."""

    result: str | None = "null"
    duration: int = 0
    dropped: str = ""
    """Why the result cannot be carried."""


class ElsewhereRaised(Exception):
    """What a handler raised in a process of its own, where its class and its objects stayed.

    ``kinds`` are the names of its class and that one's bases, as errors are named with a job.
    """

    def __init__(self, kinds: tuple[str, ...], message: str, trace: str) -> None:
        super().__init__(message)
        self.kinds = kinds
        self.trace = trace


class Failed(msgspec.Struct, frozen=True):
    """The handler raised, timed out or was found unable to run."""

    error: BaseException
    trace: str = ""
    delay: int | None = None
    """Microseconds until the next attempt where the handler chose them; None leaves it to the backoff."""
    duration: int = 0
    asked: bool = False
    """The handler itself asked for another attempt: what the policy says of its error's type does not matter."""
    hidden: tuple[str, ...] = ()
    """Texts that must not be written down with the error."""


class Snoozed(msgspec.Struct, frozen=True):
    """The handler asked to run again later; no failure is counted. ``delay`` in microseconds."""

    delay: int
    duration: int = 0


class CancelledByHandler(msgspec.Struct, frozen=True):
    """The handler, or somebody outside, ended the job for good as cancelled."""

    reason: str
    duration: int = 0
    requested: bool = False
    """Whether it was somebody outside."""


class DiscardedByHandler(msgspec.Struct, frozen=True):
    """The handler ended the job for good as failed."""

    reason: str
    duration: int = 0


class GivenBack(msgspec.Struct, frozen=True):
    """The attempt was not (or not fully) made and is not counted: shutdown, prefetched too long, misfit."""

    reason: str
    delay: int = 0
    duration: int = 0


class Expired(msgspec.Struct, frozen=True):
    """The job was claimed after the instant by which it was to start; it was not performed."""


class Unreadable(msgspec.Struct, frozen=True):
    """The stored row is corrupt; it can never be performed."""

    reason: str


Unsuccessful: TypeAlias = Failed | Snoozed | CancelledByHandler | DiscardedByHandler | GivenBack | Expired | Unreadable
Outcome: TypeAlias = Succeeded | Unsuccessful
