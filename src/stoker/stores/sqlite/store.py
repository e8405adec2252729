"""The store in a SQLite file: each verb a command, run by the driver."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import ClassVar, TypeVar

from stoker.core.batch import BatchId, BatchMove, StoredBatch
from stoker.core.capability import Capability
from stoker.core.clock import Clock
from stoker.core.command import Command, Retry, Rings, Sql, Wakes
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
    queue_of,
    unique_of,
)
from stoker.core.limits import Admitted, Rule
from stoker.core.moving import Hold, as_new
from stoker.core.note import Note
from stoker.core.override import Overriding
from stoker.core.periodic import Entries, Entry, NewEntry, Tick
from stoker.core.settlement import Settled, Settlement
from stoker.drivers.sqlite import SqliteDriver
from stoker.drivers.sqlite_join import join
from stoker.drivers.system_clock import SystemClock
from stoker.stores.base import Store, check_enqueue, check_pause, check_tick
from stoker.stores.following import following
from stoker.stores.grouping import sort_out
from stoker.stores.sqlite import (
    batches,
    control,
    gates,
    intake,
    look,
    moving,
    noting,
    overriding,
    periodic,
    schema,
    settling,
    unique,
    upkeep,
    work,
)
from stoker.stores.sqlite.commands import Sheds
from stoker.stores.sqlite.expiry import expire_steps
from stoker.stores.sqlite.following import with_following
from stoker.stores.sqlite.match import ARGS_FUNCTION, args_are
from stoker.stores.sqlite.urls import parse
from stoker.stores.sqlite.waiting import Waiting

T = TypeVar("T")


class SqliteStore(Store):
    """Jobs in the file that ``url`` names (see `urls.parse`); a relative path is relative to ``root``.

    With ``auto_migrate`` the schema is made and brought up to date at first use, else SchemaOutdated tells to run
    ``stoker migrate``. ``clock`` is the store's time. Any number of threads, event loops and processes may share it.
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
        | Capability.TRANSACTIONS
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

    def __init__(
        self, url: str, *, root: Path | None = None, clock: Clock | None = None, auto_migrate: bool = True
    ) -> None:
        parsed = parse(url, Path.cwd() if root is None else root)
        self.url = url
        self._clock: Clock = SystemClock() if clock is None else clock
        self._auto_migrate = auto_migrate
        self._schema_seen = False
        self._driver = SqliteDriver(
            parsed.path,
            url,
            self._clock,
            self._prepare,
            self._committed,
            synchronous=parsed.synchronous,
            busy_timeout=parsed.busy_timeout,
        )
        self._waiting = Waiting(self._driver, self._clock)

    def run(self, command: Command[T], on: object | None = None) -> T:
        """Run a command in this thread; ``on`` is a `sqlite3.Connection` whose open transaction it joins."""
        if on is None:
            return self._woken(command, self._driver.run(command))
        now = self._clock.now()
        return command.read(join(on, self._driver.path, self.url, command, now, self._prepare_inside))

    async def arun(self, command: Command[T], on: object | None = None) -> T:
        """Run a command without blocking the event loop, except on a caller's connection, which is bound to it."""
        if on is None:
            return self._woken(command, await self._driver.arun(command))
        return self.run(command, on)

    async def wait(self, queues: Sequence[str], timeout: float) -> bool:
        """Wait until something may have become available in one of the queues, or ``timeout`` seconds."""
        return await self._waiting.wait(queues, timeout)

    def close(self) -> None:
        """Close the connections and end the threads of this process."""
        self._driver.close()

    def migrate(self) -> Sequence[str]:
        """Bring the schema up to date and name the migrations applied."""
        return self._driver.visit(self._migrate, "migrate")

    def pending_migrations(self) -> Sequence[str]:
        """Name the migrations that `migrate` would apply; makes no file."""
        if not self._driver.path.exists():
            return list(schema.migrations())
        return self._driver.visit(schema.pending, "migrate")

    def migration_script(self) -> str:
        """Give the SQL of all migrations."""
        return "\n".join(schema.migrations().values())

    def _migrate(self, connection: sqlite3.Connection) -> list[str]:
        self._driver.configure(connection)
        return schema.migrate(connection, self._clock.now())

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.create_function(ARGS_FUNCTION, 2, args_are, deterministic=True)
        if self._auto_migrate:
            schema.migrate(connection, self._clock.now())
        elif missing := schema.pending(connection):
            raise schema.outdated(missing, self.url)
        self._schema_seen = True

    def _prepare_inside(self, connection: sqlite3.Connection) -> None:
        # Inside the caller's transaction, because it may hold the lock that a migration of our own would wait for.
        if self._schema_seen:
            return
        missing = schema.pending(connection)
        if missing and not self._auto_migrate:
            raise schema.outdated(missing, self.url)
        if missing:
            schema.apply(connection, missing, self._clock.now())

    def _woken(self, command: Command[T], answer: T) -> T:
        if isinstance(command, Wakes) and command.wakes(answer):
            self._waiting.ring(command.queues)
        return answer

    def _committed(self, command: Command[object]) -> None:
        match command:
            case Wakes():
                pass
            case Rings():
                self._waiting.ring(command.queues)
            case Sheds():
                self._driver.shrink()
            case _:
                pass

    # -- verbs; what each does is said in `Store` --------------------------------------------------------------------

    def enqueue(self, jobs: Sequence[NewJob], call: CallId) -> Command[list[Enqueued]]:
        check_enqueue(jobs)
        queues = frozenset(map(queue_of, jobs))
        if not jobs:
            return Command("enqueue", (), lambda _: [], joins=True, writes=False)
        if any(map(batch_of, jobs)):
            steps, read = batches.add_steps(jobs, call), unique.unique_answers(jobs, sort_out(jobs))
        elif not any(map(unique_of, jobs)):
            steps, read = intake.plain_steps(jobs, call), intake.plain_answers(len(jobs))
        else:
            sorted_jobs = sort_out(jobs)
            steps = unique.unique_steps(jobs, sorted_jobs, call)
            read = unique.unique_answers(jobs, sorted_jobs)
        return Rings("enqueue", steps, read, Retry.KEYED, joins=True, queues=queues)

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
        steps = work.claim_steps(demand, names, routes, token, worker, lease, oldest=oldest)
        return Command("claim", steps, work.claimed, Retry.KEYED, writes=len(steps) > 1, durable=False)

    def extend(
        self, tokens: Sequence[Token], lease: int, *, stopping: bool = False, started: Sequence[JobId] = ()
    ) -> Command[Extended]:
        steps = work.extend_steps(tokens, lease, stopping=stopping, started=started)
        return Command("extend", steps, work.extended(tokens), durable=False)

    def settle(self, settlements: Sequence[Settlement]) -> Command[dict[JobId, Settled]]:
        endings = settling.sort_out(settlements)
        steps, read = settling.settle_steps(endings), settling.settled(settlements)
        if follow := following(settlements):
            return Rings("settle", with_following(steps, follow), read, Retry.KEYED)
        if all(ending.state.final for ending in endings.others):
            return Command("settle", steps, read, Retry.KEYED)
        return Rings("settle", steps, read, Retry.KEYED)

    def complete(self, ending: Settlement) -> Command[Settled]:
        steps, read = settling.settle_steps(settling.sort_out([ending])), settling.settled([ending])
        if follow := following([ending]):
            steps = with_following(steps, follow)
        kind = Rings if follow else Command
        return kind("complete", steps, lambda replies: read(replies)[ending.id], Retry.KEYED, joins=True)

    def promote(self, limit: int) -> Command[Moved]:
        return Rings("promote", upkeep.promote_steps(limit), upkeep.promoted)

    def reclaim(self, limit: int, tokens: Sequence[Token] = ()) -> Command[Reclaimed]:
        return Wakes("reclaim", upkeep.reclaim_steps(limit, tokens), upkeep.reclaimed, wakes=attrgetter("available"))

    def expire(self, limit: int) -> Command[Changed]:
        return Command("expire", expire_steps(limit), partial(control.changed, limit))

    def prune(self, limit: int) -> Command[Changed]:
        return Sheds("prune", upkeep.prune_steps(limit), partial(upkeep.pruned, limit))

    def any(self, queues: Sequence[str], names: Sequence[str], routes: Sequence[str]) -> Command[bool]:
        return Command("any", (look.any_step(queues, names, routes),), look.is_any, writes=False)

    def count(self, queues: Sequence[str] = ()) -> Command[list[QueueCount]]:
        return Command("count", (look.count_step(queues),), look.counts, writes=False)

    def routes(self) -> Command[list[str]]:
        return Command("routes", (Sql(look.ROUTES, {}),), look.routes, writes=False)

    def lead(self, role: str, holder: str, ttl: int) -> Command[bool]:
        return Command("lead", upkeep.lead_steps(role, holder, ttl), upkeep.leads, durable=False)

    def find(self, only: Filter, limit: int, before: JobId | None = None) -> Command[list[StoredJob]]:
        return Command("find", (look.find_step(only, limit, before),), look.found, writes=False)

    def result(self, id: JobId) -> Command[Ending | None]:
        return Command("result", (look.result_step(id),), look.ending, writes=False)

    def cancel(self, only: Filter, limit: int) -> Command[Changed]:
        return Command("cancel", control.cancel_steps(only, limit), partial(control.changed, limit))

    def retry(self, only: Filter, limit: int) -> Command[Changed]:
        return Rings("retry", control.retry_steps(only, limit), partial(control.retried, limit))

    def promote_now(self, only: Filter, limit: int) -> Command[Changed]:
        return Rings("promote_now", control.promote_now_steps(only, limit), partial(control.changed, limit))

    def requeue(self, only: Filter, limit: int, *, force: bool = False) -> Command[Changed]:
        steps = control.requeue_steps(only, limit, force=force)
        return Rings("requeue", steps, partial(control.changed, limit))

    def delete(self, only: Filter, limit: int) -> Command[Changed]:
        return Command("delete", control.delete_steps(only, limit), partial(control.changed, limit))

    def pause(self, kind: str, values: Sequence[str], paused: bool) -> Command[Changed]:
        check_pause(kind)
        return Rings("pause", control.pause_steps(kind, values, paused=paused), control.pause_changed)

    def paused(self) -> Command[list[Pause]]:
        return Command("paused", (Sql(control.PAUSED, {}),), control.pauses, writes=False)

    def admit(self, limit: int) -> Command[Admitted]:
        return Wakes("admit", gates.admit_steps(limit), gates.admitted, durable=False, wakes=_let_in)

    def define(self, rules: Sequence[Rule], *, replace: bool) -> Command[None]:
        return Rings("define", gates.define_steps(rules, replace=replace), lambda _: None)

    def override(self, name: str, text: str | None, by: str) -> Command[bool]:
        return Command("override", overriding.override_steps(name, text, by), overriding.changed)

    def overrides(self) -> Command[list[Overriding]]:
        return Command("overrides", (Sql(overriding.ALL, {}),), overriding.read, writes=False)

    def override_history(self, name: str, limit: int) -> Command[list[Overriding]]:
        step = Sql(overriding.HISTORY, {"name": name, "limit": limit})
        return Command("override_history", (step,), overriding.read, writes=False)

    def hold(self, only: Filter, limit: int, token: Token, worker: str) -> Command[list[StoredJob]]:
        return Command("hold", moving.hold_steps(only, limit, token, worker), moving.held, Retry.KEYED)

    def holds(self) -> Command[list[Hold]]:
        return Command("holds", (Sql(moving.HOLDS, {}),), moving.holds, writes=False)

    def last_due(self) -> Command[int | None]:
        return Command("last_due", (Sql(moving.LAST_DUE, {}),), moving.last_due, writes=False)

    def receive(self, jobs: Sequence[StoredJob], call: CallId) -> Command[list[Enqueued]]:
        new = [as_new(job) for job in jobs]
        check_enqueue(new)
        if not new:
            return Command("receive", (), lambda _: [], writes=False)
        steps, read = moving.receive_steps(jobs, new, call), unique.unique_answers(new, sort_out(new))
        return Rings("receive", steps, read, Retry.KEYED, queues=frozenset(job.queue for job in new))

    def beat(self, worker: WorkerInfo, ttl: int) -> Command[None]:
        return Command("beat", (look.beat_step(worker, ttl),), lambda _: None, durable=False)

    def workers(self) -> Command[list[WorkerInfo]]:
        return Command("workers", (Sql(look.WORKERS, {}),), look.workers, writes=False)

    def register(self, application: str, entries: Sequence[NewEntry], declared: bool, call: CallId) -> Command[Entries]:
        return Command("register", periodic.register_steps(application, entries, declared, call), periodic.entries)

    def entries(self, application: str | None = None) -> Command[Entries]:
        return Command("entries", (periodic.entries_step(application),), periodic.entries, writes=False)

    def tick(self, step: Tick, jobs: Sequence[NewJob], call: CallId) -> Command[bool]:
        check_tick(jobs)
        queues = frozenset(map(queue_of, jobs))
        steps = periodic.tick_steps(step, jobs, call)
        return Rings("tick", steps, periodic.ticked, Retry.KEYED, queues=queues)

    def pause_entries(self, application: str, names: Sequence[str], paused: bool) -> Command[Changed]:
        return Command("pause_entries", periodic.pause_steps(application, names, paused=paused), periodic.changed)

    def remove_entries(self, entries: Sequence[Entry]) -> Command[Changed]:
        return Command("remove_entries", periodic.remove_steps(entries), periodic.changed)

    def note(self, notes: Sequence[Note]) -> Command[frozenset[JobId]]:
        return Command("note", noting.note_steps(notes), noting.noted, durable=any(one.checkpoint for one in notes))

    def saved(self, ids: Sequence[JobId]) -> Command[dict[JobId, str]]:
        return Command("saved", (noting.saved_step(ids),), noting.saved, writes=False)

    def logged(self, ids: Sequence[JobId]) -> Command[dict[JobId, str]]:
        return Command("logged", (noting.logged_step(ids),), noting.saved, writes=False)

    def open_batch(
        self, id: BatchId, doc: str, jobs: Sequence[NewJob], call: CallId, within: BatchId | None = None
    ) -> Command[list[Enqueued]]:
        check_enqueue(jobs)
        steps, read = batches.open_steps(id, doc, jobs, call, within), unique.unique_answers(jobs, sort_out(jobs))
        queues = frozenset(map(queue_of, jobs))
        return Rings("open_batch", steps, read, Retry.KEYED, joins=True, queues=queues)

    def batches(self, ids: Sequence[BatchId], limit: int) -> Command[list[StoredBatch]]:
        return Command("batches", (batches.show_step(ids, limit),), batches.shown, writes=False)

    def advance(self, move: BatchMove, jobs: Sequence[NewJob], call: CallId) -> Command[bool]:
        steps, queues = batches.move_steps(move, jobs, call), frozenset(map(queue_of, jobs))
        return Rings("advance", steps, batches.moved, Retry.KEYED, queues=queues)


def _let_in(admitted: Admitted) -> bool:
    return admitted.count > 0
