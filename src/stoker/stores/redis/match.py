"""Filters: what the scripts test of a job's record, and what is tested here because texts must be read for it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from stoker.core.filters import Filter
from stoker.core.job import JobId, StoredJob
from stoker.core.routes import tags_of
from stoker.stores.redis.commands import Arg
from stoker.stores.redis.wire import CODES

_ABSENT: Final = object()
_LARGEST_ID: Final = 14
"""Digits of the largest id: Lua's numbers are exact up to there."""


def usable(ids: Iterable[JobId]) -> list[str]:
    """Give the ids that may be of this store, each once."""
    return list(dict.fromkeys(id for id in ids if id.isascii() and id.isdecimal() and len(id) <= _LARGEST_ID))


def filter_args(only: Filter) -> list[Arg]:
    """Give what `filter.lua` takes; an id that cannot be one matches nothing."""
    ids = usable(only.ids) or (["0"] if only.ids else [])
    bounds = (
        *(only.enqueued_since, only.enqueued_before, only.failed_since, only.failed_before),
        *(only.finished_since, only.finished_before),
    )
    args: list[Arg] = []
    for values in (
        ids,
        only.names,
        only.queues,
        [str(CODES[state]) for state in only.states],
        only.batches,
        ["" if bound is None else bound for bound in bounds],
    ):
        args += [len(values), *values]
    return args


def needs_reading(only: Filter) -> bool:
    """Tell whether the scripts alone cannot answer: arguments, labels and errors are texts that Lua does not read."""
    return bool(only.args or only.labels or only.tags) or only.error is not None


def matches(only: Filter, job: StoredJob) -> bool:
    """Test what the scripts do not."""
    if only.tags and set(only.tags).isdisjoint(tags_of(job.route)):
        return False
    if only.labels and set(only.labels).isdisjoint(job.labels):
        return False
    if only.error is not None:
        last = job.errors[-1] if job.errors else None
        if last is None or (only.error not in last.type and only.error not in last.message):
            return False
    return not only.args or _args_are(only.args, job.args)


def _args_are(wanted: tuple[tuple[str, str], ...], text: str) -> bool:
    paths: dict[str, set[str]] = {}
    for path, value in wanted:
        paths.setdefault(path, set()).add(_canonical(_read(value)))
    args = _read(text)
    return all(_canonical(_at(args, path.split("."))) in texts for path, texts in paths.items())


def _at(value: object, path: list[str]) -> object:
    for step in path:
        match value:
            case dict() if step in value:
                value = value[step]
            case list() if step.isdecimal() and int(step) < len(value):
                value = value[int(step)]
            case _:
                return _ABSENT
    return value


def _read(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _ABSENT


def _canonical(value: object) -> str:
    # As text, because 1, 1.0 and True are equal in Python but not in JSON.
    return "absent" if value is _ABSENT else json.dumps(value, sort_keys=True)
