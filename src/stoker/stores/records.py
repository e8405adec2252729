"""A base for stores that keep each job as one record and can look at all of them: verbs over `Records`.

What is left for a subclass is where the records are. It is right for some thousands of jobs, because most verbs read
them all; a store that can do better writes those verbs itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from operator import attrgetter
from typing import ClassVar, Protocol

import msgspec

from stoker.core.capability import Capability
from stoker.core.command import Command, Retry
from stoker.core.duration import SECOND
from stoker.core.filters import Filter
from stoker.core.job import (
    CallId,
    Changed,
    Claimed,
    Ending,
    Enqueued,
    Extended,
    JobId,
    Moved,
    NewJob,
    QueueCount,
    Reclaimed,
    State,
    StoredJob,
    Token,
)
from stoker.core.settlement import Settled, Settlement
from stoker.stores import moves
from stoker.stores.matching import matches
from stoker.stores.simple import SimpleStore

RECEIPTS_KEPT_FOR = 3600 * SECOND


class Kept(msgspec.Struct):
    """One record: a job, its place in the line, and who holds it until when."""

    job: StoredJob
    pos: int
    """A number from `Records.number`; the smaller was available first."""
    token: Token | None = None
    """Of the latest claim; kept when the job is settled, dropped when it is taken back."""
    until: int = 0
    stopping: bool = False
    started: bool = False
    """A suspect that was marked as begun."""


class Records(Protocol):
    """The records inside one unit. What a unit writes others see when it has ended; a call that fails writes nothing.

    Writes are each whole or not at all, whoever is killed: of several `put` some may be missing, of one `insert` none.
    """

    now: int

    def all(self) -> Collection[Kept]:
        """Give all records, oldest job first."""

    def put(self, kept: Kept) -> None:
        """Replace the record of a job."""

    def remove(self, id: JobId) -> None:
        """Delete the record of a job."""

    def number(self) -> int:
        """Give a number that is larger than all before."""

    def insert(self, call: CallId, records: Sequence[Kept]) -> None:
        """Store the records of one call, all or none, and with them the call's receipt: their ids, in order."""

    def receipt(self, call: CallId) -> Sequence[JobId] | None:
        """Give the ids of a call that was carried out; None if there was none, or it is forgotten."""

    def forget(self, before: int) -> None:
        """Drop the receipts of calls before an instant; a receipt may stay for as long as a job of its call."""

    def value(self, key: str) -> str | None:
        """Give a small value by its key (any text), as `keep_value` left it."""

    def keep_value(self, key: str, value: str) -> None:
        """Keep a small value."""


