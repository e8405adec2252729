"""The store in RabbitMQ: the verbs that a broker has, and a refusal for each that it has not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, TypeVar

from stoker.core.capability import Capability
from stoker.core.clock import Clock
from stoker.core.command import Command, Retry
from stoker.core.finding import Finding
from stoker.core.job import (
    CallId,
    Changed,
    Claimed,
    Enqueued,
    Extended,
    JobId,
    Moved,
    NewJob,
    QueueCount,
    Reclaimed,
    Token,
)
from stoker.core.settlement import Settled, Settlement
from stoker.drivers.bell import Bell
from stoker.drivers.system_clock import SystemClock
from stoker.errors import EnqueueError, NotSupported
from stoker.stores.base import Store, check_enqueue
from stoker.stores.rabbitmq import look
from stoker.stores.rabbitmq.commands import Talk, known, talk
from stoker.stores.rabbitmq.health import examine
from stoker.stores.rabbitmq.ranks import MOST
from stoker.stores.rabbitmq.running import Running
from stoker.stores.rabbitmq.session import Session
from stoker.stores.rabbitmq.urls import parse

T = TypeVar("T")


class RabbitStore(Store):
    """Jobs on the broker that ``url`` names (see `urls.parse`), in queues whose names begin with its prefix.

    A broker has no clock that can be asked, so the time is this machine's, or ``clock``; ``shown`` is the URL without
    its secrets. Any number of threads, event loops and processes may share it.
    """

    capabilities: ClassVar[Capability] = (
        Capability.SCHEDULE
        | Capability.QUEUE_NAMES
        | Capability.LEASE
        | Capability.NOTIFY
        | Capability.FENCED
        | Capability.SELECTIVE
    )

    def __init__(self, url: str, *, shown: str | None = None, clock: Clock | None = None) -> None:
        self.url = shown or url
        self._clock: Clock = SystemClock() if clock is None else clock
        self._bell = Bell()
        parsed = parse(url, self.url)
        if parsed.ranked:
            self.capabilities = type(self).capabilities | Capability.PRIORITY  # type: ignore[misc]  # of this URL only
        self._running = Running(parsed, self.url, self._clock, self._new_bell)

    def run(self, command: Command[T], on: object | None = None) -> T:
        """Run a command in this thread. There are no transactions to join: ``on`` raises NotSupported."""
        return self._running.run(self._ours(command, on))

    async def arun(self, command: Command[T], on: object | None = None) -> T:
        """Run a command without blocking the event loop."""
        return await self._running.arun(self._ours(command, on))

    async def wait(self, queues: Sequence[str], timeout: float) -> bool:
        """Wait until the broker has pushed a job of one of the queues, or ``timeout`` seconds."""
        return await self._bell.wait(queues, timeout, self._clock)

    def close(self) -> None:
        """Give back what was not claimed, close the connections and end the thread of this process."""
        self._running.close()

    def migrate(self) -> Sequence[str]:
        """Do nothing: queues are declared when they are first needed."""
        return ()

    def pending_migrations(self) -> Sequence[str]:
        """Name none."""
        return ()

    def examine(self) -> Sequence[Finding]:
        """Look at the broker's version and at the queues of this store."""
        return self._running.run(talk("doctor", examine))

    def drop(self) -> None:
        """Delete everything that the store has."""
        self._running.run(talk("drop", look.drop))

    def _ours(self, command: Command[T], on: object | None) -> Talk[T]:
        if on is not None:
            raise NotSupported(
                f"{self.url} cannot join a transaction: it lacks TRANSACTIONS", store=self.url, verb=command.name
            )
        if not isinstance(command, Talk):
            raise NotSupported(f"{command.name} was made by another store than {self.url}", verb=command.name)
        return command

    def _new_bell(self) -> Bell:
        return self._bell

    # -- verbs; what each does is said in `Store` --------------------------------------------------------------------

    def enqueue(self, jobs: Sequence[NewJob], call: CallId) -> Command[list[Enqueued]]:
        check_enqueue(jobs)
        for job in jobs:
            self._check(job)
        ids = [JobId(f"{call}{number:04x}") for number in range(len(jobs))]

        async def enqueue(session: Session) -> list[Enqueued]:
            if jobs:
                await session.enqueue(jobs, ids)
            return [Enqueued(id) for id in ids]

        return talk("enqueue", enqueue, Retry.NEVER)

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
        if not demand or not names or "" not in routes:
            return known("claim", lambda: Claimed([], None, self._clock.now()))

        async def claim(session: Session) -> Claimed:
            return Claimed(await session.claim(demand, names, token), None, self._clock.now())

        return talk("claim", claim, Retry.KEYED)

    def extend(
        self, tokens: Sequence[Token], lease: int, *, stopping: bool = False, started: Sequence[JobId] = ()
    ) -> Command[Extended]:
        async def extend(session: Session) -> Extended:
            return Extended(session.extend(tokens))

        return talk("extend", extend)

    def settle(self, settlements: Sequence[Settlement]) -> Command[dict[JobId, Settled]]:
        async def settle(session: Session) -> dict[JobId, Settled]:
            return await session.settle(settlements)

        return talk("settle", settle, Retry.KEYED)

    def promote(self, limit: int) -> Command[Moved]:
        return known("promote", lambda: Moved(0))

    def reclaim(self, limit: int, tokens: Sequence[Token] = ()) -> Command[Reclaimed]:
        return known("reclaim", Reclaimed)

    def prune(self, limit: int) -> Command[Changed]:
        return known("prune", lambda: Changed(0))

    def any(self, queues: Sequence[str], names: Sequence[str], routes: Sequence[str]) -> Command[bool]:
        async def ask(session: Session) -> bool:
            return await look.any_work(session, queues, names)

        return talk("any", ask)

    def count(self, queues: Sequence[str] = ()) -> Command[list[QueueCount]]:
        async def count(session: Session) -> list[QueueCount]:
            return await look.count(session, queues, self._clock.now())

        return talk("count", count)

    def routes(self) -> Command[list[str]]:
        return known("routes", list[str])

    def lead(self, role: str, holder: str, ttl: int) -> Command[bool]:
        return known("lead", lambda: ttl > 0)

    def _check(self, job: NewJob) -> None:
        if job.unique is not None:
            self._refuse("enqueue a unique job", Capability.UNIQUE)
        if job.priority:
            self._check_priority(job)
        if job.gates:
            self._refuse(f"enqueue {job.name} with limits", Capability.LIMITS)
        if job.expires is not None:
            self._refuse(f"enqueue {job.name} with expires", Capability.EXPIRY)
        if job.batch is not None:
            self._refuse(f"enqueue {job.name} in a batch", Capability.BATCH)
        if job.route:
            self._refuse(f"enqueue {job.name} with tags", Capability.TAGS)

    def _check_priority(self, job: NewJob) -> None:
        if not self.supports(Capability.PRIORITY):
            self._refuse(f"enqueue {job.name} with priority {job.priority}", Capability.PRIORITY)
        if abs(job.priority) > MOST:
            raise EnqueueError(f"{job.name}: priority {job.priority}: on RabbitMQ they go from -{MOST} to {MOST}")
