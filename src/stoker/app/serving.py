"""Which stores a worker process performs from, and what it serves in each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import msgspec

from stoker.app.choice import Choice
from stoker.app.plans import plan_worker
from stoker.core.capability import Capability
from stoker.jobs.definition import JobDefinition
from stoker.runtime.plan import WorkerPlan
from stoker.settings import Settings
from stoker.stores.base import Store


class Serving(NamedTuple):
    """One store and what a worker serves there."""

    name: str
    store: Store
    plan: WorkerPlan
    retiring: bool
    follow_up_in: Callable[[str], Store]
    """Gives the store of a name, as it is meant by what follows from a job of this one."""


class Application(Protocol):
    """What has to be known of an application."""

    @property
    def settings(self) -> Settings:
        """Its settings."""

    @property
    def performable(self) -> Mapping[str, JobDefinition[..., Any]]:
        """Its jobs, by name and alias."""

    def store(self, name: str = "default") -> Store:
        """Give a store by name."""


def servings(app: Application, choice: Choice) -> Iterator[Serving]:
    """Give the stores that the chosen jobs wait in, and those that are retiring, where any of them may still wait."""
    jobs, settings = app.performable, app.settings
    names = plan_worker(jobs, settings, choice).names
    # By the store itself: outside the mode `queue` all names mean the one in memory.
    homes: dict[Store, tuple[str, list[str]]] = {}
    for name in names:
        home = jobs[name].store
        homes.setdefault(app.store(home), (home, []))[1].append(name)
    for store, (home, own) in homes.items():
        yield Serving(home, store, _plan(app, home, store, own, choice), False, app.store)
    for home in settings.retiring if settings.mode == "queue" else ():
        if (store := app.store(home)) not in homes:
            yield Serving(home, store, _plan(app, home, store, names, choice), True, _within(app, store))


def _plan(app: Application, home: str, store: Store, names: list[str] | tuple[str, ...], choice: Choice) -> WorkerPlan:
    selective = store.supports(Capability.SELECTIVE)
    plan = plan_worker(app.performable, app.settings.of_store(home), choice, selective=selective)
    return msgspec.structs.replace(plan, names=tuple(names))


def _within(app: Application, store: Store) -> Callable[[str], Store]:
    """What follows from a job of a retiring store is stored with its ending, in one unit, so in that store."""
    return lambda name: store if name == "default" else app.store(name)
