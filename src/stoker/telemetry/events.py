"""Typed events and the board that hands them to listeners.

A listener is a plain function; one that raises is reported once in the log and never hurts a job. Events that speak
of an ending are sent only after the store accepted it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from stoker.core.job import Claim, JobId, NewJob, Token
from stoker.core.settlement import Settled, Settlement

log = logging.getLogger("stoker.events")


class JobsEnqueued(msgspec.Struct, frozen=True):
    """The store has these jobs; ``ids`` in the same order, duplicates by the id of the holder."""

    jobs: tuple[NewJob, ...]
    ids: tuple[JobId, ...]


class AttemptEnded(msgspec.Struct, frozen=True, gc=False):
    """The ending of an attempt was accepted by the store."""

    claim: Claim
    settlement: Settlement


class SettleRefused(msgspec.Struct, frozen=True):
    """The store refused an ending: the claim was lost, or (``uncertain``) nobody can tell after a lost connection."""

    claim: Claim
    settlement: Settlement
    answer: Settled
    uncertain: bool = False


class LateEnding(msgspec.Struct, frozen=True):
    """A job had completed in its handler's transaction when its handler ended otherwise, which changes nothing."""

    claim: Claim
    settlement: Settlement
    """What the handler's ending would have meant."""


class LeaseLost(msgspec.Struct, frozen=True):
    """A heartbeat found leases gone; the attempts under them are stopped."""

    tokens: tuple[Token, ...]


class ResultDropped(msgspec.Struct, frozen=True):
    """A job completed, but what it returned cannot be carried as JSON."""

    claim: Claim
    reason: str


class JobSlow(msgspec.Struct, frozen=True):
    """An attempt has been running for longer than its ``slow_after``; ``running`` in microseconds."""

    claim: Claim
    running: int


class JobOverdue(msgspec.Struct, frozen=True):
    """A job in a thread was told to stop and goes on; it keeps its slot and its lease until it returns."""

    claim: Claim
    reason: str


class LoopStuck(msgspec.Struct, frozen=True):
    """The event loop has not turned for so long (seconds) that the worker's leases are no longer renewed."""

    silent: float
    tokens: tuple[Token, ...]


class StoreFailed(msgspec.Struct, frozen=True):
    """A store did not answer; the runtime tries again after ``delay`` seconds."""

    verb: str
    error: BaseException
    delay: float


class StoreBack(msgspec.Struct, frozen=True):
    """A store answers again."""

    verb: str


class JobsReclaimed(msgspec.Struct, frozen=True):
    """Jobs of silent workers were taken back."""

    available: tuple[JobId, ...]
    cancelled: tuple[JobId, ...]
    discarded: tuple[JobId, ...]


class WorkerStarted(msgspec.Struct, frozen=True):
    """A worker begins to claim."""

    worker: str
    queues: tuple[str, ...]
    names: tuple[str, ...]
    concurrency: int


class WorkerStopping(msgspec.Struct, frozen=True):
    """A worker claims no more; ``running`` attempts have ``grace`` seconds."""

    worker: str
    running: int
    grace: float


class WorkerStopped(msgspec.Struct, frozen=True):
    """A worker has ended."""

    worker: str
    performed: int
    given_back: int


Event: TypeAlias = (
    JobsEnqueued
    | AttemptEnded
    | SettleRefused
    | LateEnding
    | LeaseLost
    | ResultDropped
    | JobSlow
    | JobOverdue
    | LoopStuck
    | StoreFailed
    | StoreBack
    | JobsReclaimed
    | WorkerStarted
    | WorkerStopping
    | WorkerStopped
)
Listener: TypeAlias = Callable[[Event], object]


class Events:
    """The board: `listen` adds a listener, `emit` tells them all."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._reported: set[int] = set()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Add a listener; returns a function that removes it again."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def emit(self, event: Event) -> None:
        """Tell every listener; what they raise is logged, once for each listener."""
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:
                if id(listener) not in self._reported:
                    self._reported.add(id(listener))
                    log.exception("event listener %r raised; it is reported once", listener)
