"""What operators do with periodic entries: list, run now, pause, resume, add, remove."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import Any

import msgspec

from stoker.core.capability import Capability
from stoker.core.duration import as_datetime
from stoker.core.job import CallId, JobId, new_call
from stoker.core.periodic import Entry, NewEntry
from stoker.errors import ConfigurationError
from stoker.schedule.planner import upcoming
from stoker.schedule.spec import Spec, read_spec
from stoker.stores.base import Store


class EntryStatus(msgspec.Struct, frozen=True):
    """One periodic entry at one moment; times in UTC."""

    application: str
    name: str
    when: str
    """As it was written."""
    tz: str
    job: str
    args: Any
    queue: str
    missed: str
    paused: bool
    declared: bool
    """By code or settings; else it was added at run time."""
    registered: bool
    """Whether a worker has registered it; else it is only in the code or the settings yet."""
    last_at: datetime | None
    """The latest tick that was decided."""
    next_at: datetime | None
    problem: str | None = None
    """Why it cannot be read, if it cannot."""


class Entries:
    """The periodic entries of an application in one store, or those of all applications."""

    def __init__(self, store: Store, application: str | None, declared: dict[str, Spec]) -> None:
        self._store = store
        self._application = application
        self._declared = declared
        """What the application's code and settings say, where it is loaded."""

    def all(self) -> list[EntryStatus]:
        """Give the entries by application and name, with those that no worker has registered yet."""
        known = self._store.run(self._store.entries(self._application))
        found = [_status(entry, known.now, registered=True) for entry in known.entries]
        stored = {entry.name for entry in known.entries if entry.application == self._application}
        for name, spec in self._declared.items():
            if name not in stored:
                found.append(_status(self._unregistered(name, spec, known.now), known.now, registered=False))
        return sorted(found, key=lambda one: (one.application, one.name))

    def run(self, name: str) -> JobId:
        """Enqueue the job of an entry now, whatever its time; its next tick is not moved."""
        entry = self._one(name)
        try:
            spec = read_spec(entry.spec)
        except ValueError as error:
            raise ConfigurationError(f"periodic {name}: {error}") from None
        now = self._store.run(self._store.entries(self._application)).now
        (enqueued,) = self._store.run(self._store.enqueue([spec.job_at(now)], new_call()))
        return enqueued.id

    def pause(self, names: Sequence[str]) -> int:
        """Let entries rest and count those that did not; what falls due meanwhile is not made up for."""
        return self._change(names, paused=True)

    def resume(self, names: Sequence[str]) -> int:
        """Let paused entries go on and count them."""
        return self._change(names, paused=False)

    def add(self, name: str, spec: Spec) -> None:
        """Add an entry, which stays until it is removed; ConfigurationError where there is one of that name."""
        if self._application is None:
            raise ConfigurationError(f"periodic {name}: whose is it? Name the application with --application")
        known = self._store.run(self._store.entries(self._application)).entries
        if name in self._declared or any(entry.name == name for entry in known):
            raise ConfigurationError(f"periodic {name}: there is an entry of this name; remove it first")
        self._register([spec.entry(name)], declared=False)

    def remove(self, names: Sequence[str]) -> int:
        """Remove entries and count them; what code or settings declare comes back when a worker starts."""
        return self._store.run(self._store.remove_entries([self._one(name) for name in names])).count

    def announced(self, names: Sequence[str]) -> list[str]:
        """Give those of some names that living workers declare."""
        if not self._store.supports(Capability.PRESENCE):
            return []
        workers = self._store.run(self._store.workers())
        said = {name for one in workers if one.application == self._application for name in one.periodic}
        return [name for name in names if name in said or name in self._declared]

    def _change(self, names: Sequence[str], *, paused: bool) -> int:
        entries = [self._one(name, register=True) for name in dict.fromkeys(names)]
        return sum(
            self._store.run(self._store.pause_entries(entry.application, [entry.name], paused)).count
            for entry in entries
        )

    def _one(self, name: str, *, register: bool = False) -> Entry:
        known = self._store.run(self._store.entries(self._application))
        found = [entry for entry in known.entries if entry.name == name]
        if len(found) > 1:
            owners = ", ".join(entry.application for entry in found)
            raise ConfigurationError(f"periodic {name}: several applications have it ({owners}); say --application")
        if found:
            return found[0]
        if name not in self._declared:
            names = sorted({entry.name for entry in known.entries} | self._declared.keys())
            near = get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names) or 'none'}"
            raise ConfigurationError(f"no periodic entry {name!r}; {hint}")
        if register:
            self._register([self._declared[name].entry(name)], declared=True)
            return self._one(name)
        return self._unregistered(name, self._declared[name], known.now)

    def _register(self, entries: Sequence[NewEntry], *, declared: bool) -> None:
        call: CallId = new_call()
        self._store.run(self._store.register(self._application or "", entries, declared, call))

    def _unregistered(self, name: str, spec: Spec, now: int) -> Entry:
        said = spec.entry(name)
        return Entry(self._application or "", name, said.rhythm, said.spec, 1, True, now, now, "")


def _status(entry: Entry, now: int, *, registered: bool) -> EntryStatus:
    last = as_datetime(entry.last) if entry.last != entry.anchor else None
    fixed: dict[str, Any] = {
        "application": entry.application,
        "name": entry.name,
        "paused": entry.paused_at is not None,
        "declared": entry.declared,
        "registered": registered,
        "last_at": last,
    }
    try:
        spec = read_spec(entry.spec)
    except ValueError as error:
        return EntryStatus(
            **fixed, when="", tz="", job="", args=None, queue="", missed="", next_at=None, problem=str(error)
        )
    job = spec.job_at(now)
    following = upcoming(entry, spec, now, 1) if entry.paused_at is None else []
    return EntryStatus(
        **fixed,
        when=spec.said,
        tz=spec.rhythm.tz,
        job=job.name,
        args=json.loads(job.args),
        queue=job.queue,
        missed=spec.missed,
        next_at=as_datetime(following[0]) if following else None,
    )
