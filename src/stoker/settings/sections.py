"""Every key there is, with its type and default. `docs/reference/settings.md` says what they mean to a user."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct, field, structs

from stoker.settings.schema import dotted, leaves
from stoker.settings.values import (
    Bytes,
    Count,
    Fraction,
    Kept,
    Limit,
    Mode,
    Names,
    Natural,
    Port,
    Positive,
    Raw,
    written,
)

UNUSED: Final = frozenset(
    {
        "queue.dangerously_flush",
    }
)
"""Keys that are read, but that nothing acts upon yet; whoever sets one is told."""


class PoolSettings(Struct, frozen=True, kw_only=True):
    """What one queue has of its own; None inherits."""

    concurrency: Count | None = None
    """Jobs of this queue running at once in a worker process; None shares the worker's pool."""
    poll_interval: Limit = None
    jitter: Fraction | None = None
    """By which part of itself the poll interval varies, so that workers do not look all at once."""
    weight: Count = 1
    """Its part of the worker's pool while other queues wait too."""
    limit: Count | None = None
    """Jobs of this queue running at once, over all workers."""
    rate: str | None = None
    """Starts of jobs of this queue in a time, over all workers: ``"100/1m"``."""
    max_waiting: Count | None = None
    """Jobs that may wait in this queue before further ones are refused; None for any number."""
    keep: Kept | None = None
    keep_failed: Kept | None = None
    keep_most: Count | None = None
    """Finished jobs of this queue that are kept at most; None for any number."""


class StoreSettings(Struct, frozen=True, kw_only=True):
    """One store and its queues."""

    uri: str | None = None
    """The store's URL in its canonical spelling; SQLite paths as written."""
    kind: str | None = None
    dangerously_flush: bool = False
    """Delete every job when a worker starts."""
    poll_interval: Limit = None
    """How often a waiting worker looks for jobs; None is the store's own."""
    queues: Mapping[str, PoolSettings] = field(default_factory=dict)
    """Queues by name; the order is the one in which they are written."""


class WorkerSettings(Struct, frozen=True, kw_only=True):
    """What a worker does."""

    mode: Mode = "queue"
    concurrency: Count = 10
    """Jobs running at once in each process."""
    processes: Count = 1
    grace: timedelta = timedelta(seconds=25)
    """How long running jobs may go on after the first signal to stop."""
    lease: Positive = timedelta(seconds=30)
    """How long a silent worker keeps its jobs."""
    tags: Names = ()
    all_tags: bool = False
    strict_order: bool = False
    """Queues that share a pool are served in the order in which they are written, not side by side."""
    oldest_every: Natural = 0
    """Every so many jobs one is the longest available, whatever its priority; 0 for none."""
    child_max_jobs: Count = 1000
    """Attempts after which a process of jobs with ``executor="process"`` is replaced by a fresh one."""
    child_max_rss: Bytes = Bytes(0)
    """The same by its memory; 0 is no bound."""
    stuck_after: Limit = timedelta(minutes=5)
    misfit_after: Limit = timedelta(days=1)


class JobSettings(Struct, frozen=True, kw_only=True):
    """Defaults for jobs that do not say otherwise."""

    max_attempts: Count = 20
    timeout: Limit = None
    """How long an attempt may take; None is for ever."""
    keep: Kept = timedelta(days=1)
    keep_failed: Kept = timedelta(days=14)
    max_args: Bytes = Bytes(1024 * 1024)
    """The most bytes that the encoded arguments of a job may have."""


class WebSettings(Struct, frozen=True, kw_only=True):
    """The ASGI application that ``stoker start`` serves."""

    app: str | None = None
    """``module:attribute``."""
    host: str = "127.0.0.1"
    port: Port = 8000


class SchedulerSettings(Struct, frozen=True, kw_only=True):
    """Loco's scheduler section, its jobs kept as written."""

    output: str | None = None
    jobs: Raw = field(default_factory=dict)
    stale: Literal["auto", "manual"] = "auto"
    """Whether a worker removes at its start the entries that nobody declares any more."""


class Keys(Struct, frozen=True, kw_only=True):
    """Everything that a file, the environment or arguments can say."""

    queue: StoreSettings = StoreSettings()
    workers: WorkerSettings = WorkerSettings()
    jobs: JobSettings = JobSettings()
    stores: Mapping[str, StoreSettings] = field(default_factory=dict)
    """Stores by name, besides the default one, which is ``queue``."""
    retiring: Names = ()
    """Stores that are still emptied, but get no new jobs."""
    imports: Names = ()
    """Modules that define jobs."""
    blocking_enqueue: Literal["warn", "error", "allow"] = "warn"
    """What a sync enqueue on a running event loop does."""
    web: WebSettings = WebSettings()
    periodic: Raw = field(default_factory=dict)
    scheduler: SchedulerSettings = SchedulerSettings()


class Settings(Keys, frozen=True, kw_only=True):
    """The settings of an application in one environment, and where each was written."""

    environment: str
    root: Path
    """The project's root, absolute: what relative paths are relative to."""
    origins: Mapping[str, str]
    """Where each key got its value (``"workers.concurrency"``): a file, a variable, an argument, ``default``."""

    @property
    def mode(self) -> Mode:
        """Where jobs run."""
        return self.workers.mode

    def store_urls(self) -> dict[str, str]:
        """Give the URLs of all stores by name, with their credentials; the one of ``queue`` is ``default``.

        ``default`` is absent in production where no store is configured, as only the modes without one allow.
        """
        stores = {"default": self.queue, **self.stores}
        return {name: store.uri for name, store in stores.items() if store.uri is not None}

    def of_store(self, name: str) -> Settings:
        """Give the settings of a worker of one store: its queues, unless it names none, and its poll interval."""
        own = self.stores.get(name)
        if own is None:
            return self
        shared = self.queue
        queue = structs.replace(
            own, queues=own.queues or shared.queues, poll_interval=own.poll_interval or shared.poll_interval
        )
        return structs.replace(self, queue=queue)

    def shown(self) -> list[tuple[str, str, str]]:
        """Give every key with its value and origin as text, secrets masked."""
        rows = [(dotted(leaf.key), leaf) for leaf in leaves(self, of=Keys)]
        return [(key, written(leaf.value, key, leaf.kind), self.origins.get(key, "default")) for key, leaf in rows]
