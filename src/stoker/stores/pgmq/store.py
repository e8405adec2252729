"""The store in queues of pgmq: each verb a command, or a few where the queues have to be read first."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, TypeVar

from stoker.core.capability import Capability
from stoker.core.clock import Clock
from stoker.core.command import Command, Retry, Sql
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
    QueueCount,
    Reclaimed,
    StoredJob,
    Token,
    WorkerInfo,
)
from stoker.core.moving import Hold
from stoker.core.settlement import Settled, Settlement
from stoker.drivers.postgres import PostgresDriver
from stoker.drivers.postgres_join import Joining
from stoker.drivers.postgres_session import parameters
from stoker.drivers.system_clock import SystemClock
from stoker.errors import ConfigurationError
from stoker.stores.base import Store, check_enqueue
from stoker.stores.pgmq import control, finding, install, intake, look, moving, settling, upkeep, work
from stoker.stores.pgmq.commands import IntoQueues, OnQueues, Walk, walk
from stoker.stores.pgmq.health import examine
from stoker.stores.pgmq.texts import PgmqTexts, probe
from stoker.stores.pgmq.urls import parse
from stoker.stores.pgmq.wire import KEEP_FAILED
from stoker.stores.postgres_waiting import Waiting

T = TypeVar("T")

# Two who make the same at once would meet in the catalog, whatever IF NOT EXISTS says.
MAKE_ALONE: Final = "SELECT pg_advisory_xact_lock(hashtextextended('stoker makes queues', 0))"


class PgmqStore(Store):
    """Messages in the queues of the pgmq that is installed in the database that ``url`` names (see `urls.parse`).

    With ``auto_migrate`` pgmq and stoker's own tables are made at first use where they are missing, else SchemaOutdated
    tells to run ``stoker migrate``. ``clock`` replaces the server's time, for tests; ``shown`` is the URL without its
    secrets. Any number of threads, event loops and processes may share it.
    """

    capabilities: ClassVar[Capability] = (
        Capability.FIND
        | Capability.CANCEL
        | Capability.RETRY
        | Capability.DELETE
        | Capability.PRESENCE
        | Capability.SCHEDULE
        | Capability.TRANSACTIONS
        | Capability.LEASE
        | Capability.NOTIFY
        | Capability.FENCED
        | Capability.SELECTIVE
        | Capability.ATOMIC
        | Capability.ORDER
        | Capability.TAGS
        | Capability.RECEIPTS
        | Capability.HOLD
    )

    def __init__(
        self, url: str, *, shown: str | None = None, clock: Clock | None = None, auto_migrate: bool = True
    ) -> None:
        self.url = url if shown is None else shown
        self._parsed = parse(url, self.url)
        database = self._parsed.database
        self._auto_migrate = auto_migrate
        self._clock = clock
        self._texts = PgmqTexts(database.schema)
        self._driver = PostgresDriver(
            database.conninfo, self.url, self._texts, clock, self._prepare, pool_size=database.pool_size
        )
        self._joining = Joining(self._driver, self.url, clock)
        self._there: set[str] = set()
        """Queues that were there when we looked."""
        self._waiting = Waiting(
            self._driver,
            parameters(database.listen_url or database.conninfo),
            f"stoker {database.schema}",
            SystemClock() if clock is None else clock,
            lambda: None,
            lambda queue: f"pgmq.q_{self._parsed.table(queue)}.INSERT",
        )

    def run(self, command: Command[T], on: object | None = None) -> T:
        """Run a command in this thread; ``on`` is a caller's connection whose transaction it joins."""
        if isinstance(command, Walk):
            course: Walk[T] = command
            return self._follow(course)
        self._make(command)
        if on is not None:
            return self._joining.run(on, self._waiting.notifying(command))
        announcement = self._waiting.announcement(command)
        answer = self._driver.run(command, announcement)
        self._waiting.committed(command, announcement)
        return answer

    async def arun(self, command: Command[T], on: object | None = None) -> T:
        """Run a command without blocking the event loop."""
        if isinstance(command, Walk):
            return await self._afollow(command)
        if self._missing(command):
            await asyncio.to_thread(self._make, command)
        if on is not None:
            return await self._joining.arun(on, self._waiting.notifying(command))
        announcement = self._waiting.announcement(command)
        answer = await self._driver.arun(command, announcement)
        self._waiting.committed(command, announcement)
        return answer

    async def wait(self, queues: Sequence[str], timeout: float) -> bool:
        """Wait until something may have become available in one of the queues, or ``timeout`` seconds."""
        return await self._waiting.wait(queues, timeout)

    def close(self) -> None:
        """Close the connections and stop listening."""
        self._waiting.stop()
        self._driver.close()

    def migrate(self) -> Sequence[str]:
        """Install pgmq where it is missing, and bring stoker's own tables up to date; names what was applied."""
        return self._driver.visit(lambda connection: install.migrate(connection, self._texts), "migrate")

    def pending_migrations(self) -> Sequence[str]:
        """Name what `migrate` would apply."""
        return self._driver.visit(lambda connection: install.pending(connection, self._texts), "migrate")

    def migration_script(self) -> str:
        """Give the SQL of all of it."""
        return install.whole_script(self._texts)

    def examine(self) -> Sequence[Finding]:
        """Look at the server and its queues for what slows jobs down or loses them."""
        return self._driver.visit(lambda connection: examine(connection, self._texts.schema, self._parsed), "doctor")

    def _prepare(self) -> None:
        if self._auto_migrate:
            self.migrate()
        elif missing := self.pending_migrations():
            raise install.outdated(list(missing), self.url)
        self._texts.use(self._driver.visit(probe, "open"))

    def _missing(self, command: Command[Any]) -> frozenset[str]:
        tables = command.tables if isinstance(command, OnQueues | IntoQueues) else frozenset()
        return tables - self._there

    def _make(self, command: Command[Any]) -> None:
        if missing := self._missing(command):
            steps = (Sql(work.queue_made(table), {}) for table in sorted(missing))
            self._driver.run(Command("create", (Sql(MAKE_ALONE, {}), *steps), lambda _: None))
            self._there |= missing

    def _follow(self, command: Walk[T]) -> T:
        assert command.course is not None  # noqa: S101 - told to the type checkers
        course = command.course()
        try:
            step = next(course)
            while True:
                step = course.send(self.run(step))
        except StopIteration as end:
            answer: T = end.value
            return answer

    async def _afollow(self, command: Walk[T]) -> T:
        assert command.course is not None  # noqa: S101 - told to the type checkers
        course = command.course()
        try:
            step = next(course)
            while True:
                step = course.send(await self.arun(step))
        except StopIteration as end:
            answer: T = end.value
            return answer

    @property
    def _enqueued(self) -> int | None:
        """When a test's clock says that jobs are enqueued; pgmq stamps the server's time."""
        return None if self._clock is None else self._clock.now()

    # -- verbs; what each does is said in `Store` --------------------------------------------------------------------

    def enqueue(self, jobs: Sequence[NewJob], call: CallId) -> Command[list[Enqueued]]:
        check_enqueue(jobs)
        for job in jobs:
            self._check(job)
        if not jobs:
            return Command("enqueue", (), lambda _: [], joins=True, writes=False)
        queues = frozenset(job.queue for job in jobs)
        steps = intake.enqueue_steps(jobs, call, self._parsed, self._enqueued)
        tables = frozenset(map(self._parsed.table, queues))
        return IntoQueues("enqueue", steps, intake.answers(jobs), Retry.KEYED, joins=True, queues=queues, tables=tables)

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
        return work.claim(self._parsed, demand, names, routes, token, worker, lease)

    def extend(
        self, tokens: Sequence[Token], lease: int, *, stopping: bool = False, started: Sequence[JobId] = ()
    ) -> Command[Extended]:
        return walk("extend", work.extend(self._parsed, tokens, lease, stopping=stopping, started=started))

    def settle(self, settlements: Sequence[Settlement]) -> Command[dict[JobId, Settled]]:
        for ending in settlements:
            for job in ending.then:
                self._check(job)
        return settling.settle(self._parsed, settlements, self._enqueued)

    def complete(self, ending: Settlement) -> Command[Settled]:
        for job in ending.then:
            self._check(job)
        return settling.complete(self._parsed, ending, self._enqueued)

    def promote(self, limit: int) -> Command[Moved]:
        return walk("promote", upkeep.promote(self._parsed), writes=False)

    def reclaim(self, limit: int, tokens: Sequence[Token] = ()) -> Command[Reclaimed]:
        return walk("reclaim", upkeep.reclaim(self._parsed, limit, tokens, KEEP_FAILED))

    def prune(self, limit: int) -> Command[Changed]:
        return walk("prune", upkeep.prune(self._parsed, limit))

    def any(self, queues: Sequence[str], names: Sequence[str], routes: Sequence[str]) -> Command[bool]:
        return look.any_of(self._parsed, queues, names, routes)

    def count(self, queues: Sequence[str] = ()) -> Command[list[QueueCount]]:
        return walk("count", look.count(self._parsed, queues), writes=False)

    def routes(self) -> Command[list[str]]:
        return look.routes()

    def lead(self, role: str, holder: str, ttl: int) -> Command[bool]:
        return upkeep.lead(role, holder, ttl)

    def find(self, only: Filter, limit: int, before: JobId | None = None) -> Command[list[StoredJob]]:
        return walk("find", finding.find(self._parsed, only, limit, before), writes=False)

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
        return walk(verb, control.change(self._parsed, verb, only, limit, KEEP_FAILED, force=force))

    def hold(self, only: Filter, limit: int, token: Token, worker: str) -> Command[list[StoredJob]]:
        return walk("hold", moving.hold(self._parsed, only, limit, token, worker))

    def holds(self) -> Command[list[Hold]]:
        return moving.holds()

    def last_due(self) -> Command[int | None]:
        return walk("last_due", moving.last_due(self._parsed), writes=False)

    def beat(self, worker: WorkerInfo, ttl: int) -> Command[None]:
        return look.beat(worker, ttl)

    def workers(self) -> Command[list[WorkerInfo]]:
        return look.workers()

    def _check(self, job: NewJob) -> None:
        if job.unique is not None:
            self._refuse("enqueue a unique job", Capability.UNIQUE)
        if not self._parsed.prefix and job.queue == "periodic":
            raise ConfigurationError(
                f"{job.name}: the queue periodic is where Roadster keeps its periodic jobs, and it deletes all others; "
                "name another queue"
            )
        if job.priority:
            self._refuse(f"enqueue {job.name} with priority {job.priority}", Capability.PRIORITY)
        if job.gates:
            self._refuse(f"enqueue {job.name} with limits", Capability.LIMITS)
        if job.expires is not None:
            self._refuse(f"enqueue {job.name} with expires", Capability.EXPIRY)
        if job.batch is not None:
            self._refuse(f"enqueue {job.name} in a batch", Capability.BATCH)


class ArchivingPgmqStore(PgmqStore):
    """A store whose URL says that whatever ends is archived: so results and endings can be asked for."""

    capabilities: ClassVar[Capability] = PgmqStore.capabilities | Capability.RESULTS | Capability.HISTORY

    def result(self, id: JobId) -> Command[Ending | None]:
        return walk("result", finding.result(self._parsed, id), writes=False)


def open_pgmq(
    url: str, *, shown: str | None = None, clock: Clock | None = None, auto_migrate: bool = True
) -> PgmqStore:
    """Give the store that a URL names, of the kind that it says."""
    parsed = parse(url, url if shown is None else shown)
    archives = parsed.on_success == parsed.on_failure == "archive"
    return (ArchivingPgmqStore if archives else PgmqStore)(url, shown=shown, clock=clock, auto_migrate=auto_migrate)
