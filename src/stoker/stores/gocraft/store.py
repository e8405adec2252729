"""The store in gocraft's format: each verb a command of one script, or of a few where JSON has to be read between."""

from __future__ import annotations

from builtins import any as some
from collections.abc import Mapping, Sequence
from typing import ClassVar

from stoker.core.backoff import gocraft
from stoker.core.capability import Capability
from stoker.core.clock import Clock
from stoker.core.command import Command, Retry
from stoker.core.filters import Filter
from stoker.core.finding import Finding
from stoker.core.job import (
    CallId,
    Changed,
    Claimed,
    Enqueued,
    JobId,
    Moved,
    NewJob,
    Pause,
    QueueCount,
    Reclaimed,
    StoredJob,
    Token,
    WorkerInfo,
)
from stoker.core.settlement import Settled, Settlement
from stoker.drivers.system_clock import SystemClock
from stoker.stores.base import check_enqueue, check_pause
from stoker.stores.gocraft import health, look, moving, pausing, presence, unique, upkeep, work
from stoker.stores.gocraft.commands import Scripts, check_name
from stoker.stores.gocraft.intake import intake
from stoker.stores.gocraft.urls import parse
from stoker.stores.gocraft.waiting import Waiting
from stoker.stores.holding.store import HoldingStore


class GocraftStore(HoldingStore):
    """Jobs under gocraft/work's keys on the server that ``url`` names (see `urls.parse`), for Go and Python alike.

    ``clock`` replaces the server's time, for tests; ``shown`` is the URL without its secrets. Any number of threads,
    event loops and processes may share it.
    """

    capabilities: ClassVar[Capability] = (
        Capability.SCHEDULE
        | Capability.PROMOTION
        | Capability.LEASE
        | Capability.FENCED
        | Capability.SELECTIVE
        | Capability.ATOMIC
        | Capability.RECEIPTS
        | Capability.UNIQUE_TO_START
        | Capability.PAUSE
        | Capability.PRESENCE
        | Capability.HOLD
    )

    backoff = staticmethod(gocraft)

    def __init__(self, url: str, *, shown: str | None = None, clock: Clock | None = None) -> None:
        self._parsed = parse(url, shown or url)
        around = SystemClock() if clock is None else clock
        self._scripts = Scripts(self._parsed.namespace, around)
        super().__init__(self._parsed.target, shown or url, clock, self._scripts)
        self._asked: dict[str, tuple[str, ...]] = {}
        self._waiting = Waiting(self._is_open, around)

    def examine(self) -> Sequence[Finding]:
        """Look at the server, and for pools of Go's that would bury jobs of others."""
        found = self.run(self._scripts.walk("doctor", health.examine(self._scripts)))
        return [*super().examine(), *found]

    async def wait(self, queues: Sequence[str], timeout: float) -> bool:
        """Wait until something may have become available in one of the queues, or ``timeout`` seconds."""
        return await self._waiting.wait(queues, timeout)

    async def _is_open(self, queues: Sequence[str]) -> bool:
        return await self.arun(look.is_open(self._scripts, queues, self._asked))

    # -- verbs; what each does is said in `Store` --------------------------------------------------------------------

    def enqueue(self, jobs: Sequence[NewJob], call: CallId) -> Command[list[Enqueued]]:
        check_enqueue(jobs)
        if not jobs:
            return Command("enqueue", (), lambda _: [], writes=False)
        self._check(jobs)
        if some(job.unique for job in jobs):
            return unique.enqueue(jobs, call, self._scripts)
        args, keys, answer = intake(jobs, call, self._scripts)
        return self._scripts.command("enqueue", args, lambda _: answer, Retry.KEYED, more=keys)

    def _check(self, jobs: Sequence[NewJob]) -> None:
        for job in jobs:
            check_name(job, self.url)
            unique.check_unique(job, self.url)
            for asked, flag in (
                (job.gates, Capability.LIMITS),
                (job.expires, Capability.EXPIRY),
                (job.batch, Capability.BATCH),
                (job.priority, Capability.PRIORITY),
                (job.route, Capability.TAGS),
            ):
                if asked:
                    self._refuse(f"enqueue {job.name}", flag)

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
        asked = tuple(names) if "" in routes else ()
        self._asked.update(dict.fromkeys(demand, asked))
        return work.claim(self._scripts, demand, asked, token, worker, lease)

    def settle(self, settlements: Sequence[Settlement]) -> Command[dict[JobId, Settled]]:
        for settlement in settlements:
            self._check(settlement.then)
            if some(job.unique for job in settlement.then):
                self._refuse("let unique jobs follow an ending", Capability.UNIQUE)
        return work.settle(self._scripts, settlements)

    def promote(self, limit: int) -> Command[Moved]:
        return self._scripts.walk("promote", upkeep.promote(self._scripts, limit))

    def reclaim(self, limit: int, tokens: Sequence[Token] = ()) -> Command[Reclaimed]:
        return self._scripts.walk("reclaim", upkeep.reclaim(self._scripts, limit, tokens))

    def prune(self, limit: int) -> Command[Changed]:
        return self._scripts.command("prune", [self._parsed.most_dead], Changed)

    def any(self, queues: Sequence[str], names: Sequence[str], routes: Sequence[str]) -> Command[bool]:
        return self._scripts.walk("any", look.any_of(self._scripts, queues, names if "" in routes else ()))

    def count(self, queues: Sequence[str] = ()) -> Command[list[QueueCount]]:
        return self._scripts.walk("count", look.count(self._scripts, queues))

    def routes(self) -> Command[list[str]]:
        return Command("routes", (), lambda _: [], writes=False)

    def pause(self, kind: str, values: Sequence[str], paused: bool) -> Command[Changed]:
        check_pause(kind)
        return self._scripts.walk("pause", pausing.pause(self._scripts, kind, values, paused=paused))

    def paused(self) -> Command[list[Pause]]:
        return self._scripts.walk("paused", pausing.paused(self._scripts))

    def hold(self, only: Filter, limit: int, token: Token, worker: str) -> Command[list[StoredJob]]:
        return self._scripts.walk("hold", moving.hold(self._scripts, only, limit, token, worker), Retry.KEYED)

    def last_due(self) -> Command[int | None]:
        return self._scripts.command("last_due", [], moving.last_due)

    def beat(self, worker: WorkerInfo, ttl: int) -> Command[None]:
        return self._scripts.walk("beat", presence.beat(self._scripts, worker, ttl))

    def workers(self) -> Command[list[WorkerInfo]]:
        return self._scripts.walk("workers", presence.workers(self._scripts))
