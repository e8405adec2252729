"""The rules behind limits and rates, as stores are told them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from stoker.core.capability import Capability
from stoker.core.command import Command
from stoker.core.job import NewJob
from stoker.core.limits import Rule
from stoker.errors import NotSupported
from stoker.jobs.defined import DefinedJob
from stoker.jobs.draft import Draft
from stoker.jobs.options import Defaults
from stoker.stores.base import Store


def rules_of(definitions: Iterable[DefinedJob[Any]], defaults: Defaults) -> tuple[Rule, ...]:
    """Give the rules of some jobs, and of all queues."""
    rules = [bound.rule(job.name) for job in definitions for bound in job.rules.bounds]
    rules += [rule for queue in defaults.limits.values() for rule in queue]
    return tuple({rule.name: rule for rule in rules}.values())


class Ruling:
    """Remembers which rules this process has told its stores: no job must come before what limits it."""

    def __init__(self) -> None:
        self._told: WeakKeyDictionary[Store, set[str]] = WeakKeyDictionary()

    def telling(
        self, store: Store, jobs: Sequence[NewJob], drafts: Sequence[Draft[Any]], defaults: Defaults
    ) -> Command[None] | None:
        """Give what a store is to be told before it gets these jobs; None where it was, or where nothing limits them.

        Raises NotSupported where the store keeps no limits. What workers have said already stands.
        """
        needed = {gate.rule for job in jobs if job.gates for gate in job.gates}
        if not needed or not (missing := needed - self._told.get(store, set())):
            return None
        if not store.supports(Capability.LIMITS):
            name = next(job.name for job in jobs if job.gates)
            raise NotSupported(
                f"{name} has a limit or a rate, and {store.url} keeps none: it lacks LIMITS; leave them out, or use "
                "a store that has the flag",
                store=store.url,
                verb="enqueue",
            )
        definitions = {draft.name: draft.definition for draft in drafts}.values()
        self._told.setdefault(store, set()).update(missing)
        return store.define([rule for rule in rules_of(definitions, defaults) if rule.name in missing], replace=False)

    def forget(self, store: Store) -> None:
        """Take note that a store could not be told."""
        self._told.pop(store, None)
