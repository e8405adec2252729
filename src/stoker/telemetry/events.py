"""What can happen, as typed values. Those that speak of an ending are sent only after the store accepted it."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

import msgspec

from stoker.core.job import Claim, JobId, NewJob, Token
from stoker.core.settlement import Settled, Settlement

Verb: TypeAlias = Literal["cancel", "retry", "replay", "promote", "delete"]


class JobsEnqueued(msgspec.Struct, frozen=True):
    """The store has these jobs; ``ids`` in the same order, duplicates by the id of the holder."""

    jobs: tuple[NewJob, ...]
    ids: tuple[JobId, ...]


class JobsChanged(msgspec.Struct, frozen=True):
    """Somebody changed jobs from this process: cancelled, retried, replayed, promoted or deleted them."""

    verb: Verb
    ids: tuple[JobId, ...]
    """The jobs that changed; of a replay the new ones."""


class QueuesPaused(msgspec.Struct, frozen=True):
    """Somebody paused or resumed queues or job names from this process."""

    kind: str
    """``queue`` or ``name``."""
    values: tuple[str, ...]
    paused: bool


class AttemptStarted(msgspec.Struct, frozen=True, gc=False):
    """A handler is about to be called."""

    claim: Claim


class AttemptEnded(msgspec.Struct, frozen=True, gc=False):
    """The ending of an attempt was accepted by the store."""

    claim: Claim
    settlement: Settlement
    """``state`` is what it left the job in, ``error`` how it failed if it did, ``duration`` in microseconds."""


class JobMisfit(msgspec.Struct, frozen=True):
    """This worker's code cannot read a job's arguments, probably a deploy half done; it is given back uncounted."""

    claim: Claim
    reason: str


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


class JobsPruned(msgspec.Struct, frozen=True):
    """Jobs were deleted because they had been kept long enough."""

    ids: tuple[JobId, ...]


class JobsReclaimed(msgspec.Struct, frozen=True):
    """Jobs of silent workers were taken back."""

    available: tuple[JobId, ...]
    cancelled: tuple[JobId, ...]
    discarded: tuple[JobId, ...]


class BreakerOpened(msgspec.Struct, frozen=True):
    """The jobs of a name failed too often: they wait, and after each ``rest`` (µs) one of them probes."""

    name: str
    rest: int


class BreakerClosed(msgspec.Struct, frozen=True):
    """A probe succeeded: the jobs of a name run again."""

    name: str


class JobsExpired(msgspec.Struct, frozen=True):
    """Waiting jobs were cancelled because they were not started in time."""

    ids: tuple[JobId, ...]


class WorkerStarted(msgspec.Struct, frozen=True):
    """A worker begins to claim."""

    worker: str
    queues: tuple[str, ...]
    names: tuple[str, ...]
    concurrency: int
    tags: tuple[str, ...] = ()
    all_tags: bool = False


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


class EntryTicked(msgspec.Struct, frozen=True):
    """This worker moved a periodic entry on to the instant ``at`` and enqueued so many jobs for it."""

    application: str
    entry: str
    at: int
    jobs: int


class EntryFailed(msgspec.Struct, frozen=True):
    """A periodic entry cannot be read, or a run of it was not enqueued."""

    application: str
    entry: str
    reason: str


class EntriesRemoved(msgspec.Struct, frozen=True):
    """Periodic entries were removed, because no living worker of their application declares them any more."""

    application: str
    entries: tuple[str, ...]


Event: TypeAlias = (
    JobsEnqueued
    | JobsChanged
    | QueuesPaused
    | AttemptStarted
    | AttemptEnded
    | JobMisfit
    | SettleRefused
    | LateEnding
    | LeaseLost
    | ResultDropped
    | JobSlow
    | JobOverdue
    | LoopStuck
    | StoreFailed
    | StoreBack
    | JobsPruned
    | JobsReclaimed
    | EntryTicked
    | EntryFailed
    | EntriesRemoved
    | JobsExpired
    | BreakerOpened
    | BreakerClosed
    | WorkerStarted
    | WorkerStopping
    | WorkerStopped
)
KINDS: Final[tuple[type[Event], ...]] = get_args(Event)
"""Every kind of event."""
