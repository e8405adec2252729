"""The store contract: verbs that make commands, and `run`/`arun` that execute them.

A verb never does anything by itself: it returns a `Command`, which `run` (sync) or `arun` (async) sends as one unit.
So sync and async callers, a caller's own transaction, retries and fault injection share one definition of each verb.
What each verb must do is said here and proven by `stoker.testing.contract`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, NoReturn, TypeVar

from stoker.core.backoff import Backoff, sidekiq
from stoker.core.batch import BatchId, BatchMove, StoredBatch
from stoker.core.capability import Capability
from stoker.core.command import Command
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
    Order,
    Pause,
    QueueCount,
    Reclaimed,
    StoredJob,
    Token,
    WorkerInfo,
    args_of,
)
from stoker.core.limits import Admitted, Rule
from stoker.core.moving import Hold
from stoker.core.note import Note
from stoker.core.override import Overriding
from stoker.core.periodic import Entries, Entry, NewEntry, Tick
from stoker.core.settlement import Settled, Settlement
from stoker.errors import ConfigurationError, EnqueueError, NotSupported
from stoker.stores.words import REFUSED

T = TypeVar("T")
MOST_JOBS = 10_000
MOST_BYTES = 16 * 1024 * 1024
MOST_TICKS = 1_000
"""The most jobs that one tick enqueues, for runs that were missed."""


class Store(ABC):
    """One place where jobs are kept. Instances are cheap and do no I/O until the first `run`.

    Every verb returns a command whose answer is described in its docstring. Time is the store's own clock.
    """

    capabilities: ClassVar[Capability]
    url: str
    """The store's URL with credentials masked."""
    backoff: Backoff = staticmethod(sidekiq)
    """How long a job waits to be tried again whose definition does not say."""
    positional: bool = False
    """Whether arguments go in by position, as a JSON array, because others who read it know no names."""

    # -- running commands -------------------------------------------------------------------------------------------

    @abstractmethod
    def run(self, command: Command[T], on: object | None = None) -> T:
        """Run a command and give its answer; ``on`` is a caller's connection whose transaction it joins.

        Raises StoreUnavailable when the store does not answer, NotSupported when ``on`` cannot be joined,
        WrongDatabase when it belongs elsewhere.
        """

    @abstractmethod
    async def arun(self, command: Command[T], on: object | None = None) -> T:
        """Do the same without blocking the event loop."""

    @abstractmethod
    async def wait(self, queues: Sequence[str], timeout: float) -> bool:
        """Wait until something may have become available in one of the queues, or ``timeout`` seconds.

        May lie in both directions: True with nothing there, False (late) at most a poll interval. A caller sleeps
        only after a claim that began after its previous wait came back empty.
        """

    @property
    def poll_interval(self) -> float:
        """Seconds after which a worker looks though nothing woke it, unless its settings say."""
        return 1.0

    @abstractmethod
    def close(self) -> None:
        """Release connections and threads. Idempotent; a command run later opens them again."""

    @abstractmethod
    def migrate(self) -> Sequence[str]:
        """Bring the schema up to date and name the migrations applied; repeatable, safe to run from many processes."""

    @abstractmethod
    def pending_migrations(self) -> Sequence[str]:
        """Name the migrations that `migrate` would apply."""

    def examine(self) -> Sequence[Finding]:
        """Look at the server for what slows jobs down or loses them. Raises StoreUnavailable."""
        return ()

    def migration_script(self) -> str:
        """Give the SQL of all migrations, for those who apply it themselves; without touching the store."""
        raise NotSupported(f"{self.url} has no schema in SQL", store=self.url, verb="migrate")

    # -- verbs every store has --------------------------------------------------------------------------------------

    @abstractmethod
    def enqueue(self, jobs: Sequence[NewJob], call: CallId) -> Command[list[Enqueued]]:
        """Store all jobs or none; answers in input order. A repeat of ``call`` inserts nothing, answers the same.

        At most 10,000 jobs and 16 MiB of arguments, else EnqueueError. A taken unique key answers by its policy:
        keep, replace and reschedule answer the holder's id with ``duplicate=True``; raise fails the whole call
        with DuplicateJob. Where the holder no longer waits, replace and reschedule insert: the new job has the key.
        """

    @abstractmethod
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
        """Take up to ``demand[queue]`` available jobs per queue and run them under ``token`` for ``lease`` µs.

        Only the given names and routes, no paused queue or name; per queue by priority (high first), then in the
        order in which they became available. The answer keeps that order. A repeat with the same token answers the
        jobs still running under it and takes nothing new. Unreadable rows come with ``defect`` set. With ``oldest``
        those are taken that became available first, whatever their priority.
        """

    @abstractmethod
    def extend(
        self, tokens: Sequence[Token], lease: int, *, stopping: bool = False, started: Sequence[JobId] = ()
    ) -> Command[Extended]:
        """Keep the leases for ``lease`` µs from now; one that ended but was not reclaimed is revived.

        ``stopping`` marks them as of a worker that shuts down in order: reclaim counts no crash then. ``started``
        marks suspects (jobs with crashes) that begin to run, so that a crash counts against them alone.
        """

    @abstractmethod
    def settle(self, settlements: Sequence[Settlement]) -> Command[dict[JobId, Settled]]:
        """End attempts; the only way out of running. Guarded by (id, token) and never by the clock.

        A job flagged for cancelling whose next state is not final becomes cancelled. One bad settlement never fails
        the others.
        """

    @abstractmethod
    def promote(self, limit: int) -> Command[Moved]:
        """Make up to ``limit`` due scheduled and retryable jobs available, behind those that are."""

    @abstractmethod
    def reclaim(self, limit: int, tokens: Sequence[Token] = ()) -> Command[Reclaimed]:
        """Take back the jobs of up to ``limit`` leases that ended, or at once those of the given tokens.

        Flagged jobs become cancelled. Jobs of a stopping lease and suspects not marked started become available
        uncounted. The others count one crash: discarded with LeaseExpired at their crash limit, else available.
        """

    @abstractmethod
    def prune(self, limit: int) -> Command[Changed]:
        """Delete up to ``limit`` finished jobs whose time of keeping is over, and receipts older than an hour."""

    @abstractmethod
    def any(self, queues: Sequence[str], names: Sequence[str], routes: Sequence[str]) -> Command[bool]:
        """Tell whether a job that this worker could perform is available, due, or running anywhere in its queues."""

    @abstractmethod
    def count(self, queues: Sequence[str] = ()) -> Command[list[QueueCount]]:
        """Count jobs by queue, name, route and state; all queues when none is named."""

    @abstractmethod
    def routes(self) -> Command[list[str]]:
        """Give the routes of the jobs there are, without the empty one; also those whose last job is gone."""

    @abstractmethod
    def lead(self, role: str, holder: str, ttl: int) -> Command[bool]:
        """Become or stay the leader of a role for ``ttl`` µs; 0 gives it up. Leadership only saves work."""

    # -- verbs behind a flag: refused here, filled where the store has the capability --------------------------------

    def complete(self, ending: Settlement) -> Command[Settled]:
        """Settle one attempt as completed inside a caller's transaction, as its last statement; never waits for others.

        Guarded as `settle` is; until the transaction ends nobody takes the job back, and heartbeats do not wait for it.
        Where ``keep`` is 0 the job may stay until the next prune.
        """
        self._refuse("complete", Capability.TRANSACTIONS)

    def find(self, only: Filter, limit: int, before: JobId | None = None) -> Command[list[StoredJob]]:
        """Give matching jobs, newest first, ``before`` an id for the next page."""
        self._refuse("find", Capability.FIND)

    def result(self, id: JobId) -> Command[Ending | None]:
        """Give state, result and last error of a job; None if the store has no such job."""
        self._refuse("result", Capability.RESULTS)

    def cancel(self, only: Filter, limit: int) -> Command[Changed]:
        """End matching waiting jobs as cancelled and flag running ones; counts both, and their ids."""
        self._refuse("cancel", Capability.CANCEL)

    def retry(self, only: Filter, limit: int) -> Command[Changed]:
        """Make matching cancelled, discarded, retryable and scheduled jobs available, with an attempt left.

        Failures and error history are kept, crashes start again from 0, result and finish time are cleared. A job
        whose unique key is taken by another is left alone.
        """
        self._refuse("retry", Capability.RETRY)

    def promote_now(self, only: Filter, limit: int) -> Command[Changed]:
        """Make matching scheduled and retryable jobs available at once, whatever their time."""
        self._refuse("promote_now", Capability.RETRY)

    def requeue(self, only: Filter, limit: int, *, force: bool = False) -> Command[Changed]:
        """Take matching running jobs back to available; only lapsed leases unless forced (their token is revoked)."""
        self._refuse("requeue", Capability.RETRY)

    def delete(self, only: Filter, limit: int) -> Command[Changed]:
        """Delete matching jobs that do not run."""
        self._refuse("delete", Capability.DELETE)

    def pause(self, kind: str, values: Sequence[str], paused: bool) -> Command[Changed]:
        """Pause or resume queues (kind ``queue``) or job names (kind ``name``); counts what changed.

        The kind ``breaker`` notes names that workers leave out of their claims by themselves.
        """
        self._refuse("pause", Capability.PAUSE)

    def paused(self) -> Command[list[Pause]]:
        """Give what is paused."""
        self._refuse("paused", Capability.PAUSE)

    def beat(self, worker: WorkerInfo, ttl: int) -> Command[None]:
        """Announce a worker for ``ttl`` µs; 0 takes it off the list."""
        self._refuse("beat", Capability.PRESENCE)

    def workers(self) -> Command[list[WorkerInfo]]:
        """Give the workers that announced themselves and whose time is not over."""
        self._refuse("workers", Capability.PRESENCE)

    def expire(self, limit: int) -> Command[Changed]:
        """Cancel up to ``limit`` waiting jobs that were to start by now and of which no attempt was made.

        What a worker claims although its time is over comes with the instant in its meta, and is for it to end.
        """
        self._refuse("expire", Capability.EXPIRY)

    def orders(self, worker: str) -> Command[list[Order]]:
        """Take what a worker was told to do since the last time, oldest first."""
        self._refuse("orders", Capability.SIGNALS)

    def edit(self, only: Filter, limit: int, changes: Mapping[str, object]) -> Command[Changed]:
        """Change waiting jobs."""
        self._refuse("edit", Capability.EDIT)

    def move(self, only: Filter, limit: int, queue: str) -> Command[Changed]:
        """Move waiting jobs to another queue."""
        self._refuse("move", Capability.EDIT)

    def restore(self, jobs: Sequence[StoredJob], call: CallId) -> Command[list[Enqueued]]:
        """Import jobs with their states and times."""
        self._refuse("restore", Capability.RESTORE)

    def hold(self, only: Filter, limit: int, token: Token, worker: str) -> Command[list[StoredJob]]:
        """Take up to ``limit`` waiting jobs that match, oldest first, out of everybody's reach; give them as they were.

        They run under ``token`` then, due or not, and no lease ends that: only `settle` lets them go. Members of
        batches stay. A repeat takes nothing new and answers those still held; so does a ``limit`` of 0. One whose
        ``max_attempts`` is 0 says nothing about them: who performs it does.
        """
        self._refuse("hold", Capability.HOLD)

    def holds(self) -> Command[list[Hold]]:
        """Give what is held, the longest first."""
        self._refuse("holds", Capability.HOLD)

    def last_due(self) -> Command[int | None]:
        """Give the latest instant for which a job is scheduled or to be retried; None where there is none."""
        self._refuse("last_due", Capability.HOLD)

    def receive(self, jobs: Sequence[StoredJob], call: CallId) -> Command[list[Enqueued]]:
        """Take in waiting jobs of another store with their counters, times and errors; all or none, in input order.

        What is due by the clock of this store is available. One whose unique key is taken here is not stored again and
        answered as duplicate. A repeat of ``call`` stores nothing, however late: these receipts are not pruned.
        """
        self._refuse("receive", Capability.RECEIVE)

    def note(self, notes: Sequence[Note]) -> Command[frozenset[JobId]]:
        """Keep progress, checkpoints and log lines of running jobs, and tell of which jobs; the last note wins.

        Guarded by (id, token) as `settle` is. Notes stay with the job over its attempts, and go with it. One whose job
        somebody's open transaction is about to complete is not kept.
        """
        self._refuse("note", Capability.NOTE)

    def saved(self, ids: Sequence[JobId]) -> Command[dict[JobId, str]]:
        """Give the checkpoints of those of the jobs that have one."""
        self._refuse("saved", Capability.NOTE)

    def logged(self, ids: Sequence[JobId]) -> Command[dict[JobId, str]]:
        """Give what is kept of the logs of those of the jobs that have some (see `core.lines`)."""
        self._refuse("logged", Capability.NOTE)

    def admit(self, limit: int) -> Command[Admitted]:
        """Let up to ``limit`` waiting jobs through their gates, as far as those let them; claims find them then.

        Of each gate no more than its rule says, whoever asks at once, by priority and then in the order in which they
        became available. Jobs of paused queues and names stay. The places of jobs that ended or went back are free
        again by themselves; so this only has something to do after jobs came, went, or time passed.
        """
        self._refuse("admit", Capability.LIMITS)

    def define(self, rules: Sequence[Rule], *, replace: bool) -> Command[None]:
        """Say what rules let in; without ``replace`` only those that nobody has defined yet.

        A gate whose rule nobody has defined lets everything in. A lower limit lets go of no job that has its place.
        """
        self._refuse("define", Capability.LIMITS)

    def override(self, name: str, text: str | None, by: str) -> Command[bool]:
        """Keep what is said of a job name, or take it back where that is None; tells whether this changed anything.

        A change is written into the history too, with who made it and the store's time.
        """
        self._refuse("override", Capability.OVERRIDE)

    def overrides(self) -> Command[list[Overriding]]:
        """Give what is said of all names, by name."""
        self._refuse("overrides", Capability.OVERRIDE)

    def override_history(self, name: str, limit: int) -> Command[list[Overriding]]:
        """Give the latest changes of a name, the newest first."""
        self._refuse("override_history", Capability.OVERRIDE)

    def register(self, application: str, entries: Sequence[NewEntry], declared: bool, call: CallId) -> Command[Entries]:
        """Keep periodic entries of an application and give all that it has.

        A new entry has ``last`` = now: nothing before is due; nor is it where the rhythm changed. A changed
        specification is a new version. ``declared``: by code or settings.
        """
        self._refuse("register", Capability.TICK)

    def entries(self, application: str | None = None) -> Command[Entries]:
        """Give the periodic entries of an application; of all when none is named."""
        self._refuse("entries", Capability.TICK)

    def tick(self, step: Tick, jobs: Sequence[NewJob], call: CallId) -> Command[bool]:
        """Move a periodic entry on by one step and enqueue its jobs, in one unit.

        False, and nothing happened, when its ``last`` is another (somebody else ticked), its version is another, or it
        is paused or gone. A repeat of ``call`` changes nothing and answers the same until the entry ticks again.
        At most 1,000 jobs.
        """
        self._refuse("tick", Capability.TICK)

    def pause_entries(self, application: str, names: Sequence[str], paused: bool) -> Command[Changed]:
        """Pause or resume periodic entries; counts what changed. What was due meanwhile is never due again."""
        self._refuse("pause_entries", Capability.TICK)

    def remove_entries(self, entries: Sequence[Entry]) -> Command[Changed]:
        """Remove periodic entries, except those that were registered anew since they were read; counts them."""
        self._refuse("remove_entries", Capability.TICK)

    def open_batch(
        self, id: BatchId, doc: str, jobs: Sequence[NewJob], call: CallId, within: BatchId | None = None
    ) -> Command[list[Enqueued]]:
        """Store a batch with its first members in one unit, as `enqueue` does; a repeat of ``call`` stores nothing.

        What `enqueue` gets with a ``batch`` is added to one that is there, and counted in its ledger; BatchComplete
        where there is none, or it is finished. So is a batch ``within`` another.
        """
        self._refuse("open_batch", Capability.BATCH)

    def batches(self, ids: Sequence[BatchId], limit: int) -> Command[list[StoredBatch]]:
        """Give batches as they stand; without ids up to ``limit`` of those whose ledger has events not yet seen.

        The ledger has an event for each member that ended (settle, reclaim, cancel, delete) or came back (retry).
        """
        self._refuse("batches", Capability.BATCH)

    def advance(self, move: BatchMove, jobs: Sequence[NewJob], call: CallId) -> Command[bool]:
        """Move a batch on to its next version and store jobs in one unit; False if it was not at the version.

        Locks the batch first. False too where it was to be finished and has events that were not seen, and where
        somebody's transaction adds to it.
        """
        self._refuse("advance", Capability.BATCH)

    # -- shared by the stores ---------------------------------------------------------------------------------------

    def supports(self, capability: Capability) -> bool:
        """Tell whether the store has all of the given capabilities."""
        return capability in self.capabilities

    def _refuse(self, verb: str, capability: Capability) -> NoReturn:
        asked = REFUSED.get(verb, verb)
        raise NotSupported(f"{self.url} cannot {asked}: it lacks {capability.name}", store=self.url, verb=verb)


