"""Jobs as stores and workers pass them: ids, states, and the value of each stage of a job's life.

Instants are integers in microseconds since the epoch by the store's clock; durations are integer microseconds.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final, NewType

import msgspec

from stoker.core.limits import Gate
from stoker.core.unique import UniqueKey

JobId = NewType("JobId", str)
Token = NewType("Token", str)
"""Proof of a claim: 32 hex digits made by the claimer, fresh for each claim call."""
CallId = NewType("CallId", str)
"""Name of one enqueue call, made by the caller: a resend with the same one inserts nothing."""


def new_token() -> Token:
    """Make the token of one claim call: 128 random bits."""
    return Token(secrets.token_hex(16))


def new_call() -> CallId:
    """Make the id of one enqueue call: the microseconds since the epoch and 72 random bits, in hex.

    Receipts are kept under it; in the order of time they fill one page of an index after the other, not all at once.
    """
    return CallId(f"{time.time_ns() // 1000:014x}{secrets.token_hex(9)}")


class State(StrEnum):
    """Where a job stands."""

    SCHEDULED = "scheduled"
    AVAILABLE = "available"
    RUNNING = "running"
    RETRYABLE = "retryable"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    DISCARDED = "discarded"

    @property
    def final(self) -> bool:
        """Tell whether a job in this state never runs again by itself."""
        return self in FINAL


WAITING: Final = frozenset({State.SCHEDULED, State.AVAILABLE, State.RETRYABLE})
FINAL: Final = frozenset({State.COMPLETED, State.CANCELLED, State.DISCARDED})


class Due(msgspec.Struct, frozen=True, array_like=True):
    """When a job may start: after a delay, or at an instant; the store adds delays to its own clock."""

    delay: int = 0
    at: int | None = None

    def resolve(self, now: int) -> int:
        """Give the instant, by a clock that shows ``now``."""
        return now + self.delay if self.at is None else self.at


NOW: Final = Due()


class NewJob(msgspec.Struct, frozen=True, gc=False):
    """A job on its way into a store."""

    name: str
    args: str
    """JSON text, kept byte for byte."""
    queue: str = "default"
    route: str = ""
    """The canonical tag set that decides which workers take it; '' for none."""
    priority: int = 0
    due: Due = NOW
    max_attempts: int = 20
    crash_limit: int = 3
    unique: UniqueKey | None = None
    labels: tuple[str, ...] = ()
    meta: str = "{}"
    """A JSON object that travels with the job."""
    keep: int | None = 86_400_000_000
    """How long it is kept when completed; None for ever, 0 deletes it when done."""
    keep_failed: int | None = 1_209_600_000_000
    """The same for discarded and cancelled."""
    version: int = 1
    """Version of this body's format; a worker gives back what is newer than it knows."""
    parent: JobId | None = None
    """The job during whose attempt this one was enqueued."""
    root: JobId | None = None
    """The first of a line of parents."""
    origin: JobId | None = None
    """The job this one replays."""
    gates: tuple[Gate, ...] = ()
    """What it must pass to become claimable, the most particular first."""
    expires: Due | None = None
    """When it is cancelled unless its first attempt has begun."""
    batch: str | None = None
    """The batch that it belongs to (see `core.batch.member`)."""
    node: str = ""
    """The step of a workflow that it is."""

    def changed(self, *, meta: Mapping[str, object] | None = None, **fields: Any) -> NewJob:
        """Give this job with other fields; what ``meta`` has is added to what travels with it."""
        if meta:
            known = msgspec.json.decode(self.meta, type=dict[str, msgspec.Raw])
            fields["meta"] = msgspec.json.encode({**known, **meta}).decode()
        return msgspec.structs.replace(self, **fields)


# For `map` over the jobs of a large call: a comprehension takes twice as long.
name_of = attrgetter("name")
args_of = attrgetter("args")
queue_of = attrgetter("queue")
route_of = attrgetter("route")
unique_of = attrgetter("unique")
gates_of = attrgetter("gates")
expires_of = attrgetter("expires")
batch_of = attrgetter("batch")


class Enqueued(msgspec.Struct, frozen=True, gc=False):
    """The answer for one job of an enqueue call."""

    id: JobId
    duplicate: bool = False


