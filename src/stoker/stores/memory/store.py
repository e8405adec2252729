"""The store in this process: each verb a command that is applied to `Contents` under one lock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from stoker.core.batch import BatchId, BatchMove, StoredBatch
from stoker.core.capability import Capability
from stoker.core.clock import Clock
from stoker.core.command import Apply, Command, Retry
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
    Pause,
    QueueCount,
    Reclaimed,
    StoredJob,
    Token,
    WorkerInfo,
    batch_of,
)
from stoker.core.limits import Admitted, Rule
from stoker.core.moving import Hold, as_new
from stoker.core.note import Note
from stoker.core.override import Overriding
from stoker.core.periodic import Entries, Entry, NewEntry, Tick
from stoker.core.settlement import Settled, Settlement
from stoker.drivers.bell import Bell
from stoker.drivers.forks import follow_forks
from stoker.drivers.system_clock import SystemClock
from stoker.errors import NotSupported
from stoker.stores.base import Store, check_enqueue, check_pause, check_tick
from stoker.stores.memory import batches, control, intake, look, moving, noting, overriding, periodic, upkeep, work
from stoker.stores.memory.contents import Contents

T = TypeVar("T")


class MemoryStore(Store):
    """Jobs that live and die with this process; any number of threads and event loops may share one instance.

    ``clock`` is the store's time; tests give a `FakeClock`.
    """

    capabilities: ClassVar[Capability] = (
        Capability.FIND
        | Capability.CANCEL
        | Capability.RETRY
        | Capability.DELETE
        | Capability.PAUSE
        | Capability.PRESENCE
        | Capability.RESULTS
        | Capability.TICK
        | Capability.NOTE
        | Capability.LIMITS
        | Capability.OVERRIDE
        | Capability.SCHEDULE
        | Capability.PROMOTION
        | Capability.QUEUE_NAMES
        | Capability.PRIORITY
        | Capability.UNIQUE
        | Capability.UNIQUE_TO_START
        | Capability.LEASE
        | Capability.CANCEL_RUNNING
        | Capability.NOTIFY
        | Capability.FENCED
        | Capability.SELECTIVE
        | Capability.ATOMIC
        | Capability.EXPIRY
        | Capability.BATCH
        | Capability.TAGS
        | Capability.ORDER
        | Capability.RECEIPTS
        | Capability.HISTORY
        | Capability.HOLD
        | Capability.RECEIVE
    )

    def __init__(self, clock: Clock | None = None, url: str = "memory://") -> None:
        self.url = url
        self._clock: Clock = SystemClock() if clock is None else clock
        self.start_over_in_child()
        follow_forks(self)

    # -- forks: jobs stay with the process that enqueued them; a child that took them along would do them again --------

    def pause_for_fork(self) -> None:
        """Let nobody change anything while the process forks."""
        self._lock.acquire()

    def resume_after_fork(self) -> None:
        """Go on."""
        self._lock.release()

    def start_over_in_child(self) -> None:
        """Begin empty."""
        self._contents = Contents()
        self._lock = threading.Lock()
        self._bell = Bell()

    def run(self, command: Command[T], on: object | None = None) -> T:
        """Apply a command. There are no transactions to join: ``on`` raises NotSupported."""
        if on is not None:
            raise NotSupported(
                f"{self.url} cannot join a transaction: it lacks TRANSACTIONS", store=self.url, verb=command.name
            )
        contents = self._contents
        with self._lock:
            contents.now = self._clock.now()
            answer: T = command.read(_change_of(command)(contents))
            rung, contents.rung = contents.rung, set()
        if rung:
            self._bell.ring(rung)
        return answer

    async def arun(self, command: Command[T], on: object | None = None) -> T:
        """Do the same: it never takes long enough to be worth a hop to a thread."""
        return self.run(command, on)

    async def wait(self, queues: Sequence[str], timeout: float) -> bool:
        """Wait until something may have become available in one of the queues, or ``timeout`` seconds."""
        return await self._bell.wait(queues, timeout, self._clock)

    def close(self) -> None:
        """Do nothing: there is nothing to release, and the jobs stay."""

    def migrate(self) -> Sequence[str]:
        """Do nothing: there is no schema."""
        return ()

    def pending_migrations(self) -> Sequence[str]:
        """Name none."""
        return ()

    # -- verbs; what each does is said in `Store` --------------------------------------------------------------------

    def enqueue(self, jobs: Sequence[NewJob], call: CallId) -> Command[list[Enqueued]]:
        check_enqueue(jobs)
        if any(map(batch_of, jobs)):
            return _command("enqueue", lambda contents: batches.add(contents, jobs, call), Retry.KEYED)
        return _command("enqueue", lambda contents: intake.enqueue(contents, jobs, call), Retry.KEYED)

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
        asked, served = frozenset(names), frozenset(routes)
        return _command(
            "claim",
            lambda contents: work.claim(contents, demand, asked, served, token, worker, lease, oldest),
            Retry.KEYED,
        )

    def extend(
        self, tokens: Sequence[Token], lease: int, *, stopping: bool = False, started: Sequence[JobId] = ()
    ) -> Command[Extended]:
        return _command("extend", lambda contents: work.extend(contents, tokens, lease, stopping, started))

    def settle(self, settlements: Sequence[Settlement]) -> Command[dict[JobId, Settled]]:
        return _command("settle", lambda contents: work.settle(contents, settlements), Retry.KEYED)

    def promote(self, limit: int) -> Command[Moved]:
        return _command("promote", lambda contents: upkeep.promote(contents, limit))

    def reclaim(self, limit: int, tokens: Sequence[Token] = ()) -> Command[Reclaimed]:
        return _command("reclaim", lambda contents: work.reclaim(contents, limit, tokens))

    def expire(self, limit: int) -> Command[Changed]:
        return _command("expire", lambda contents: upkeep.expire(contents, limit))

    def prune(self, limit: int) -> Command[Changed]:
        return _command("prune", lambda contents: upkeep.prune(contents, limit))

    def any(self, queues: Sequence[str], names: Sequence[str], routes: Sequence[str]) -> Command[bool]:
        asked, served = frozenset(names), frozenset(routes)
        return _command("any", lambda contents: look.any_work(contents, queues, asked, served), writes=False)

    def count(self, queues: Sequence[str] = ()) -> Command[list[QueueCount]]:
        return _command("count", lambda contents: look.count(contents, frozenset(queues)), writes=False)

    def routes(self) -> Command[list[str]]:
        return _command("routes", lambda contents: sorted(contents.routes), writes=False)

    def lead(self, role: str, holder: str, ttl: int) -> Command[bool]:
        return _command("lead", lambda contents: upkeep.lead(contents, role, holder, ttl))

    def find(self, only: Filter, limit: int, before: JobId | None = None) -> Command[list[StoredJob]]:
        return _command("find", lambda contents: look.find(contents, only, limit, before), writes=False)

    def result(self, id: JobId) -> Command[Ending | None]:
        return _command("result", lambda contents: look.result(contents, id), writes=False)

    def cancel(self, only: Filter, limit: int) -> Command[Changed]:
        return _command("cancel", lambda contents: control.cancel(contents, only, limit))

    def retry(self, only: Filter, limit: int) -> Command[Changed]:
        return _command("retry", lambda contents: control.retry(contents, only, limit))

    def promote_now(self, only: Filter, limit: int) -> Command[Changed]:
        return _command("promote_now", lambda contents: control.promote_now(contents, only, limit))

    def requeue(self, only: Filter, limit: int, *, force: bool = False) -> Command[Changed]:
        return _command("requeue", lambda contents: control.requeue(contents, only, limit, force))

    def delete(self, only: Filter, limit: int) -> Command[Changed]:
        return _command("delete", lambda contents: control.delete(contents, only, limit))

    def pause(self, kind: str, values: Sequence[str], paused: bool) -> Command[Changed]:
        check_pause(kind)
        return _command("pause", lambda contents: control.pause(contents, kind, values, paused))

    def paused(self) -> Command[list[Pause]]:
        return _command("paused", control.paused, writes=False)

    def admit(self, limit: int) -> Command[Admitted]:
        return _command("admit", lambda contents: contents.gates.admit(limit))

    def define(self, rules: Sequence[Rule], *, replace: bool) -> Command[None]:
        return _command("define", lambda contents: contents.gates.define(rules, replace=replace))

    def override(self, name: str, text: str | None, by: str) -> Command[bool]:
        return _command("override", lambda contents: overriding.override(contents, name, text, by))

    def overrides(self) -> Command[list[Overriding]]:
        return _command("overrides", overriding.overrides, writes=False)

    def override_history(self, name: str, limit: int) -> Command[list[Overriding]]:
        return _command("override_history", lambda contents: overriding.history(contents, name, limit), writes=False)

    def hold(self, only: Filter, limit: int, token: Token, worker: str) -> Command[list[StoredJob]]:
        return _command("hold", lambda contents: moving.hold(contents, only, limit, token, worker), Retry.KEYED)

    def holds(self) -> Command[list[Hold]]:
        return _command("holds", moving.holds, writes=False)

    def last_due(self) -> Command[int | None]:
        return _command("last_due", moving.last_due, writes=False)

    def receive(self, jobs: Sequence[StoredJob], call: CallId) -> Command[list[Enqueued]]:
        check_enqueue([as_new(job) for job in jobs])
        return _command("receive", lambda contents: moving.receive(contents, jobs, call), Retry.KEYED)

    def beat(self, worker: WorkerInfo, ttl: int) -> Command[None]:
        return _command("beat", lambda contents: look.beat(contents, worker, ttl))

    def workers(self) -> Command[list[WorkerInfo]]:
        return _command("workers", look.workers, writes=False)

    def register(self, application: str, entries: Sequence[NewEntry], declared: bool, call: CallId) -> Command[Entries]:
        return _command("register", lambda contents: periodic.register(contents, application, entries, declared, call))

    def entries(self, application: str | None = None) -> Command[Entries]:
        return _command("entries", lambda contents: periodic.entries(contents, application), writes=False)

    def tick(self, step: Tick, jobs: Sequence[NewJob], call: CallId) -> Command[bool]:
        check_tick(jobs)
        return _command("tick", lambda contents: periodic.tick(contents, step, jobs, call), Retry.KEYED)

    def pause_entries(self, application: str, names: Sequence[str], paused: bool) -> Command[Changed]:
        return _command("pause_entries", lambda contents: periodic.pause(contents, application, names, paused))

    def remove_entries(self, entries: Sequence[Entry]) -> Command[Changed]:
        return _command("remove_entries", lambda contents: periodic.remove(contents, entries))

    def note(self, notes: Sequence[Note]) -> Command[frozenset[JobId]]:
        return _command("note", lambda contents: noting.note(contents, notes))

    def saved(self, ids: Sequence[JobId]) -> Command[dict[JobId, str]]:
        return _command("saved", lambda contents: noting.saved(contents, ids), writes=False)

    def logged(self, ids: Sequence[JobId]) -> Command[dict[JobId, str]]:
        return _command("logged", lambda contents: noting.logged(contents, ids), writes=False)

    def open_batch(
        self, id: BatchId, doc: str, jobs: Sequence[NewJob], call: CallId, within: BatchId | None = None
    ) -> Command[list[Enqueued]]:
        check_enqueue(jobs)
        return _command(
            "open_batch", lambda contents: batches.open_batch(contents, id, doc, jobs, call, within), Retry.KEYED
        )

    def batches(self, ids: Sequence[BatchId], limit: int) -> Command[list[StoredBatch]]:
        return _command("batches", lambda contents: batches.batches(contents, ids, limit), writes=False)

    def advance(self, move: BatchMove, jobs: Sequence[NewJob], call: CallId) -> Command[bool]:
        return _command("advance", lambda contents: batches.advance(contents, move, jobs, call), Retry.KEYED)


def _command(
    name: str, change: Callable[[Contents], T], retry: Retry = Retry.SAFE, *, writes: bool = True
) -> Command[T]:
    return Command(name, (Apply(change),), _as_it_is, retry, writes=writes)


def _as_it_is(answer: T) -> T:
    return answer


def _change_of(command: Command[Any]) -> Callable[[Contents], Any]:
    step = command.steps[0]
    if not isinstance(step, Apply):
        raise NotSupported(f"{command.name} was made by another store than this one", verb=command.name)
    return step.change
