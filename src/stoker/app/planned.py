"""Periodic entries as settings declare them (``periodic``, Loco's ``scheduler.jobs``), and what a worker declares."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Final, TypeAlias, cast

from stoker.app.periodic import Declared, PeriodicOptions, declared
from stoker.core.capability import Capability
from stoker.errors import ConfigurationError, DefinitionError, EnqueueError, UnknownJob
from stoker.jobs.definition import JobDefinition
from stoker.jobs.options import Defaults, EnqueueOptions
from stoker.runtime.plan import PeriodicPlan
from stoker.stores.base import Store

Find: TypeAlias = Callable[[str], JobDefinition[..., Any]]
_OPTIONS: Final = frozenset(PeriodicOptions.__annotations__)
_TIMES: Final = frozenset({"delay", "at", "transaction"})
_LOCO: Final = frozenset({"run", "schedule", "cron", "shell", "run_on_start", "output", "tags"})


def from_code(entries: Sequence[Declared], find: Find) -> Sequence[Declared]:
    """Give the entries that code declared; ConfigurationError for one whose job another application defines."""
    for entry in entries:
        try:
            find(entry.job.name)
        except UnknownJob:
            raise ConfigurationError(
                f"periodic {entry.name}: this application has no job {entry.job.name!r}; "
                "declare the entry at the application that defines it, or the job here with app.remote"
            ) from None
    return entries


def from_settings(periodic: Mapping[str, object], scheduler: Mapping[str, object], find: Find) -> list[Declared]:
    """Give the entries of both sections; ConfigurationError names the key that is wrong."""
    ours = [_entry(f"periodic.{name}", name, said, find) for name, said in periodic.items()]
    loco = [_loco_entry(f"scheduler.jobs.{name}", name, said, find) for name, said in scheduler.items()]
    if twice := {entry.name for entry in ours} & {entry.name for entry in loco}:
        raise ConfigurationError(f"{min(twice)!r} stands in periodic and in scheduler.jobs: keep one")
    return ours + loco


def plan_periodic(
    store: Store, application: str, entries: Sequence[Declared], defaults: Defaults, stale: str
) -> PeriodicPlan | None:
    """Say what a worker of a store declares; ConfigurationError where the store keeps no periodic entries."""
    if store.supports(Capability.TICK):
        said = tuple(entry.spec(defaults).entry(entry.name) for entry in entries)
        return PeriodicPlan(application, said, removes_stale=stale == "auto")
    if entries:
        raise ConfigurationError(
            f"periodic {entries[0].name}: {store.url} keeps no periodic entries (it lacks TICK); "
            "give its job another store, or this worker --no-periodic"
        )
    return None


def _entry(key: str, name: str, said: object, find: Find) -> Declared:
    if not isinstance(said, Mapping):
        raise ConfigurationError(f'{key}: must be a mapping with cron or every, e.g. {{cron: "0 3 * * *", job: tidy}}')
    rest = dict(said)
    when, every, args = rest.pop("cron", None), rest.pop("every", None), rest.pop("args", {})
    job = rest.pop("job", name)
    options = {option: _option(f"{key}.{option}", option, rest.pop(option)) for option in _OPTIONS & rest.keys()}
    _check_using(key, rest)
    return _declared(key, name, job, (when, every), args, rest, options, find)


def _check_using(key: str, using: Mapping[str, object]) -> None:
    if timed := _TIMES & using.keys():
        raise ConfigurationError(f"{key}: {min(timed)} has no meaning for a periodic job")
    if unknown := using.keys() - EnqueueOptions.__annotations__.keys():
        known = ["cron", "every", "job", "args", *sorted(_OPTIONS | EnqueueOptions.__annotations__.keys() - _TIMES)]
        near = get_close_matches(min(unknown), known, n=1)
        advice = f"did you mean {near[0]!r}? " if near else ""
        raise ConfigurationError(f"{key}: unknown key {min(unknown)!r}; {advice}There are: {', '.join(known)}")


def _loco_entry(key: str, name: str, said: object, find: Find) -> Declared:
    if not isinstance(said, Mapping):
        raise ConfigurationError(f"{key}: must be a mapping with run and schedule")
    if unknown := said.keys() - _LOCO:
        raise ConfigurationError(f"{key}: unknown key {min(unknown)!r}; there are {', '.join(sorted(_LOCO))}")
    if said.get("shell", False):
        raise ConfigurationError(f"{key}: shell commands are not run; put the command into a job and name it in run")
    job, *words = str(said.get("run", name)).split()
    args: dict[str, object] = {}
    for word in words:
        argument, colon, value = word.partition(":")
        if not colon:
            raise ConfigurationError(f"{key}: {word!r} in run is no argument; write NAME:VALUE")
        args[argument] = value
    when = said.get("schedule", said.get("cron"))
    options = {"run_on_start": bool(said.get("run_on_start", False))}
    labels = said.get("tags")
    return _declared(key, name, job, (when, None), args, {} if labels is None else {"labels": labels}, options, find)


def _declared(
    key: str,
    name: str,
    job_name: object,
    when: tuple[Any, Any],
    args: object,
    using: Mapping[str, Any],
    options: Mapping[str, object],
    find: Find,
) -> Declared:
    if not isinstance(when[0], str | None):
        raise ConfigurationError(f'{key}.cron: {when[0]!r} is not a text; write it in quotes: "0 3 * * *"')
    if not isinstance(args, Mapping | list):
        raise ConfigurationError(f"{key}.args: write a mapping by name, or a list by position")
    try:
        job = find(str(job_name)).using(**using)
        # As JSON, where YAML's own dates are text, as they are for whoever enqueues from elsewhere.
        text = json.dumps(args, ensure_ascii=False, separators=(",", ":"), default=str)
        entry = declared(name, job, lambda: job.draft_of(text), *when, cast("PeriodicOptions", options))
    except (DefinitionError, EnqueueError) as error:
        raise ConfigurationError(f"{key}: {error}") from None
    return entry


def _option(key: str, option: str, value: object) -> object:
    if option not in ("start", "end"):
        return value
    if isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        raise ConfigurationError(f"{key}: {value!r} is no time; write e.g. 2027-01-31T12:00:00Z") from None
