"""`Stoker`: registry, settings, stores and workers of one application put together.

Whoever imports stoker to enqueue pays for neither worker nor settings files: what only they need is imported where it
is used.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, Unpack

from stoker.app.backend import PerformsHere, StoreBackend, chunks
from stoker.app.choice import Choice, WorkOptions
from stoker.app.given import defaults_of, given_settings
from stoker.app.home import default_name, file_of_caller
from stoker.app.listening import Listening
from stoker.app.periodic import Declared, Periodic
from stoker.app.stage import Stage
from stoker.core.backoff import Backoff, sidekiq
from stoker.core.batch import BatchId, new_batch
from stoker.core.clock import Clock
from stoker.core.command import Command
from stoker.core.flow import Flow, write
from stoker.core.job import Enqueued, JobId, NewJob, new_call
from stoker.drivers.system_clock import SystemClock
from stoker.errors import ConfigurationError
from stoker.jobs.draft import Draft
from stoker.jobs.handle import JobHandle
from stoker.jobs.middleware import Middleware, checked_middleware
from stoker.jobs.options import Defaults, EnqueueOptions
from stoker.jobs.registry import JobRegistry, S
from stoker.jobs.workflow import Workflow
from stoker.runtime import current
from stoker.telemetry.board import Events
from stoker.telemetry.events import JobsEnqueued
from stoker.telemetry.logs import HEARD, LogLines

if TYPE_CHECKING:
    from stoker.app.batches import Batch
    from stoker.app.embedded import EmbeddedWorker
    from stoker.app.operations import Operations
    from stoker.app.serving import Serving
    from stoker.core.limits import Rule
    from stoker.runtime.children import ChildPlan
    from stoker.runtime.plan import PeriodicPlan
    from stoker.runtime.worker import Worker
    from stoker.settings import Settings
    from stoker.settings.values import Mode
    from stoker.stores.base import Store

R = TypeVar("R")
HEAR_OUT = 2.0
"""Seconds that listeners have to hear the last events when an application is closed."""
Lifespan = Callable[["Stoker[Any]"], AbstractAsyncContextManager[Any]]


@contextlib.asynccontextmanager
async def _no_state(_app: Stoker[Any]) -> AsyncIterator[None]:
    yield None


class Stoker(JobRegistry[S], Generic[S]):
    """The jobs of an application, the stores they wait in, and the workers that perform them.

    Making one does no I/O: settings are read and stores opened when first needed.

    ``url`` names the default store, ``stores`` further ones by name, of which those named by ``retiring`` are still
    emptied, but get no new jobs; ``settings`` is a mapping that goes before
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
        self._storing = StoreBackend(self)
        super().__init__(self._storing)
        self.name = name
        self.events = Events()
        self.on = Listening(self.events)
        """Calls a function for what happens: ``@app.on(AttemptEnded)``; ``app.on.end(function)`` ends it."""
        self.clock: Clock = clock or SystemClock()
        self._given = given_settings(url, settings, stores, retiring)
        self._imports = tuple(imports)
        self._lifespan: Lifespan = lifespan or _no_state
        self.middleware = checked_middleware(middleware)
        self.periodic = Periodic()
        """Declares periodic jobs: ``@app.periodic("0 3 * * *")`` above ``@app.job``."""
        self._file = file_of_caller()
        self._home = Path.cwd() if self._file is None else self._file.parent
        self._environment: str | None = None
        self._arguments: Mapping[str, object] = {}
        self._settings: Settings | None = None
        self._defaults: Defaults | None = None
        self._stores: dict[str, Store] = {}
        self._opening = threading.Lock()
        self._embedded: EmbeddedWorker | None = None
        self._stage: Stage | None = None
        self.events.listen(LogLines(self._backoff_of, self._now), *HEARD)

    # -- settings and stores -----------------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """The settings, read when first asked for; ConfigurationError says what is wrong where."""
        if self._settings is None:
            from stoker.settings import find_root, load

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

        return Operations(self.store(store), store, self.clock.now, self.events)

    def _open(self, name: str) -> Store:
        from stoker.stores.urls import open_store

        if self._stage is not None:
            return self._stores.setdefault(name, self._stage.make_store(name))
        settings = self.settings
        urls = {"default": "memory://"} if settings.mode != "queue" else settings.store_urls()
        if name not in urls:
            if settings.mode != "queue":
                name = "default"
            else:
                raise ConfigurationError(f"no store named {name!r}; configured are: {', '.join(sorted(urls))}")
        if current.in_child and urls[name].startswith("memory:"):
            raise ConfigurationError(
                "memory:// lives in the worker's process, and a job with executor='process' runs in another one: it "
                "cannot enqueue there; use sqlite:///stoker.sqlite3"
            )
        auto = settings.environment != "production"
        with self._opening:
            if name not in self._stores:
                self._stores[name] = open_store(urls[name], root=settings.root, clock=self.clock, auto_migrate=auto)
            return self._stores[name]

    def _now(self) -> int:
        return self.clock.now()

    # -- jobs --------------------------------------------------------------------------------------------------------

    def enqueue_many(
        self, drafts: Iterable[Draft[R]], /, *, transaction: object | None = None, atomic: bool = True
    ) -> list[JobHandle[R]]:
        """Store all drafts or none and give their handles in input order.

        At most 10,000 jobs and 16 MiB of arguments a call; ``atomic=False`` stores any number, as ``drafts`` (a
        generator, say) gives them, in several such calls.
        Raises EnqueueError, StoreUnavailable, DuplicateJob, NotSupported (``transaction=`` on a store without).
        """
        if atomic:
            return self._backend.enqueue(list(drafts), transaction)
        return self._storing.enqueue_in_calls(drafts, transaction)

    async def aenqueue_many(
        self, drafts: Iterable[Draft[R]], /, *, transaction: object | None = None, atomic: bool = True
    ) -> list[JobHandle[R]]:
        """Do the same as `enqueue_many` without blocking the event loop."""
        if atomic:
            return await self._backend.aenqueue(list(drafts), transaction)
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

    @property
    def application(self) -> str:
        """The name under which its periodic entries are kept: ``name``, else one made of its project and module."""
        return self.name or default_name(self._file, self.settings.root)

    def periodic_entries(self) -> list[Declared]:
        """Give the periodic entries that code and settings declare; ConfigurationError says what is wrong with one."""
        from stoker.app.planned import from_code, from_settings

        settings = self.settings
        coded = from_code(self.periodic.declared, self.get)
        written = from_settings(settings.periodic, settings.scheduler.jobs, self.get)
        # What the settings say of an entry goes before the code, as for everything else.
        return list({entry.name: entry for entry in (*coded, *written)}.values())

    # -- batches and workflows ---------------------------------------------------------------------------------------

    def batch(
        self,
        name: str = "",
        *,
        on_success: Draft[Any] | None = None,
        on_failure: Draft[Any] | None = None,
        on_complete: Draft[Any] | None = None,
        within: Batch | None = None,
        store: str = "default",
    ) -> Batch:
        """Give a new batch, to be opened by ``with``; ``within`` another it counts there as one member.

        ``on_success`` is enqueued once when all its jobs completed, ``on_failure`` for each that was discarded,
        ``on_complete`` once when all have ended, whichever way. NotSupported where the store has no batches.
        """
        from stoker.app.batches import Batch, with_callbacks

        around = None if within is None else within.id
        callbacks = self._callbacks(
            {"on_success": on_success, "on_failure": on_failure, "on_complete": on_complete}, store
        )
        return Batch(self._storing, new_batch(), store, with_callbacks(Flow(name=name, within=around), callbacks))

    def find_batch(self, id: str, *, store: str = "default") -> Batch:
        """Give a batch or workflow by its id: to add to it, look at it, cancel it; nothing is looked up yet."""
        from stoker.app.batches import Batch

        return Batch(self._storing, BatchId(id), store)

    def start(self, workflow: Workflow, /, *, transaction: object | None = None) -> Batch:
        """Store a workflow, and the jobs of the steps that wait for none; the store's workers see to the rest.

        Raises WorkflowError and EnqueueError for what cannot be stored, NotSupported where the store has no batches.
        """
        id, store, command, jobs = self._start(workflow)
        self._announce(jobs, self.store(store).run(command, on=transaction))
        return self.find_batch(id, store=store)

    async def astart(self, workflow: Workflow, /, *, transaction: object | None = None) -> Batch:
        """Do the same as `start` without blocking the event loop."""
        id, store, command, jobs = self._start(workflow)
        self._announce(jobs, await self.store(store).arun(command, on=transaction))
        return self.find_batch(id, store=store)

    def _start(self, workflow: Workflow) -> tuple[BatchId, str, Command[list[Enqueued]], list[NewJob]]:
        from stoker.app.batches import drafts_of, started

        drafts = drafts_of(workflow)
        name = drafts[0].store
        store = self._storing.store_of_batches(name)
        steps = self._storing.jobs_for(drafts, name)
        id, flow, jobs = started(workflow, steps, self._callbacks(workflow.callbacks, name))
        return id, name, store.open_batch(id, write(flow), jobs, new_call()), jobs

    def _callbacks(self, drafts: Mapping[str, Draft[Any] | None], store: str) -> dict[str, NewJob]:
        given = {key: draft for key, draft in drafts.items() if draft is not None}
        return dict(zip(given, self._storing.jobs_for(list(given.values()), store), strict=True))

    def _announce(self, jobs: Sequence[NewJob], answers: Sequence[Enqueued]) -> None:
        self.events.emit(JobsEnqueued(tuple(jobs), tuple(answer.id for answer in answers)))

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
        for entry in self.periodic_entries():
            entry.spec(self.defaults)

    def _backoff_of(self, name: str) -> Backoff:
        definition = self.performable.get(name)
        if definition is None:
            return sidekiq
        return definition.rules.backoff or self.store(definition.store).backoff

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
        from stoker.app.working import run_until_signal

        async with self.workers(Choice.of(options)) as workers:
            await run_until_signal(workers, until_empty=until_empty)

    @contextlib.asynccontextmanager
    async def working(self, **options: Unpack[WorkOptions]) -> AsyncIterator[None]:
        """Run a worker on this event loop for the length of a block, beside a web server for example.

        Leaving the block stops it in order: running jobs have their grace period. No signal is taken.
        """
        from stoker.app.working import run_beside

        if self._stage is not None:
            yield
            return
        async with self.lifespan() as state, run_beside(self.make_workers(Choice.of(options), state)):
            yield

    @contextlib.asynccontextmanager
    async def workers(self, choice: Choice) -> AsyncIterator[list[Worker]]:
        """Give this process's workers, not started, within the application's lifespan; ConfigurationError as `work`."""
        from stoker.app.working import refuse_useless_worker

        refuse_useless_worker(self.settings.mode, self.store())
        async with self.lifespan() as state:
            yield self.make_workers(choice, state)

    def make_workers(self, choice: Choice, state: object) -> list[Worker]:
        """Make one worker for each store that the chosen jobs wait in; they are not started."""
        from stoker.app.serving import servings

        self.check()
        return [self._make_worker(serving, state, choice) for serving in servings(self, choice)]

    def _make_worker(self, serving: Serving, state: object, choice: Choice) -> Worker:
        from stoker.runtime.worker import Worker

        store, jobs = serving.store, {job: self.performable[job] for job in serving.plan.names}
        return Worker(
            store,
            serving.name,
            jobs,
            serving.plan,
            store_named=serving.follow_up_in,
            clock=self.clock,
            events=self.events,
            defaults=self.defaults,
            state=state,
            middleware=self.middleware,
            children=self._child_plan() if any(job.apart for job in jobs.values()) else None,
            periodic=self.periodic_plan(store) if choice.periodic and not serving.retiring else None,
            rules=self._rules_of(None if serving.retiring else store),
        )

    def periodic_plan(self, store: Store) -> PeriodicPlan | None:
        """Give what a worker of this application sees to of the periodic jobs in a store."""
        from stoker.app.planned import plan_periodic

        entries = [entry for entry in self.periodic_entries() if self.store(entry.store) is store]
        return plan_periodic(store, self.application, entries, self.defaults, self.settings.scheduler.stale)

    def _child_plan(self) -> ChildPlan:
        from stoker.app.apart import child_plan

        return child_plan(self.settings, self._environment, self._arguments, self._home)

    def _rules_of(self, store: Store | None) -> tuple[Rule, ...]:
        """Give the limits and rates of all jobs that wait in a store (None: of all jobs), and of its queues."""
        from stoker.app.ruling import rules_of

        jobs = [job for job in self.definitions if store is None or self.store(job.store) is store]
        return rules_of(jobs, self.defaults)

    # -- life --------------------------------------------------------------------------------------------------------

    def lifespan(self) -> AbstractAsyncContextManager[Any]:
        """Give a fresh run of the application's lifespan, whose value handlers see as ``Context.state``."""
        return self._lifespan(self)

    def foreground(self) -> PerformsHere:
        """Give what performs jobs in the caller: the mode ``foreground``."""
        from stoker.app.foreground import Foreground

        if self._stage is not None:
            return self._stage.performer
        return Foreground(self.lifespan, clock=self.clock, events=self.events, middleware=self.middleware)

    @property
    def mode(self) -> Mode:
        """Where jobs run: as the settings say, or a stage."""
        return self.settings.mode if self._stage is None else self._stage.mode

    @contextlib.contextmanager
    def on_stage(self, stage: Stage) -> Iterator[None]:
        """Use the stores, the clock and the mode of a stage for the length of a block; the real ones are not touched.

        Workers that would run beside the application's own code (`working`) do not run meanwhile.
        """
        if self._stage is not None:
            raise ConfigurationError("this application is in a sandbox already: sandboxes cannot be nested")
        kept = (self._stores, self.clock)
        self._stores, self.clock, self._stage = {}, stage.clock, stage
        try:
            yield
        finally:
            self._stage = None
            self._stores, self.clock = kept

    def ensure_embedded(self) -> None:
        """Start the embedded worker of the mode ``async`` unless it runs."""
        from stoker.app.embedded import EmbeddedWorker

        grace = self.settings.workers.grace.total_seconds()
        with self._opening:
            if self._embedded is None:
                self._embedded = EmbeddedWorker(self._serve_embedded, grace)
            embedded = self._embedded
        embedded.ensure()

    async def _serve_embedded(self, started: Callable[[Worker], None]) -> None:
        from stoker.app.working import warn_of_lost_jobs

        async with self.lifespan() as state:
            (worker,) = self.make_workers(Choice(all_tags=True), state)
            started(worker)
            await worker.run()
            await warn_of_lost_jobs(worker.store)

    def close(self) -> None:
        """Stop the embedded worker, if there is one, after it has emptied its store, and close the stores."""
        if self._stage is not None:
            return  # what a test has enqueued is there as long as its stage is
        if self._embedded is not None:
            self._embedded.stop()
            self._embedded = None
        for store in self._stores.values():
            store.close()
        self._stores.clear()
        self.events.flush(HEAR_OUT)

    def __enter__(self) -> Self:
        if self.mode == "async":
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
