"""Periodic entries: registered, ticked, paused, removed.

An entry is a field of one hash, ``APPLICATION NUL NAME``: its numbers and calls in one line, its rhythm in
another, and its specification.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from stoker.core.job import CallId, NewJob
from stoker.core.periodic import Entries, Entry, NewEntry, Tick
from stoker.stores.redis.commands import Arg
from stoker.stores.redis.intake import unique_args


def register_args(application: str, entries: Sequence[NewEntry], declared: bool, call: CallId) -> list[Arg]:
    """Give what `register.lua` takes."""
    args: list[Arg] = [call, int(declared)]
    for entry in entries:
        args += [_field(application, entry.name), entry.rhythm, entry.spec]
    return args


def entries(application: str | None) -> Callable[[Any], Entries]:
    """Give the reader of `entries.lua`, which tells all entries and then the clock."""

    def read(reply: list[bytes]) -> Entries:
        *items, now = reply
        found = [_entry(_text(field), _text(value)) for field, value in zip(items[::2], items[1::2], strict=True)]
        chosen = (entry for entry in found if application in (None, entry.application))
        return Entries(tuple(sorted(chosen, key=lambda entry: (entry.application, entry.name))), int(now))

    return read


def tick_args(step: Tick, jobs: Sequence[NewJob], call: CallId) -> list[Arg]:
    """Give what `tick.lua` takes: what `unique.lua` does, and then the step."""
    field = _field(step.application, step.name)
    return [*unique_args(jobs, call), field, step.version, step.previous, step.following, call, len(jobs)]


def pause_args(application: str, names: Sequence[str], *, paused: bool) -> list[Arg]:
    """Give what `pause_entries.lua` takes."""
    return [int(paused), *[_field(application, name) for name in names]]


def remove_args(entries: Sequence[Entry]) -> list[Arg]:
    """Give what `remove_entries.lua` takes."""
    args: list[Arg] = []
    for entry in entries:
        args += [_field(entry.application, entry.name), entry.registration]
    return args


def _field(application: str, name: str) -> str:
    return f"{application}\0{name}"


def _entry(field: str, value: str) -> Entry:
    application, _, name = field.partition("\0")
    try:
        line, rhythm, spec = value.split("\n", 2)
        version, declared, anchor, last, paused_at, registration, _ = line.split(" ")
        paused = None if paused_at == "-" else int(paused_at)
        known = declared == "1", int(anchor), int(last), registration, paused
        return Entry(application, name, rhythm, spec, int(version), *known)
    except ValueError:
        # What nobody wrote on purpose is shown, and no planner can read it.
        return Entry(application, name, "", value, 0, False, 0, 0, "")


def _text(value: bytes) -> str:
    return value.decode(errors="backslashreplace")