def check_tick(jobs: Sequence[NewJob]) -> None:
    """Refuse a tick that is larger than every store takes."""
    if len(jobs) > MOST_TICKS:
        raise EnqueueError(f"{len(jobs)} jobs in one tick, at most {MOST_TICKS}: tick several times")
    check_enqueue(jobs)


def check_pause(kind: str) -> None:
    """Refuse to pause what is neither a queue nor a name; a breaker is the pause of a name that claims leave out."""
    if kind not in ("queue", "name", "breaker"):
        raise ConfigurationError(f"pause: kind is {kind!r}; it must be 'queue', 'name' or 'breaker'")


def check_enqueue(jobs: Sequence[NewJob]) -> None:
    """Refuse a call that is larger than every store takes."""
    if len(jobs) > MOST_JOBS:
        raise EnqueueError(f"{len(jobs)} jobs in one call, at most {MOST_JOBS}: enqueue them in chunks")
    if 4 * sum(map(len, map(args_of, jobs))) <= MOST_BYTES:  # a character has four bytes at most
        return
    size = sum(len(job.args.encode(errors="surrogatepass")) for job in jobs)
    if size > MOST_BYTES:
        raise EnqueueError(f"{size} bytes of arguments in one call, at most {MOST_BYTES}: enqueue them in chunks")