class RecordStore(SimpleStore[Records]):
    """The verbs of a store, over the `Records` that `unit` gives. A subclass has `unit`, and may have more verbs."""

    capabilities: ClassVar[Capability] = (
        Capability.FIND
        | Capability.RESULTS
        | Capability.SCHEDULE
        | Capability.PROMOTION
        | Capability.QUEUE_NAMES
        | Capability.PRIORITY
        | Capability.LEASE
        | Capability.FENCED
        | Capability.SELECTIVE
        | Capability.RECEIPTS
        | Capability.TAGS
        | Capability.HISTORY
        | Capability.ORDER
    )

    # -- verbs; what each does is said in `Store` --------------------------------------------------------------------

    def enqueue(self, jobs: Sequence[NewJob], call: CallId) -> Command[list[Enqueued]]:
        self.check_enqueue(jobs)

        def enqueue(records: Records) -> list[Enqueued]:
            if (known := records.receipt(call)) is not None:
                return [Enqueued(id) for id in known]
            numbers = [records.number() for _ in jobs]
            new = [
                Kept(moves.arrived(job, JobId(str(number)), records.now), number)
                for number, job in zip(numbers, jobs, strict=True)
            ]
            records.insert(call, new)
            return [Enqueued(kept.job.id) for kept in new]

        return self.command("enqueue", enqueue, Retry.KEYED)

    def claim(
        self,
        demand: Mapping[str, int],
        names: Sequence[str],
        routes: Sequence[str],
        token: Token,
        worker: str,
        lease: int,
        *,
        oldest: bool = False,
    ) -> Command[Claimed]:
        def order(kept: Kept) -> tuple[int, int]:
            return (0 if oldest else -kept.job.priority, kept.pos)

        def claim(records: Records) -> Claimed:
            held = sorted(_held(records, [token]), key=order)
            for queue, limit in {}.items() if held else demand.items():
                ready = [kept for kept in _in(records, State.AVAILABLE) if _fits(kept.job, (queue,), names, routes)]
                for kept in sorted(ready, key=order)[: max(limit, 0)]:
                    kept.token, kept.until, kept.stopping, kept.started = token, records.now + lease, False, False
                    _move(records, kept, moves.claimed(kept.job, worker, records.now))
                    held.append(kept)
            return Claimed([moves.claim_of(kept.job, token) for kept in held], _next_due(records), records.now)

        return self.command("claim", claim, Retry.KEYED)

    def extend(
        self, tokens: Sequence[Token], lease: int, *, stopping: bool = False, started: Sequence[JobId] = ()
    ) -> Command[Extended]:
        def extend(records: Records) -> Extended:
            held = _held(records, tokens)
            for kept in held:
                kept.until, kept.stopping = records.now + lease, kept.stopping or stopping
                kept.started = kept.started or kept.job.id in started
                records.put(kept)
            return Extended(frozenset(tokens) - {kept.token for kept in held})

        return self.command("extend", extend)

    def settle(self, settlements: Sequence[Settlement]) -> Command[dict[JobId, Settled]]:
        def settle(records: Records) -> dict[JobId, Settled]:
            present = {kept.job.id: kept for kept in records.all()}
            answers: dict[JobId, Settled] = {}
            for ending in settlements:
                kept = present.get(ending.id)
                said = moves.answer(kept.job if kept else None, kept.token if kept else None, ending)
                if kept is not None and said is Settled.ACCEPTED:
                    _move(records, kept, moves.settled(kept.job, ending, records.now))
                # Two endings of one job in a call: at most one is accepted, and that is the answer.
                if said is Settled.ACCEPTED or answers.get(ending.id) is not Settled.ACCEPTED:
                    answers[ending.id] = said
            return answers

        return self.command("settle", settle, Retry.KEYED)

    def promote(self, limit: int) -> Command[Moved]:
        def promote(records: Records) -> Moved:
            later = sorted(_in(records, State.SCHEDULED, State.RETRYABLE), key=attrgetter("job.run_at"))
            due = [kept for kept in later if kept.job.run_at <= records.now][:limit]
            for kept in due:
                _move(records, kept, msgspec.structs.replace(kept.job, state=State.AVAILABLE))
            return Moved(len(due), _next_due(records))

        return self.command("promote", promote)

    def reclaim(self, limit: int, tokens: Sequence[Token] = ()) -> Command[Reclaimed]:
        def reclaim(records: Records) -> Reclaimed:
            lapsed = [kept for kept in _in(records, State.RUNNING) if kept.until < records.now]
            oldest = [kept.token for kept in sorted(lapsed, key=attrgetter("until")) if kept.token is not None]
            taken = _held(records, tokens or list(dict.fromkeys(oldest))[:limit])
            for kept in taken:
                kept.token = None
                back = moves.taken_back(kept.job, records.now, stopping=kept.stopping, started=kept.started)
                _move(records, kept, back)
            return moves.reclaimed(kept.job for kept in taken)

        return self.command("reclaim", reclaim)

    def prune(self, limit: int) -> Command[Changed]:
        def prune(records: Records) -> Changed:
            over = [kept.job.id for kept in records.all() if moves.over(kept.job, records.now)]
            for id in over[:limit]:
                records.remove(id)
            records.forget(records.now - RECEIPTS_KEPT_FOR)
            return Changed(len(over[:limit]), len(over) > limit)

        return self.command("prune", prune)

    def any(self, queues: Sequence[str], names: Sequence[str], routes: Sequence[str]) -> Command[bool]:
        def look(records: Records) -> bool:
            work = [kept.job for kept in records.all() if not kept.job.state.final]
            return any(
                _fits(job, queues, names, routes) and (job.state is State.RUNNING or job.run_at <= records.now)
                for job in work
            )

        return self.command("any", look)

    def count(self, queues: Sequence[str] = ()) -> Command[list[QueueCount]]:
        return self.command(
            "count",
            lambda records: moves.counted(kept.job for kept in records.all() if not queues or kept.job.queue in queues),
        )

    def routes(self) -> Command[list[str]]:
        return self.command("routes", lambda records: sorted({kept.job.route for kept in records.all()} - {""}))

    def lead(self, role: str, holder: str, ttl: int) -> Command[bool]:
        def lead(records: Records) -> bool:
            leader, _, until = (records.value(f"lead {role}") or "").rpartition(" ")
            if leader not in ("", holder) and records.now < int(until):
                return False
            records.keep_value(f"lead {role}", f"{holder} {records.now + ttl}" if ttl else "")
            return ttl > 0

        return self.command("lead", lead)

    def find(self, only: Filter, limit: int, before: JobId | None = None) -> Command[list[StoredJob]]:
        def find(records: Records) -> list[StoredJob]:
            newest = [kept.job for kept in records.all()][::-1]
            page = [job for job in newest if before is None or int(job.id) < int(before)]
            return [job for job in page if matches(only, job)][:limit]

        return self.command("find", find)

    def result(self, id: JobId) -> Command[Ending | None]:
        def result(records: Records) -> Ending | None:
            jobs = [kept.job for kept in records.all() if kept.job.id == id]
            return next((Ending(job.state, job.result, job.errors[-1] if job.errors else None) for job in jobs), None)

        return self.command("result", result)


def _in(records: Records, *states: State) -> list[Kept]:
    return [kept for kept in records.all() if kept.job.state in states]


def _held(records: Records, tokens: Collection[Token]) -> list[Kept]:
    return [kept for kept in _in(records, State.RUNNING) if kept.token in tokens]


def _fits(job: StoredJob, queues: Collection[str], names: Collection[str], routes: Collection[str]) -> bool:
    return job.queue in queues and job.name in names and job.route in routes


def _next_due(records: Records) -> int | None:
    return min((kept.job.run_at for kept in _in(records, State.SCHEDULED, State.RETRYABLE)), default=None)


def _move(records: Records, kept: Kept, job: StoredJob) -> None:
    if job.state is State.AVAILABLE:
        kept.pos = records.number()
    kept.job = job
    if moves.over(job, records.now):
        records.remove(job.id)
    else:
        records.put(kept)