class Claim(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A job in the hands of a worker, under the token of its claim call."""

    id: JobId
    token: Token
    name: str
    queue: str
    args: str
    priority: int = 0
    max_attempts: int = 20
    """0 where the store's format leaves it to who performs the job, and the job does not say."""
    starts: int = 1
    failures: int = 0
    crashes: int = 0
    snoozes: int = 0
    enqueued_at: int = 0
    due: int = 0
    """The instant it was to become available."""
    meta: str = "{}"
    """As it was enqueued; of a job that expires with the instant in front (see `core.expiry`)."""
    keep: int | None = None
    keep_failed: int | None = None
    version: int = 1
    parent: JobId | None = None
    root: JobId | None = None
    defect: str | None = None
    """Why the stored row cannot be read, if it cannot; the job is then settled discarded, never performed."""

    @property
    def attempt(self) -> int:
        """The number people see."""
        return self.failures + self.crashes + 1

    @property
    def suspect(self) -> bool:
        """Tell whether a worker has died while it held this job."""
        return self.crashes > 0


class Claimed(msgspec.Struct, frozen=True):
    """The answer of a claim call: the jobs in the order to run them."""

    claims: list[Claim]
    next_due: int | None = None
    """When the next scheduled or retryable job of the asked queues is due, if one is."""
    now: int = 0
    """The store's clock at the time of the claim."""


class Extended(msgspec.Struct, frozen=True):
    """The answer of a heartbeat."""

    missing: frozenset[Token] = frozenset()
    """Leases that are no longer ours: their attempts are lost."""
    cancel: frozenset[JobId] = frozenset()
    """Running jobs under these leases that somebody asked to cancel."""


class AttemptFailure(msgspec.Struct, frozen=True):
    """How one attempt failed, as it is kept with the job."""

    attempt: int
    at: int
    type: str
    message: str
    trace: str = ""
    worker: str = ""


class StoredJob(msgspec.Struct, frozen=True):
    """All that a store knows of a job."""

    id: JobId
    name: str
    queue: str
    state: State
    args: str
    priority: int
    max_attempts: int
    starts: int
    failures: int
    crashes: int
    snoozes: int
    run_at: int
    """The instant it became or becomes available."""
    enqueued_at: int
    started_at: int | None
    finished_at: int | None
    keep: int | None
    keep_failed: int | None
    result: str | None
    """JSON text."""
    worker: str | None
    """The worker of the latest claim."""
    cancelling: bool = False
    """A running job that was asked to stop."""
    route: str = ""
    labels: tuple[str, ...] = ()
    meta: str = "{}"
    version: int = 1
    crash_limit: int = 3
    parent: JobId | None = None
    root: JobId | None = None
    origin: JobId | None = None
    errors: tuple[AttemptFailure, ...] = ()
    """Oldest first."""
    progress: str | None = None
    """JSON text, as the latest note left it."""
    checkpoint: str | None = None
    """JSON text."""
    gates: tuple[Gate, ...] = ()
    gated: bool = False
    """Available, but waiting at its gates."""
    expires: int | None = None
    """When it is cancelled unless its first attempt has begun."""
    unique: UniqueKey | None = None
    """Its key, whoever has that now."""


class Ending(msgspec.Struct, frozen=True):
    """As much of a job as somebody needs who waits for its result."""

    state: State
    result: str | None = None
    error: AttemptFailure | None = None
    """The latest failure, if there was one."""


class QueueCount(msgspec.Struct, frozen=True):
    """How many jobs of one queue, name and route stand in one state, and since when the oldest has been there."""

    queue: str
    name: str
    route: str
    state: State
    count: int
    oldest: int
    """The smallest ``run_at`` among them; for available jobs the store's now minus this is the lag."""
    gated: int = 0
    """How many of the available ones wait at their gates."""


class Changed(msgspec.Struct, frozen=True):
    """The answer of a verb that changes many jobs: how many it changed, and whether more may match."""

    count: int
    more: bool = False
    ids: tuple[JobId, ...] = ()


class Moved(msgspec.Struct, frozen=True):
    """The answer of a maintenance verb."""

    count: int
    next_due: int | None = None


class Reclaimed(msgspec.Struct, frozen=True):
    """What became of the jobs of silent workers."""

    available: tuple[JobId, ...] = ()
    cancelled: tuple[JobId, ...] = ()
    discarded: tuple[JobId, ...] = ()


class WorkerInfo(msgspec.Struct, frozen=True):
    """A worker as it announces itself."""

    id: str
    host: str
    pid: int
    started_at: int
    queues: tuple[str, ...]
    names: tuple[str, ...]
    concurrency: int
    running: int = 0
    performed: int = 0
    """Attempts ended since it started."""
    rate: float = 0.0
    """Attempts per second since its previous announcement."""
    stopping: bool = False
    application: str = ""
    """Whose periodic entries it plans, if it plans any."""
    periodic: tuple[str, ...] = ()
    """Names of the entries that its code and settings declare."""
    beat_at: int = 0
    """Set by the store."""
    tags: tuple[str, ...] = ()
    all_tags: bool = False


class Order(StrEnum):
    """What a worker is told to do."""

    QUIET = "quiet"
    """Claim no more, and go on with what runs."""
    STOP = "stop"
    DUMP = "dump"
    """Log what every thread is doing."""


class Pause(msgspec.Struct, frozen=True):
    """Something paused: a queue or a job name."""

    kind: str
    value: str
    since: int
