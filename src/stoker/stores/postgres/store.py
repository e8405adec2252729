"""The store in a PostgreSQL schema: each verb a command, run by the driver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, ClassVar, TypeVar

from stoker.core.batch import BatchId, BatchMove, StoredBatch
from stoker.core.capability import Capability
from stoker.core.clock import Clock
from stoker.core.command import Command, Retry, Rings, Sql, Wakes
from stoker.core.filters import Filter
from stoker.core.finding import Finding
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
    expires_of,
    queue_of,
    unique_of,
)
from stoker.core.limits import Admitted, Rule
from stoker.core.moving import Hold, as_new
from stoker.core.note import Note
from stoker.core.override import Overriding
from stoker.core.periodic import Entries, Entry, NewEntry, Tick
from stoker.core.settlement import Settled, Settlement
from stoker.drivers.postgres import PostgresDriver
from stoker.drivers.postgres_join import Joining
from stoker.drivers.postgres_session import parameters
from stoker.drivers.postgres_text import Texts
from stoker.drivers.system_clock import SystemClock
from stoker.stores.base import Store, check_enqueue, check_pause, check_tick
from stoker.stores.codes import row_ids
from stoker.stores.following import following
from stoker.stores.grouping import sort_out
from stoker.stores.postgres import (
    batches,
    completing,
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
from stoker.stores.postgres.expiry import expire_step
from stoker.stores.postgres.following import with_following
from stoker.stores.postgres.marks import Lane, Marks
from stoker.stores.postgres_health import examine
from stoker.stores.postgres_urls import parse
from stoker.stores.postgres_waiting import Waiting

T = TypeVar("T")


class PostgresStore(Store):
    """Jobs in the database that ``url`` names (see `urls.parse`).

    With ``auto_migrate`` the schema is made and brought up to date at first use, else SchemaOutdated tells to run
    ``stoker migrate``. ``clock`` replaces the server's time, for tests. Any number of threads, event loops and
    processes may share it. ``shown`` is the URL as messages may show it.
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
        self, url: str, *, shown: str | None = None, clock: Clock | None = None, auto_migrate: bool = True
    ) -> None:
        parsed = parse(url)
        self.url = url if shown is None else shown
        self._auto_migrate = auto_migrate
        self._texts = Texts(parsed.schema)
        self._driver = PostgresDriver(
            parsed.conninfo, self.url, self._texts, clock, self._prepare, pool_size=parsed.pool_size
        )
        self._joining = Joining(self._driver, self.url, clock)
        self._marks = Marks()
        self._waiting = Waiting(
            self._driver,
            parameters(parsed.listen_url or parsed.conninfo),
            f"stoker {parsed.schema}",
            SystemClock() if clock is None else clock,
            self._marks.forget,
        )

    def run(self, command: Command[T], on: object | None = None) -> T:
        """Run a command in this thread; ``on`` is a caller's connection whose transaction it joins."""
        if on is not None:
            return self._joining.run(on, self._waiting.notifying(command))
        announcement = self._waiting.announcement(command)
        answer = self._driver.run(command, announcement)
        if not isinstance(command, Wakes) or command.wakes(answer):
            self._waiting.committed(command, announcement)
        return answer

    async def arun(self, command: Command[T], on: object | None = None) -> T:
        """Run a command without blocking the event loop."""
        if on is not None:
            return await self._joining.arun(on, self._waiting.notifying(command))
        announcement = self._waiting.announcement(command)
        answer = await self._driver.arun(command, announcement)
        if not isinstance(command, Wakes) or command.wakes(answer):
            self._waiting.committed(command, announcement)
        return answer

    async def wait(self, queues: Sequence[str], timeout: float) -> bool:
        """Wait until something may have become available in one of the queues, or ``timeout`` seconds."""
        return await self._waiting.wait(queues, min(timeout, self._marks.patience(queues)))

    @property
    def poll_interval(self) -> float:
        """As in `Store`; longer while notifications arrive, when only one that a killed process owed is found so."""
        return 2.0 if self._waiting.hears else super().poll_interval

    def close(self) -> None:
        """Close the connections and stop listening."""
        self._waiting.stop()
        self._driver.close()

    def migrate(self) -> Sequence[str]:
        """Bring the schema up to date and name the migrations applied."""
        return self._driver.visit(lambda connection: schema.migrate(connection, self._texts), "migrate")

    def pending_migrations(self) -> Sequence[str]:
        """Name the migrations that `migrate` would apply."""
        return self._driver.visit(lambda connection: schema.pending(connection, self._texts), "migrate")

    def migration_script(self) -> str:
        """Give the SQL of all migrations."""
        return schema.whole_script(self._texts)

    def examine(self) -> Sequence[Finding]:
        """Look at the server for what slows jobs down or loses them."""
        return self._driver.visit(lambda connection: examine(connection, self._texts.schema), "doctor")

    def _prepare(self) -> None:
        if self._auto_migrate:
            self.migrate()
        elif missing := self.pending_migrations():
            raise schema.outdated(list(missing), self.url)

    # -- verbs; what each does is said in `Store` --------------------------------------------------------------------

    def enqueue(self, jobs: Sequence[NewJob], call: CallId) -> Command[list[Enqueued]]:
        check_enqueue(jobs)
        if not jobs:
            return Command("enqueue", (), lambda _: [], joins=True, writes=False)
        if any(map(batch_of, jobs)):
            steps, read = batches.add_steps(jobs, call), unique.unique_answers(jobs, sort_out(jobs))
        elif not any(map(unique_of, jobs)) and not any(map(expires_of, jobs)):
            steps, read = intake.plain_steps(jobs, call), intake.plain_answers()
        else:
            sorted_jobs = sort_out(jobs)
            steps = unique.unique_steps(jobs, sorted_jobs, call)
            read = unique.unique_answers(jobs, sorted_jobs)
        queues = frozenset(map(queue_of, jobs))
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
        lanes = [
            Lane(queue, route, name)
            for queue, wanted in demand.items()
            if wanted > 0
            for route in dict.fromkeys(routes)
            for name in dict.fromkeys(names)
        ]
        if oldest:
            steps = work.oldest_steps(lanes, demand, token, worker, lease)
            return Command("claim", steps, work.claimed(demand, self._marks, token, ()), Retry.KEYED, durable=False)
        sweeping = self._marks.sweeping(demand)
        steps = work.claim_steps(lanes, demand, self._marks, token, worker, lease, sweeping)
        read = work.claimed(demand, self._marks, token, sweeping)
        return Command("claim", steps, read, Retry.KEYED, durable=False)

    def extend(
        self, tokens: Sequence[Token], lease: int, *, stopping: bool = False, started: Sequence[JobId] = ()
    ) -> Command[Extended]:
        steps = work.extend_steps(tokens, lease, stopping=stopping, started=started)
        return Command("extend", steps, work.extended(tokens), durable=False)

    def settle(self, settlements: Sequence[Settlement]) -> Command[dict[JobId, Settled]]:
        endings = settling.sort_out(settlements)
        steps, read = settling.settle_steps(endings), settling.settled(settlements)
        if steps and (follow := following(settlements)):
            return Rings("settle", with_following(steps, follow), read, Retry.KEYED)
        if all(ending.state.final for ending in endings.others):
            return Command("settle", steps, read, Retry.KEYED)
        return Rings("settle", steps, read, Retry.KEYED)

    def complete(self, ending: Settlement) -> Command[Settled]:
        if not row_ids((ending.id,)):
            return Command("complete", (), lambda _: Settled.GONE, joins=True, writes=False)
        step = completing.complete_step(ending)
        if follow := following([ending]):
            steps = with_following((step,), follow, inside=True)
            return Rings("complete", steps, partial(completing.completed, steps.index(step) - len(steps)), joins=True)
        return Command("complete", (step,), partial(completing.completed, -1), joins=True)

    def promote(self, limit: int) -> Command[Moved]:
        return Rings("promote", upkeep.promote_steps(limit, self._marks.due_from), upkeep.promoted)

    def reclaim(self, limit: int, tokens: Sequence[Token] = ()) -> Command[Reclaimed]:
        return Wakes("reclaim", upkeep.reclaim_steps(limit, tokens), upkeep.reclaimed, wakes=attrgetter("available"))

    def expire(self, limit: int) -> Command[Changed]:
        return Command("expire", (expire_step(limit),), control.changed)

    def prune(self, limit: int) -> Command[Changed]:
        return Command("prune", upkeep.prune_steps(limit, self._marks), upkeep.pruned(self._marks))

    def any(self, queues: Sequence[str], names: Sequence[str], routes: Sequence[str]) -> Command[bool]:
        return _reading("any", look.any_step(queues, names, routes), look.is_any)

    def count(self, queues: Sequence[str] = ()) -> Command[list[QueueCount]]:
        return _reading("count", look.count_step(queues), look.counts)

    def routes(self) -> Command[list[str]]:
        return _reading("routes", Sql(look.ROUTES, {}), look.routes)

    def lead(self, role: str, holder: str, ttl: int) -> Command[bool]:
        return Command("lead", upkeep.lead_steps(role, holder, ttl), upkeep.leads, durable=False)

    def find(self, only: Filter, limit: int, before: JobId | None = None) -> Command[list[StoredJob]]:
        return _reading("find", look.find_step(only, limit, before), look.found)

    def result(self, id: JobId) -> Command[Ending | None]:
        return _reading("result", look.result_step(id), look.ending)

    def cancel(self, only: Filter, limit: int) -> Command[Changed]:
        return Command("cancel", control.cancel_steps(only, limit), control.changed)

    def retry(self, only: Filter, limit: int) -> Command[Changed]:
        return Rings("retry", control.retry_steps(only, limit), control.changed)

    def promote_now(self, only: Filter, limit: int) -> Command[Changed]:
        return Rings("promote_now", control.promote_now_steps(only, limit), control.changed)

    def requeue(self, only: Filter, limit: int, *, force: bool = False) -> Command[Changed]:
        return Rings("requeue", control.requeue_steps(only, limit, force=force), control.changed)

    def delete(self, only: Filter, limit: int) -> Command[Changed]:
        return Command("delete", control.delete_steps(only, limit), control.changed)

    def pause(self, kind: str, values: Sequence[str], paused: bool) -> Command[Changed]:
        check_pause(kind)
        return Rings("pause", (control.pause_step(kind, values, paused=paused),), control.pause_changed)

    def paused(self) -> Command[list[Pause]]:
        return _reading("paused", Sql(control.PAUSED, {}), control.pauses)

    def admit(self, limit: int) -> Command[Admitted]:
        return Wakes("admit", (Sql(gates.ADMIT, {"limit": limit}),), gates.admitted, durable=False, wakes=_let_in)

    def define(self, rules: Sequence[Rule], *, replace: bool) -> Command[None]:
        return Command("define", (gates.define_step(rules, replace=replace),), lambda _: None)

    def override(self, name: str, text: str | None, by: str) -> Command[bool]:
        return Command("override", (overriding.override_step(name, text, by),), overriding.changed)

    def overrides(self) -> Command[list[Overriding]]:
        return _reading("overrides", Sql(overriding.ALL, {}), overriding.read)

    def override_history(self, name: str, limit: int) -> Command[list[Overriding]]:
        return _reading("override_history", Sql(overriding.HISTORY, {"name": name, "limit": limit}), overriding.read)

    def hold(self, only: Filter, limit: int, token: Token, worker: str) -> Command[list[StoredJob]]:
        return Command("hold", moving.hold_steps(only, limit, token, worker), moving.held, Retry.KEYED)

    def holds(self) -> Command[list[Hold]]:
        return _reading("holds", Sql(moving.HOLDS, {}), moving.holds)

    def last_due(self) -> Command[int | None]:
        return _reading("last_due", Sql(moving.LAST_DUE, {}), moving.last_due)

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
        return _reading("workers", Sql(look.WORKERS, {}), look.workers)

    def register(self, application: str, entries: Sequence[NewEntry], declared: bool, call: CallId) -> Command[Entries]:
        return Command("register", periodic.register_steps(application, entries, declared, call), periodic.entries)

    def entries(self, application: str | None = None) -> Command[Entries]:
        return _reading("entries", periodic.entries_step(application), periodic.entries)

    def tick(self, step: Tick, jobs: Sequence[NewJob], call: CallId) -> Command[bool]:
        check_tick(jobs)
        queues = frozenset(map(queue_of, jobs))
        steps = periodic.tick_steps(step, jobs, call)
        return Rings("tick", steps, periodic.ticked, Retry.KEYED, queues=queues)

    def pause_entries(self, application: str, names: Sequence[str], paused: bool) -> Command[Changed]:
        return Command("pause_entries", (periodic.pause_step(application, names, paused=paused),), periodic.changed)

    def remove_entries(self, entries: Sequence[Entry]) -> Command[Changed]:
        return Command("remove_entries", (periodic.remove_step(entries),), periodic.changed)

    def note(self, notes: Sequence[Note]) -> Command[frozenset[JobId]]:
        return Command("note", noting.note_steps(notes), noting.noted, durable=any(one.checkpoint for one in notes))

    def saved(self, ids: Sequence[JobId]) -> Command[dict[JobId, str]]:
        return _reading("saved", noting.saved_step(ids), noting.saved)

    def logged(self, ids: Sequence[JobId]) -> Command[dict[JobId, str]]:
        return _reading("logged", noting.logged_step(ids), noting.saved)

    def open_batch(
        self, id: BatchId, doc: str, jobs: Sequence[NewJob], call: CallId, within: BatchId | None = None
    ) -> Command[list[Enqueued]]:
        check_enqueue(jobs)
        steps, read = batches.open_steps(id, doc, jobs, call, within), unique.unique_answers(jobs, sort_out(jobs))
        queues = frozenset(map(queue_of, jobs))
        return Rings("open_batch", steps, read, Retry.KEYED, joins=True, queues=queues)

    def batches(self, ids: Sequence[BatchId], limit: int) -> Command[list[StoredBatch]]:
        return _reading("batches", batches.show_step(ids, limit), batches.shown)

    def advance(self, move: BatchMove, jobs: Sequence[NewJob], call: CallId) -> Command[bool]:
        steps, queues = batches.move_steps(move, jobs, call), frozenset(map(queue_of, jobs))
        return Rings("advance", steps, batches.moved, Retry.KEYED, queues=queues)


def _let_in(admitted: Admitted) -> bool:
    return admitted.count > 0


def _reading(name: str, step: Sql, read: Any) -> Command[Any]:
    return Command(name, (step,), read, writes=False)
