"""The store in Sidekiq's format: each verb a command of one script, or of a few where JSON has to be read between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from stoker.core.capability import Capability
from stoker.core.clock import Clock
from stoker.core.command import Command, Retry
from stoker.core.filters import Filter
from stoker.core.job import (
    CallId,
    Changed,
    Claimed,
    Enqueued,
    JobId,
    Moved,
    NewJob,
    Order,
    QueueCount,
    Reclaimed,
    StoredJob,
    Token,
    WorkerInfo,
)
from stoker.core.settlement import Settled, Settlement
from stoker.drivers.system_clock import SystemClock
from stoker.stores.base import check_enqueue
from stoker.stores.holding.store import HoldingStore
from stoker.stores.sidekiq import control, look, moving, presence, upkeep, work
from stoker.stores.sidekiq.commands import Scripts
from stoker.stores.sidekiq.intake import intake
from stoker.stores.sidekiq.marks import Marks
from stoker.stores.sidekiq.urls import parse
from stoker.stores.sidekiq.waiting import Waiting


class SidekiqStore(HoldingStore):
    """Jobs under Sidekiq's keys on the server that ``url`` names (see `urls.parse`), for Ruby and Python alike.

    ``clock`` replaces the server's time, for tests; ``shown`` is the URL without its secrets. Any number of threads,
    event loops and processes may share it.
    """

    capabilities: ClassVar[Capability] = (
        Capability.FIND
        | Capability.CANCEL
        | Capability.RETRY
        | Capability.DELETE
        | Capability.SCHEDULE
        | Capability.PROMOTION
        | Capability.QUEUE_NAMES
        | Capability.LEASE
        | Capability.NOTIFY
        | Capability.FENCED
        | Capability.ATOMIC
        | Capability.ORDER
        | Capability.PRESENCE
        | Capability.SIGNALS
        | Capability.TAGS
        | Capability.RECEIPTS
        | Capability.HOLD
    )

    def __init__(self, url: str, *, shown: str | None = None, clock: Clock | None = None) -> None:
        self._parsed = parse(url, shown or url)
        around = SystemClock() if clock is None else clock
        self._scripts = Scripts(self._parsed.namespace, around)
        super().__init__(self._parsed.target, shown or url, clock, self._scripts)
        self.positional = self._parsed.envelope == "none"
        self._marks = Marks()
        self._waiting = Waiting(self._driver, self._scripts.queue, around)

    async def wait(self, queues: Sequence[str], timeout: float) -> bool:
        """Wait until something may have become available in one of the queues, or ``timeout`` seconds."""
        return await self._waiting.wait(queues, timeout)

    def close(self) -> None:
        """Close the connections and end the threads of this process."""
        self._waiting.close()
        super().close()

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
            for asked, flag in (
                (job.priority, Capability.PRIORITY),
                (job.unique, Capability.UNIQUE),
                (job.gates, Capability.LIMITS),
                (job.expires, Capability.EXPIRY),
                (job.batch, Capability.BATCH),
            ):
                if asked:
                    self._refuse(f"enqueue {job.name} as it asks", flag)

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

    def settle(self, settlements: Sequence[Settlement]) -> Command[dict[JobId, Settled]]:
        for settlement in settlements:
            self._refuse_options(settlement.then)
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

    def find(self, only: Filter, limit: int, before: JobId | None = None) -> Command[list[StoredJob]]:
        return self._scripts.walk("find", control.find(self._scripts, self._marks, only, limit, before))

    def cancel(self, only: Filter, limit: int) -> Command[Changed]:
        return self._change("cancel", only, limit)

    def retry(self, only: Filter, limit: int) -> Command[Changed]:
        return self._change("retry", only, limit)

    def promote_now(self, only: Filter, limit: int) -> Command[Changed]:
        return self._change("promote_now", only, limit)

    def requeue(self, only: Filter, limit: int, *, force: bool = False) -> Command[Changed]:
        return self._scripts.walk("requeue", control.requeue(self._scripts, only, limit, force=force))

    def delete(self, only: Filter, limit: int) -> Command[Changed]:
        return self._change("delete", only, limit)

    def _change(self, verb: str, only: Filter, limit: int) -> Command[Changed]:
        return self._scripts.walk(
            verb, control.change(self._scripts, self._marks, verb, only, limit, self._parsed.stamps)
        )

    def hold(self, only: Filter, limit: int, token: Token, worker: str) -> Command[list[StoredJob]]:
        return self._scripts.walk("hold", moving.hold(self._scripts, only, limit, token, worker), Retry.KEYED)

    def last_due(self) -> Command[int | None]:
        return self._scripts.command("last_due", [], moving.last_due)

    def beat(self, worker: WorkerInfo, ttl: int) -> Command[None]:
        return self._scripts.walk("beat", presence.beat(self._scripts, worker, ttl))

    def workers(self) -> Command[list[WorkerInfo]]:
        return self._scripts.walk("workers", presence.workers(self._scripts))

    def orders(self, worker: str) -> Command[list[Order]]:
        return presence.orders(self._scripts, worker)
