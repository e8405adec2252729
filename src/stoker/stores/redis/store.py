"""The store in Redis: each verb a command of one script, run by the driver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, TypeVar

from stoker.core.batch import BatchId, BatchMove, StoredBatch
from stoker.core.capability import Capability
from stoker.core.clock import Clock
from stoker.core.command import Command, Retry, Script
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
    gates_of,
    unique_of,
)
from stoker.core.limits import Admitted, Rule
from stoker.core.moving import MOVING, Hold, as_new
from stoker.core.note import Note
from stoker.core.override import Overriding
from stoker.core.periodic import Entries, Entry, NewEntry, Tick
from stoker.core.settlement import Settled, Settlement
from stoker.drivers.redis import RedisDriver
from stoker.drivers.system_clock import SystemClock
from stoker.errors import NotSupported
from stoker.stores.base import Store, check_enqueue, check_pause, check_tick
from stoker.stores.following import following
from stoker.stores.redis import batches, control, intake, look, moving, noting, overriding, periodic, work
from stoker.stores.redis.commands import Scripts
from stoker.stores.redis.urls import parse
from stoker.stores.redis.waiting import Waiting
from stoker.stores.redis_health import examine
from stoker.stores.walks import Walk

T = TypeVar("T")


class RedisStore(Store):
    """Jobs on the servers that ``url`` names (see `urls.parse`), under the keys ``{PREFIX}:…``.

    ``clock`` replaces the server's time, for tests; ``shown`` is the URL without its secrets. Any number of threads,
    event loops and processes may share it.
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

    def __init__(self, url: str, *, shown: str | None = None, clock: Clock | None = None) -> None:
        self.url = shown or url
        parsed = parse(url, self.url)
        self._scripts = Scripts(parsed.prefix)
        self._driver = RedisDriver(parsed.target, self.url, clock)
        self._waiting = Waiting(self._driver, self._scripts.channel, SystemClock() if clock is None else clock)

    def run(self, command: Command[T], on: object | None = None) -> T:
        """Run a command in this thread. There are no transactions to join: ``on`` raises NotSupported."""
        self._refuse_joining(command, on)
        if isinstance(command, Walk):
            walk: Walk[T] = command
            return self._follow(walk)
        if not command.steps:
            return command.read([])
        step = command.steps[0]
        if not isinstance(step, Script):
            raise NotSupported(f"{command.name} was made by another store than {self.url}", verb=command.name)
        return command.read(self._driver.run(step, command.retry, command.name))

    async def arun(self, command: Command[T], on: object | None = None) -> T:
        """Run a command without blocking the event loop."""
        self._refuse_joining(command, on)
        if len(command.steps) == 1 and isinstance(step := command.steps[0], Script):
            return command.read(await self._driver.arun(step, command.retry, command.name))
        return await self._driver.in_thread(lambda: self.run(command))

    async def wait(self, queues: Sequence[str], timeout: float) -> bool:
        """Wait until something may have become available in one of the queues, or ``timeout`` seconds."""
        return await self._waiting.wait(queues, timeout)

    def close(self) -> None:
        """Close the connections and end the threads of this process."""
        self._waiting.close()
        self._driver.close()

    def migrate(self) -> Sequence[str]:
        """Do nothing: there is no schema."""
        return ()

    def pending_migrations(self) -> Sequence[str]:
        """Name none."""
        return ()

    def examine(self) -> Sequence[Finding]:
        """Look for what slows this store down or loses its jobs."""
        return self._driver.visit(examine, "doctor")

    def drop(self) -> None:
        """Delete everything that the store has, under whatever key."""
        self.run(self._scripts.command("drop", [], lambda _: None))

    def _follow(self, walk: Walk[T]) -> T:
        if walk.course is None:
            raise NotSupported(f"{walk.name} leads nowhere", store=self.url, verb=walk.name)
        course = walk.course()
        try:
            script = next(course)
            while True:
                script = course.send(self._driver.run(script, walk.retry, walk.name))
        except StopIteration as end:
            answer: T = end.value
            return answer

    def _refuse_joining(self, command: Command[T], on: object | None) -> None:
        if on is not None:
            raise NotSupported(
                f"{self.url} cannot join a transaction: it lacks TRANSACTIONS", store=self.url, verb=command.name
            )

    # -- verbs; what each does is said in `Store` --------------------------------------------------------------------

    def enqueue(self, jobs: Sequence[NewJob], call: CallId) -> Command[list[Enqueued]]:
        check_enqueue(jobs)
        if not jobs:
            return Command("enqueue", (), lambda _: [], writes=False)
        if any(map(batch_of, jobs)):
            args, read, script = batches.add_args(jobs, call), intake.unique_answers(jobs), "add"
        elif not any(any(map(field, jobs)) for field in (unique_of, gates_of, expires_of)):
            args, read, script = intake.plain_args(jobs, call), intake.plain_answers(len(jobs)), "enqueue"
        else:
            args, read, script = intake.unique_args(jobs, call), intake.unique_answers(jobs), "unique"
        return self._scripts.command("enqueue", args, read, Retry.KEYED, script=script)

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
        args = work.claim_args(demand, names, routes, token, worker, lease, oldest=oldest)
        return self._scripts.command("claim", args, work.claimed(token), Retry.KEYED)

    def extend(
        self, tokens: Sequence[Token], lease: int, *, stopping: bool = False, started: Sequence[JobId] = ()
    ) -> Command[Extended]:
        args = work.extend_args(tokens, lease, stopping=stopping, started=started)
        return self._scripts.command("extend", args, work.extended)

    def settle(self, settlements: Sequence[Settlement]) -> Command[dict[JobId, Settled]]:
        args = work.settle_args(work.sort_out(settlements))
        if follow := following(settlements):
            args += intake.then_args(follow)
            return self._scripts.command("settle", args, work.settled(settlements), Retry.KEYED, script="settle_then")
        return self._scripts.command("settle", args, work.settled(settlements), Retry.KEYED)

    def promote(self, limit: int) -> Command[Moved]:
        return self._scripts.command("promote", [limit], look.promoted)

    def reclaim(self, limit: int, tokens: Sequence[Token] = ()) -> Command[Reclaimed]:
        return self._scripts.command("reclaim", [limit, *tokens], work.reclaimed)

    def expire(self, limit: int) -> Command[Changed]:
        return self._scripts.command("expire", work.expire_args(limit), look.pruned)

    def prune(self, limit: int) -> Command[Changed]:
        return self._scripts.command("prune", [limit], look.pruned)

    def any(self, queues: Sequence[str], names: Sequence[str], routes: Sequence[str]) -> Command[bool]:
        return self._scripts.command("any", look.any_args(queues, names, routes), bool)

    def count(self, queues: Sequence[str] = ()) -> Command[list[QueueCount]]:
        return self._scripts.command("count", [*queues], look.counts)

    def routes(self) -> Command[list[str]]:
        return self._scripts.command("routes", [], look.routes)

    def lead(self, role: str, holder: str, ttl: int) -> Command[bool]:
        return self._scripts.command("lead", [role, holder, ttl], bool)

    def find(self, only: Filter, limit: int, before: JobId | None = None) -> Command[list[StoredJob]]:
        return self._scripts.walk("find", control.find(self._scripts, only, limit, before))

    def result(self, id: JobId) -> Command[Ending | None]:
        return self._scripts.command("result", [id], look.ending)

    def cancel(self, only: Filter, limit: int) -> Command[Changed]:
        return self._change("cancel", only, limit)

    def retry(self, only: Filter, limit: int) -> Command[Changed]:
        return self._change("retry", only, limit)

    def promote_now(self, only: Filter, limit: int) -> Command[Changed]:
        return self._change("promote_now", only, limit)

    def requeue(self, only: Filter, limit: int, *, force: bool = False) -> Command[Changed]:
        return self._change("requeue", only, limit, force=force)

    def delete(self, only: Filter, limit: int) -> Command[Changed]:
        return self._change("delete", only, limit)

    def _change(self, verb: str, only: Filter, limit: int, *, force: bool = False) -> Command[Changed]:
        return self._scripts.walk(verb, control.change(self._scripts, verb, only, limit, force=force))

    def pause(self, kind: str, values: Sequence[str], paused: bool) -> Command[Changed]:
        check_pause(kind)
        return self._scripts.command("pause", [kind, int(paused), *values], Changed)

    def paused(self) -> Command[list[Pause]]:
        return self._scripts.command("paused", [], look.pauses)

    def admit(self, limit: int) -> Command[Admitted]:
        return self._scripts.command("admit", [limit], look.admitted)

    def define(self, rules: Sequence[Rule], *, replace: bool) -> Command[None]:
        return self._scripts.command("define", look.rules_args(rules, replace=replace), lambda _: None)

    def override(self, name: str, text: str | None, by: str) -> Command[bool]:
        return self._scripts.command("override", overriding.args(name, text, by), bool)

    def overrides(self) -> Command[list[Overriding]]:
        return self._scripts.command("overrides", [], overriding.read)

    def override_history(self, name: str, limit: int) -> Command[list[Overriding]]:
        return self._scripts.command("override_history", [name, limit], overriding.read, script="overrides")

    def hold(self, only: Filter, limit: int, token: Token, worker: str) -> Command[list[StoredJob]]:
        return self._scripts.walk("hold", moving.hold(self._scripts, only, limit, token, worker))

    def holds(self) -> Command[list[Hold]]:
        return self._scripts.command("holds", [MOVING], moving.holds)

    def last_due(self) -> Command[int | None]:
        return self._scripts.command("last_due", [], lambda due: None if due is None else int(due))

    def receive(self, jobs: Sequence[StoredJob], call: CallId) -> Command[list[Enqueued]]:
        new = [as_new(job) for job in jobs]
        check_enqueue(new)
        args, read = moving.receive_args(jobs, new, call), intake.unique_answers(new)
        return self._scripts.command("receive", args, read, Retry.KEYED)

    def beat(self, worker: WorkerInfo, ttl: int) -> Command[None]:
        return self._scripts.command("beat", look.beat_args(worker, ttl), lambda _: None)

    def workers(self) -> Command[list[WorkerInfo]]:
        return self._scripts.command("workers", [], look.workers)

    def register(self, application: str, entries: Sequence[NewEntry], declared: bool, call: CallId) -> Command[Entries]:
        args = periodic.register_args(application, entries, declared, call)
        return self._scripts.command("register", args, periodic.entries(application))

    def entries(self, application: str | None = None) -> Command[Entries]:
        return self._scripts.command("entries", [], periodic.entries(application))

    def tick(self, step: Tick, jobs: Sequence[NewJob], call: CallId) -> Command[bool]:
        check_tick(jobs)
        args = periodic.tick_args(step, jobs, call)
        return self._scripts.command("tick", args, bool, Retry.KEYED)

    def pause_entries(self, application: str, names: Sequence[str], paused: bool) -> Command[Changed]:
        args = periodic.pause_args(application, names, paused=paused)
        return self._scripts.command("pause_entries", args, Changed)

    def remove_entries(self, entries: Sequence[Entry]) -> Command[Changed]:
        return self._scripts.command("remove_entries", periodic.remove_args(entries), Changed)

    def note(self, notes: Sequence[Note]) -> Command[frozenset[JobId]]:
        return self._scripts.command("note", noting.note_args(notes), noting.noted)

    def saved(self, ids: Sequence[JobId]) -> Command[dict[JobId, str]]:
        return self._scripts.command("saved", list(ids), noting.saved(ids))

    def logged(self, ids: Sequence[JobId]) -> Command[dict[JobId, str]]:
        return self._scripts.command("logged", list(ids), noting.saved(ids))

    def open_batch(
        self, id: BatchId, doc: str, jobs: Sequence[NewJob], call: CallId, within: BatchId | None = None
    ) -> Command[list[Enqueued]]:
        check_enqueue(jobs)
        args = batches.open_args(id, doc, jobs, call, within)
        return self._scripts.command("open_batch", args, intake.unique_answers(jobs), Retry.KEYED)

    def batches(self, ids: Sequence[BatchId], limit: int) -> Command[list[StoredBatch]]:
        return self._scripts.command("batches", [limit, *ids], batches.shown)

    def advance(self, move: BatchMove, jobs: Sequence[NewJob], call: CallId) -> Command[bool]:
        return self._scripts.command("advance", batches.move_args(move, jobs, call), batches.moved, Retry.KEYED)
