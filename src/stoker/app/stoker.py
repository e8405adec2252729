"""`Stoker`: registry, settings, stores and workers of one application put together."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from stoker import settings as settings_module
from stoker.app.embedded import EmbeddedWorker
from stoker.app.enqueuing import Enqueuing
from stoker.app.operations import Operations
from stoker.app.plans import Choice, plan_worker
from stoker.core.backoff import Backoff, sidekiq
from stoker.core.clock import Clock
from stoker.drivers.system_clock import SystemClock
from stoker.errors import ConfigurationError
from stoker.jobs.definition import JobDefinition
from stoker.jobs.middleware import Middleware
from stoker.jobs.options import Defaults
from stoker.jobs.registry import JobRegistry
from stoker.runtime.process import run, stop_on_signals
from stoker.runtime.worker import Worker
from stoker.settings import Settings
from stoker.stores.base import Store
from stoker.stores.urls import open_store
from stoker.telemetry.events import Events
from stoker.telemetry.logs import LogLines

S = TypeVar("S")
Lifespan = Callable[["Stoker[Any]"], AbstractAsyncContextManager[Any]]


@contextlib.asynccontextmanager
async def _no_state(app: Stoker[Any]) -> AsyncIterator[None]:
    yield None


class Stoker(Enqueuing, JobRegistry[S], Generic[S]):
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
        super().__init__()
        self.name = name
        self.events = Events()
        self.clock: Clock = clock or SystemClock()
        self._given = _given(url, settings, stores, retiring)
        self._imports = tuple(imports)
        self._lifespan: Lifespan = lifespan or _no_state
        self._middleware = tuple(middleware)
        self._home = Path(sys.argv[0]).resolve().parent if sys.argv and sys.argv[0] else Path.cwd()
        self._environment: str | None = None
        self._arguments: Mapping[str, object] = {}
        self._settings: Settings | None = None
        self._stores: dict[str, Store] = {}
        self._embedded: EmbeddedWorker | None = None
        self.events.listen(LogLines(self._backoff_of, self.clock.now))

    # -- settings and stores -----------------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """The settings, read when first asked for; ConfigurationError says what is wrong where."""
        if self._settings is None:
            self._settings = settings_module.load(
                environment=self._environment,
                root=settings_module.find_root(self._home),
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
        self._settings = None

    @property
    def defaults(self) -> Defaults:
        """What the settings say where a job says nothing."""
        return self._cached_defaults(self.settings)

    def store(self, name: str = "default") -> Store:
        """Give a store by name, opened when first needed; ConfigurationError for a name that is not configured."""
        found = self._stores.get(name)
        return found if found is not None else self._open(name)

    def operations(self, store: str = "default") -> Operations:
        """Give the operator's verbs on a store: list, cancel, retry, replay, delete, pause, status."""
        return Operations(self.store(store), store, self.clock.now)

    def _open(self, name: str) -> Store:
        settings = self.settings
        urls = {"default": "memory://"} if settings.mode != "queue" else settings.store_urls()
        if name not in urls:
            if settings.mode != "queue":
                name = "default"
            else:
                raise ConfigurationError(f"no store named {name!r}; configured are: {', '.join(sorted(urls))}")
        auto = settings.environment != "production"
        store = self._stores.get(name) or open_store(urls[name], root=settings.root, clock=self.clock, auto_migrate=auto)
        self._stores[name] = store
        return store

    # -- jobs --------------------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Import the modules that define jobs; an import error is the module's own."""
        for module in (*self._imports, *self.settings.imports):
            importlib.import_module(module)

    def check(self) -> None:
        """Import every job and resolve every hint now; DefinitionError and ConfigurationError say what is wrong."""
        self.load()
        for definition in self.definitions:
            definition.check()
        for definition in self.definitions:
            self.store(definition.store or "default")

    def _backoff_of(self, name: str) -> Backoff:
        definition = self._performable().get(name)
        return sidekiq if definition is None else definition.policy.backoff

    def _performable(self) -> dict[str, JobDefinition[..., Any]]:
        """Map every name and alias that has a handler here to its definition."""
        return {
            name: definition
            for definition in self.definitions
            if not definition.is_remote
            for name in (definition.name, *definition.aliases)
        }

    # -- workers -----------------------------------------------------------------------------------------------------

    def work(self, *, until_empty: bool = False, choice: Choice | None = None) -> None:
        """Run a worker in this process until SIGTERM or SIGINT, or ``until_empty``.

        Ends when nothing that this worker could perform is available, running or due. ConfigurationError when there
        is nothing to work on, or the mode is not ``queue``.
        """
        run(self.awork(until_empty=until_empty, choice=choice))

    async def awork(self, *, until_empty: bool = False, choice: Choice | None = None) -> None:
        """Do the same on the running event loop."""
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
        async with self._lifespan(self) as state, contextlib.AsyncExitStack() as stack:
            workers = self.make_workers(choice or Choice(), state)
            await stack.enter_async_context(stop_on_signals(lambda: [worker.stop() for worker in workers]))
            await asyncio.gather(*(worker.run(until_empty=until_empty) for worker in workers))

    def make_workers(self, choice: Choice, state: object) -> list[Worker]:
        """Make one worker for each store that jobs of this application wait in; they are not started."""
        self.check()
        performable = self._performable()
        plan_worker(performable, self.settings, choice)
        by_store: dict[int, tuple[Store, dict[str, JobDefinition[..., Any]]]] = {}
        for name, definition in performable.items():
            store = self.store(definition.store or "default")
            by_store.setdefault(id(store), (store, {}))[1][name] = definition
        return [
            self._make_worker(store, definitions, choice, state, list(by_store).index(key) == 0)
            for key, (store, definitions) in by_store.items()
        ]

    def _make_worker(
        self,
        store: Store,
        definitions: dict[str, JobDefinition[..., Any]],
        choice: Choice,
        state: object,
        first: bool,
    ) -> Worker:
        return Worker(
            store,
            definitions,
            plan_worker(definitions, self.settings, choice),
            clock=self.clock,
            events=self.events,
            defaults=self.defaults,
            state=state,
            middleware=self._middleware,
        )

    # -- life --------------------------------------------------------------------------------------------------------

    async def _serve_embedded(self, started: Callable[[Worker], None]) -> None:
        async with self._lifespan(self) as state:
            (worker,) = self.make_workers(Choice(), state)
            started(worker)
            await worker.run()

    def _embed(self) -> EmbeddedWorker:
        if self._embedded is None:
            self._embedded = EmbeddedWorker(self._serve_embedded, self.settings.workers.grace.total_seconds())
        return self._embedded

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
            self._embed().ensure()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)

    def _iterate(self) -> Iterator[Store]:
        yield from self._stores.values()


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
