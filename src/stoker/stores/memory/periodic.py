"""Periodic entries: registered, ticked, paused, removed."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from stoker.core.job import CallId, Changed, NewJob
from stoker.core.periodic import Entries, Entry, NewEntry, Tick
from stoker.stores.memory import intake
from stoker.stores.memory.contents import Contents


def register(contents: Contents, application: str, said: Sequence[NewEntry], declared: bool, call: CallId) -> Entries:
    """Keep entries as they are said to be from now on."""
    now = contents.now
    for new in said:
        key = application, new.name
        known = contents.entries.get(key) or Entry(
            application, new.name, new.rhythm, new.spec, 1, declared, now, now, call
        )
        if known.rhythm != new.rhythm:
            known = replace(known, rhythm=new.rhythm, last=max(known.last, now))
        if known.spec != new.spec:
            known = replace(known, spec=new.spec, version=known.version + 1)
        contents.entries[key] = replace(known, declared=declared, registration=call)
    return entries(contents, application)


def tick(contents: Contents, step: Tick, jobs: Sequence[NewJob], call: CallId) -> bool:
    """Move an entry on, if it stands where the step begins, and enqueue the jobs."""
    key = step.application, step.name
    entry = contents.entries.get(key)
    if entry is None:
        return False
    if contents.ticked.get(key) == call:
        return True
    if (entry.last, entry.version, entry.paused_at) != (step.previous, step.version, None):
        return False
    if jobs:
        intake.enqueue(contents, jobs, call)
    contents.entries[key] = replace(entry, last=step.following)
    contents.ticked[key] = call
    return True


def pause(contents: Contents, application: str, names: Sequence[str], paused: bool) -> Changed:
    """Pause or resume entries; what is as wished already, or not there, is not counted."""
    changed = 0
    for name in dict.fromkeys(names):
        entry = contents.entries.get((application, name))
        if entry is None or (entry.paused_at is not None) is paused:
            continue
        changed += 1
        if paused:
            entry = replace(entry, paused_at=contents.now)
        else:
            entry = replace(entry, paused_at=None, last=max(entry.last, contents.now))
        contents.entries[application, name] = entry
    return Changed(changed)


def remove(contents: Contents, seen: Sequence[Entry]) -> Changed:
    """Remove entries that are still registered as they were when they were read."""
    changed = 0
    for entry in seen:
        key = entry.application, entry.name
        known = contents.entries.get(key)
        if known is not None and known.registration == entry.registration:
            changed += 1
            del contents.entries[key]
            contents.ticked.pop(key, None)
    return Changed(changed)


def entries(contents: Contents, application: str | None) -> Entries:
    """Give the entries of an application, or of all."""
    found = (entry for key, entry in sorted(contents.entries.items()) if application in (None, key[0]))
    return Entries(tuple(found), contents.now)
