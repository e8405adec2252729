"""Filters as tests of jobs, for stores that look at one job after the other."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Protocol, TypeAlias

from stoker.core.filters import Filter
from stoker.core.job import AttemptFailure, NewJob, State, StoredJob
from stoker.core.routes import tags_of


class Seen(Protocol):
    """As much of a job as a filter looks at."""

    @property
    def job(self) -> NewJob | StoredJob:
        """What was enqueued."""

    @property
    def state(self) -> State:
        """Where it stands."""

    @property
    def errors(self) -> tuple[AttemptFailure, ...]:
        """Its failures, oldest first."""

    @property
    def enqueued_at(self) -> int:
        """The instant it came."""

    @property
    def finished_at(self) -> int | None:
        """The instant it ended, if it has."""


Test: TypeAlias = Callable[[Seen], bool]
_ABSENT = object()


class _Record:
    __slots__ = ("enqueued_at", "errors", "finished_at", "job", "state")

    def __init__(self, job: StoredJob) -> None:
        self.job = job
        self.state = job.state
        self.errors = job.errors
        self.enqueued_at = job.enqueued_at
        self.finished_at = job.finished_at


def matches(only: Filter, job: StoredJob) -> bool:
    """Tell whether a filter asks for a stored job."""
    if only.ids and job.id not in only.ids:
        return False
    seen = _Record(job)
    return all(test(seen) for test in tests_of(only))


def tests_of(only: Filter) -> list[Test]:
    """Give one test for each field that restricts, except ids."""
    tests: list[Test] = []
    if only.queues:
        tests.append(lambda row: row.job.queue in only.queues)
    if only.names:
        tests.append(lambda row: row.job.name in only.names)
    if only.states:
        tests.append(lambda row: row.state in only.states)
    if only.tags:
        tests.append(lambda row: not set(only.tags).isdisjoint(tags_of(row.job.route)))
    if only.batches:
        tests.append(lambda row: getattr(row.job, "batch", None) in only.batches)
    if only.labels:
        tests.append(lambda row: not set(only.labels).isdisjoint(row.job.labels))
    if only.error is not None:
        tests.append(_error_contains(only.error))
    tests += _between(lambda row: row.enqueued_at, only.enqueued_since, only.enqueued_before)
    tests += _between(_failed_at, only.failed_since, only.failed_before)
    tests += _between(lambda row: row.finished_at, only.finished_since, only.finished_before)
    if only.args:
        tests.append(_args_are(only.args))
    return tests


def _error_contains(text: str) -> Test:
    return lambda row: bool(row.errors) and (text in row.errors[-1].type or text in row.errors[-1].message)


def _failed_at(row: Seen) -> int | None:
    return row.errors[-1].at if row.errors else None


def _between(instant: Callable[[Seen], int | None], since: int | None, before: int | None) -> list[Test]:
    def fits(row: Seen) -> bool:
        at = instant(row)
        return at is not None and (since is None or at >= since) and (before is None or at < before)

    return [] if since is None and before is None else [fits]


def _args_are(wanted: tuple[tuple[str, str], ...]) -> Test:
    paths: dict[str, set[str]] = {}
    for path, text in wanted:
        paths.setdefault(path, set()).add(_canonical(_read(text)))

    def fits(row: Seen) -> bool:
        args = _read(row.job.args)
        return all(_canonical(_at(args, path.split("."))) in texts for path, texts in paths.items())

    return fits


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
    except ValueError:
        return _ABSENT


def _canonical(value: object) -> str:
    # As text, because 1, 1.0 and True are equal in Python but not in JSON.
    return "absent" if value is _ABSENT else json.dumps(value, sort_keys=True)
