"""`Stoker`: registry, settings, stores and workers of one application put together.

Whoever imports stoker to enqueue pays for neither worker nor settings files: what only they need is imported where it
is used.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, Unpack

from stoker.app.backend import StoreBackend, chunks
from stoker.app.choice import Choice, WorkOptions
from stoker.app.home import home_of_caller
from stoker.core.backoff import Backoff, sidekiq
from stoker.core.clock import Clock
from stoker.core.duration import Keep, keep_micros, micros
from stoker.core.job import JobId
from stoker.drivers.system_clock import SystemClock
from stoker.errors import ConfigurationError
from stoker.jobs.checks import FOREVER
from stoker.jobs.draft import Draft
from stoker.jobs.handle import JobHandle
from stoker.jobs.middleware import Middleware
from stoker.jobs.options import Defaults, EnqueueOptions, Retention
from stoker.jobs.registry import JobRegistry, S
from stoker.telemetry.events import Events
from stoker.telemetry.logs import LogLines

if TYPE_CHECKING:
    from stoker.app.embedded import EmbeddedWorker
    from stoker.app.foreground import Foreground
    from stoker.app.operations import Operations
    from stoker.runtime.worker import Worker, WorkerPlan
    from stoker.settings import PoolSettings, Settings
    from stoker.stores.base import Store

R = TypeVar("R")
Lifespan = Callable[["Stoker[Any]"], AbstractAsyncContextManager[Any]]


@contextlib.asynccontextmanager
async def _no_state(_app: Stoker[Any]) -> AsyncIterator[None]:
    yield None


class Stoker(JobRegistry[S], Generic[S]):
    """The jobs of an application, the stores they wait in, and the workers that perform them.

    Making one does no I/O: settings are read and stores opened when first needed.

    ``url`` names the default store, ``stores`` further ones by name; ``settings`` is a mapping that goes before
    environment and files; ``imports`` are the modules that define jobs; ``lifespan`` is an async context manager
    that gives the state which handlers see as ``Context.state``.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        settings: Mapping[str, object] | None = None,
        name: str | None = None,
        stores: Mapping[str, str] | None = None,
        retiring: Sequence[str] = (),
        imports: Sequence[str] = (),
        lifespan: Callable[[Stoker[S]], AbstractAsyncContextManager[S]] | None = None,
        middleware: Sequence[Middleware] = (),
        clock: Clock | None = None,
    ) -> None:
        super().__init__(StoreBackend(self))
        self.name = name
        self.events = Events()
        self.clock: Clock = clock or SystemClock()
        self._given = _given(url, settings, stores, retiring)
        self._imports = tuple(imports)
        self._lifespan: Lifespan = lifespan or _no_state
        self.middleware = tuple(middleware)
        self._home = home_of_caller()
        self._environment: str | None = None
        self._arguments: Mapping[str, object] = {}
        self._settings: Settings | None = None
        self._defaults: Defaults | None = None
        self._stores: dict[str, Store] = {}
        self._opening = threading.Lock()
        self._embedded: EmbeddedWorker | None = None
        self.events.listen(LogLines(self._backoff_of, self.clock.now))

    # -- settings and stores -----------------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """The settings, read when first asked for; ConfigurationError says what is wrong where."""
        from stoker.settings import find_root, load

        if self._settings is None:
            self._settings = load(
                environment=self._environment,
                root=find_root(self._home),
                overrides=self._given,
                arguments=self._arguments,
            )
        return self._settings

    def configure(
        self, *, environment: str | None = None, arguments: Mapping[str, object] | None = None, home: Path | None = None
    ) -> None:
        """Take what the command line said, before anything is read; it goes before all else."""
        self._environment = environment or self._environment
        self._arguments = {**self._arguments, **(arguments or {})}
        self._home = home or self._home
        self._settings = self._defaults = None

    @property
    def defaults(self) -> Defaults:
        """What the settings say where a job says nothing."""
        if self._defaults is None:
            self._defaults = defaults_of(self.settings)
        return self._defaults

    def store(self, name: str = "default") -> Store:
        """Give a store by name, opened when first needed; ConfigurationError for a name that is not configured."""
        found = self._stores.get(name)
        return found if found is not None else self._open(name)

    def operations(self, store: str = "default") -> Operations:
        """Give the operator's verbs on a store: list, cancel, retry, replay, delete, pause, status."""
        from stoker.app.operations import Operations

        return Operations(self.store(store), store, self.clock.now)

    def _open(self, name: str) -> Store:
        from stoker.stores.urls import open_store

        settings = self.settings
        urls = {"default": "memory://"} if settings.mode != "queue" else settings.store_urls()
        if name not in urls:
            if settings.mode != "queue":
                name = "default"
            else:
                raise ConfigurationError(f"no store named {name!r}; configured are: {', '.join(sorted(urls))}")
        auto = settings.environment != "production"
        with self._opening:
            if name not in self._stores:
                self._stores[name] = open_store(urls[name], root=settings.root, clock=self.clock, auto_migrate=auto)
            return self._stores[name]

    # -- jobs --------------------------------------------------------------------------------------------------------

    def enqueue_many(
        self, drafts: Sequence[Draft[R]], /, *, transaction: object | None = None, atomic: bool = True
    ) -> list[JobHandle[R]]:
        """Store all drafts or none and give their handles in input order.

        At most 10,000 jobs and 16 MiB of arguments a call; ``atomic=False`` stores more, in several such calls.
        Raises EnqueueError, StoreUnavailable, DuplicateJob, NotSupported (``transaction=`` on a store without).
        """
        if atomic:
            return self._backend.enqueue(drafts, transaction)
        return [handle for chunk in chunks(drafts) for handle in self._backend.enqueue(chunk, transaction)]

    async def aenqueue_many(
        self, drafts: Sequence[Draft[R]], /, *, transaction: object | None = None, atomic: bool = True
    ) -> list[JobHandle[R]]:
        """Do the same as `enqueue_many` without blocking the event loop."""
        if atomic:
            return await self._backend.aenqueue(drafts, transaction)
        return [handle for chunk in chunks(drafts) for handle in await self._backend.aenqueue(chunk, transaction)]

    def enqueue_by_name(
        self, name: str, args: Mapping[str, object] | Sequence[object] = (), /, **options: Unpack[EnqueueOptions]
    ) -> JobHandle[Any]:
        """Enqueue a job by its name, arguments by name or by position; UnknownJob, ArgumentsError."""
        job = self.get(name).using(**options)
        return job.enqueue(**args) if isinstance(args, Mapping) else job.enqueue(*args)

    async def aenqueue_by_name(
        self, name: str, args: Mapping[str, object] | Sequence[object] = (), /, **options: Unpack[EnqueueOptions]
    ) -> JobHandle[Any]:
        """Do the same as `enqueue_by_name` without blocking the event loop."""
        job = self.get(name).using(**options)
        return await (job.aenqueue(**args) if isinstance(args, Mapping) else job.aenqueue(*args))

    def handle(self, id: str, *, store: str = "default") -> JobHandle[Any]:
        """Give the handle of a job by its id; nothing is looked up yet."""
        return JobHandle(self._backend, JobId(id), store=store)

    def load(self) -> None:
        """Import the modules that define jobs; what goes wrong inside one is raised as it is."""
        for module in (*self._imports, *self.settings.imports):
            importlib.import_module(module)

    def check(self) -> None:
        """Import every job, resolve every hint, look every store up: DefinitionError, ConfigurationError."""
        self.load()
        self.check_jobs()
        for definition in self.definitions:
            self.store(definition.store)

    def _backoff_of(self, name: str) -> Backoff:
        definition = self.performable.get(name)
        return sidekiq if definition is None else definition.policy.backoff

    # -- workers -----------------------------------------------------------------------------------------------------

    def work(self, *, until_empty: bool = False, **options: Unpack[WorkOptions]) -> None:
        """Run a worker in this process until SIGTERM or SIGINT, or ``until_empty``.

        Ends when nothing that this worker could perform is available, running or due. ConfigurationError when there
        is nothing to work on, or the mode is not ``queue``.
        """
        from stoker.runtime.process import run

        run(self.awork(until_empty=until_empty, **options))

    async def awork(self, *, until_empty: bool = False, **options: Unpack[WorkOptions]) -> None:
        """Do the same on the running event loop."""
        import asyncio

        from stoker.runtime.process import stop_on_signals

        async with self.workers(Choice.of(options)) as workers:

            def stop() -> None:
                for worker in workers:
                    worker.stop()

            async with stop_on_signals(stop):
                await asyncio.gather(*(worker.run(until_empty=until_empty) for worker in workers))

    @contextlib.asynccontextmanager
    async def working(self, **options: Unpack[WorkOptions]) -> AsyncIterator[None]:
        """Run a worker on this event loop for the length of a block, beside a web server for example.

        Leaving the block stops it in order: running jobs have their grace period. No signal is taken.
        """
        import asyncio

        async with self._lifespan(self) as state:
            workers = self.make_workers(Choice.of(options), state)
            running = [asyncio.ensure_future(worker.run()) for worker in workers]
            try:
                yield
            finally:
                for worker in workers:
                    worker.stop()
                await asyncio.gather(*running)

    @contextlib.asynccontextmanager
    async def workers(self, choice: Choice) -> AsyncIterator[list[Worker]]:
        """Give this process's workers, not started, within the application's lifespan; ConfigurationError as `work`."""
        if self.settings.mode != "queue":
            raise ConfigurationError(
                f"workers.mode is {self.settings.mode!r}: jobs run in the process that enqueues them, "
                "so a worker would have nothing to do; set workers.mode: queue"
            )
        if self.store().url.startswith("memory:"):
            raise ConfigurationError(
                "memory:// lives in one process, so a separate worker would find nothing; "
                "use sqlite:///stoker.sqlite3, or workers.mode: async"
            )
        async with self._lifespan(self) as state:
            yield self.make_workers(choice, state)

    def make_workers(self, choice: Choice, state: object) -> list[Worker]:
        """Make one worker for each store that the chosen jobs wait in; they are not started."""
        from stoker.app.plans import plan_worker

        self.check()
        plan = plan_worker(self.performable, self.settings, choice)
        stores = dict.fromkeys(self.performable[name].store for name in plan.names)
        return [self._make_worker(store, plan, state) for store in stores]

    def _make_worker(self, store: str, plan: WorkerPlan, state: object) -> Worker:
        from msgspec.structs import replace

        from stoker.runtime.worker import Worker

        definitions = {name: self.performable[name] for name in plan.names if self.performable[name].store == store}
        return Worker(
            self.store(store),
            store,
            definitions,
            replace(plan, names=tuple(definitions)),
            clock=self.clock,
            events=self.events,
            defaults=self.defaults,
            state=state,
            middleware=self.middleware,
        )

    # -- life --------------------------------------------------------------------------------------------------------

    def foreground(self) -> Foreground:
        """Give what performs jobs in the caller: the mode ``foreground``."""
        from stoker.app.foreground import Foreground

        return Foreground(
            lambda: self._lifespan(self), clock=self.clock, events=self.events, middleware=self.middleware
        )

    def ensure_embedded(self) -> None:
        """Start the embedded worker of the mode ``async`` unless it runs."""
        from stoker.app.embedded import EmbeddedWorker

        if self._embedded is None:
            self._embedded = EmbeddedWorker(self._serve_embedded, self.settings.workers.grace.total_seconds())
        self._embedded.ensure()

    async def _serve_embedded(self, started: Callable[[Worker], None]) -> None:
        async with self._lifespan(self) as state:
            (worker,) = self.make_workers(Choice(), state)
            started(worker)
            await worker.run()

    def close(self) -> None:
        """Stop the embedded worker, if there is one, after it has emptied its store, and close the stores."""
        if self._embedded is not None:
            self._embedded.stop()
            self._embedded = None
        for store in self._stores.values():
            store.close()
        self._stores.clear()

    def __enter__(self) -> Self:
        if self.settings.mode == "async":
            self.ensure_embedded()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import asyncio

        await asyncio.to_thread(self.close)


