"""The store in Sidekiq's format: each verb a command of one script, or of a few where JSON has to be read between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, TypeVar

from stoker.core.capability import Capability
from stoker.core.clock import Clock
from stoker.core.command import Command, Retry, Script
from stoker.core.job import (
    CallId,
    Changed,
    Claimed,
    Enqueued,
    Extended,
    JobId,
    Moved,
    NewJob,
    Order,
    QueueCount,
    Reclaimed,
    Token,
    WorkerInfo,
)
from stoker.core.settlement import Settled, Settlement
from stoker.drivers.redis import RedisDriver
from stoker.drivers.system_clock import SystemClock
from stoker.errors import NotSupported
from stoker.stores.base import Store, check_enqueue
from stoker.stores.sidekiq import look, presence, upkeep, work
from stoker.stores.sidekiq.commands import Scripts
from stoker.stores.sidekiq.intake import intake
from stoker.stores.sidekiq.urls import parse
from stoker.stores.sidekiq.waiting import Waiting
from stoker.stores.walks import Walk

T = TypeVar("T")


class SidekiqStore(Store):
    """Jobs under Sidekiq's keys on the server that ``url`` names (see `urls.parse`), for Ruby and Python alike.

    ``clock`` replaces the server's time, for tests; ``shown`` is the URL without its secrets. Any number of threads,
    event loops and processes may share it.
    """

    capabilities: ClassVar[Capability] = (
        Capability.SCHEDULE
        | Capability.LEASE
        | Capability.NOTIFY
        | Capability.FENCED
        | Capability.ATOMIC
        | Capability.PRESENCE
        | Capability.SIGNALS
    )

    def __init__(self, url: str, *, shown: str | None = None, clock: Clock | None = None) -> None:
        self.url = shown or url
        self._parsed = parse(url, self.url)
        self.positional = self._parsed.envelope == "none"
        around = SystemClock() if clock is None else clock
        self._scripts = Scripts(self._parsed.namespace, around)
        self._driver = RedisDriver(self._parsed.target, self.url, clock)
        self._waiting = Waiting(self._driver, self._scripts.queue, around)

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
        self._refuse_options(jobs)
        args, keys, answer = intake(jobs, call, self._parsed, self._scripts)
        return self._scripts.command("enqueue", args, lambda _: answer, Retry.KEYED, more=keys)

    def _refuse_options(self, jobs: Sequence[NewJob]) -> None:
        for job in jobs:
            for asked, flag in ((job.unique, "UNIQUE"), (job.gates, "LIMITS"), (job.expires, "EXPIRY")):
                if asked:
                    problem = f"{job.name}: {self.url} cannot keep what it asks for: it lacks {flag}"
                    raise NotSupported(problem, store=self.url, verb="enqueue")

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
        return work.claim(self._scripts, demand, names, routes, token, worker, lease)

    def extend(
        self, tokens: Sequence[Token], lease: int, *, stopping: bool = False, started: Sequence[JobId] = ()
    ) -> Command[Extended]:
        return work.extend(self._scripts, tokens, lease, stopping=stopping, started=started)

    def settle(self, settlements: Sequence[Settlement]) -> Command[dict[JobId, Settled]]:
        return work.settle(self._scripts, self._parsed, settlements)

    def promote(self, limit: int) -> Command[Moved]:
        return self._scripts.walk("promote", upkeep.promote(self._scripts, limit, self._parsed.stamps))

    def reclaim(self, limit: int, tokens: Sequence[Token] = ()) -> Command[Reclaimed]:
        return self._scripts.walk("reclaim", upkeep.reclaim(self._scripts, limit, tokens, self._parsed.stamps))

    def prune(self, limit: int) -> Command[Changed]:
        return self._scripts.walk("prune", upkeep.prune(self._scripts))

    def any(self, queues: Sequence[str], names: Sequence[str], routes: Sequence[str]) -> Command[bool]:
        return look.any_of(self._scripts, queues, names, routes)

    def count(self, queues: Sequence[str] = ()) -> Command[list[QueueCount]]:
        return self._scripts.walk("count", look.count(self._scripts, queues))

    def routes(self) -> Command[list[str]]:
        return self._scripts.command("routes", [], lambda found: sorted(route.decode() for route in found))

    def lead(self, role: str, holder: str, ttl: int) -> Command[bool]:
        return self._scripts.command("lead", [role, holder, ttl], bool)

    def beat(self, worker: WorkerInfo, ttl: int) -> Command[None]:
        return self._scripts.walk("beat", presence.beat(self._scripts, worker, ttl))

    def workers(self) -> Command[list[WorkerInfo]]:
        return self._scripts.walk("workers", presence.workers(self._scripts))

    def orders(self, worker: str) -> Command[list[Order]]:
        return presence.orders(self._scripts, worker)