def defaults_of(settings: Settings) -> Defaults:
    """Give what the settings say of jobs, as definitions want it."""
    jobs = settings.jobs
    return Defaults(
        max_attempts=jobs.max_attempts,
        timeout=None if jobs.timeout is None else micros(jobs.timeout),
        keep=keep_micros(jobs.keep),
        keep_failed=keep_micros(jobs.keep_failed),
        max_args=jobs.max_args,
        retention={name: _retention(queue) for name, queue in settings.queue.queues.items()},
    )


def _retention(queue: PoolSettings) -> Retention:
    def kept(written: Keep | None) -> int | None:
        if written is None:
            return None
        return FOREVER if written == "forever" else micros(written)

    return Retention(kept(queue.keep), kept(queue.keep_failed))


def _given(
    url: str | None, settings: Mapping[str, object] | None, stores: Mapping[str, str] | None, retiring: Sequence[str]
) -> dict[str, object]:
    """Put the constructor's arguments in the shape of a settings file."""
    given: dict[str, object] = dict(settings or {})
    named = dict(stores or {})
    default = url or named.pop("default", None)
    if default is not None:
        given["queue"] = {**_section(given, "queue"), "uri": default}
    if named:
        given["stores"] = {name: {"uri": uri} for name, uri in named.items()}
    if retiring:
        given["retiring"] = list(retiring)
    return given


def _section(given: Mapping[str, object], name: str) -> Mapping[str, object]:
    section = given.get(name, {})
    return section if isinstance(section, Mapping) else {}
