"""Faults on request: stores that do not answer, attempts that fail, workers that die."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from stoker.errors import StoreUnavailable
from stoker.jobs.context import Context
from stoker.jobs.defined import DefinedJob
from stoker.jobs.middleware import CallNext, Middleware
from stoker.stores.base import Store


@dataclass
class Fault:
    """Something that shall go wrong so many times."""

    left: int


F = TypeVar("F", bound=Fault)


@dataclass
class VerbFault(Fault):
    """A verb that shall not be answered."""

    verb: str
    uncertain: bool

    def error(self, store: str) -> StoreUnavailable:
        """Give what the store raises."""
        what = "the answer was lost" if self.uncertain else "no connection"
        text = f"{store}: {self.verb}: {what} (a fault that the test asked for)"
        return StoreUnavailable(text, store=store, verb=self.verb, uncertain=self.uncertain)


@dataclass
class AttemptFault(Fault):
    """Attempts that shall fail with an error; without one, whose worker shall die."""

    name: str | None
    error: BaseException | None = None


class Faults(Middleware):
    """What a test wants to go wrong; around each attempt it is the innermost middleware."""

    def __init__(self) -> None:
        self._verbs: list[VerbFault] = []
        self._failing: list[AttemptFault] = []
        self._crashing: list[AttemptFault] = []

    @contextmanager
    def unavailable(self, verb: str = "enqueue", *, times: int = 1, uncertain: bool = False) -> Iterator[None]:
        """Let the store not answer a verb so many times; with ``uncertain`` it acts first and its answer gets lost."""
        if verb not in vars(Store):
            raise ValueError(f"faults: {verb!r} is no verb of a store: write enqueue, claim, settle, find, count, …")
        with _arranged(self._verbs, VerbFault(times, verb, uncertain)):
            yield

    @contextmanager
    def failing(self, job: DefinedJob[Any] | None, error: BaseException, *, times: int = 1) -> Iterator[None]:
        """Let so many attempts of a job (None: of any) raise an error where the handler would have been called."""
        with _arranged(self._failing, AttemptFault(times, _name_of(job), error)):
            yield

    @contextmanager
    def crashing(self, job: DefinedJob[Any] | None = None, *, times: int = 1) -> Iterator[None]:
        """Let the worker die after so many attempts of a job (None: of any) did their work, before they are settled."""
        with _arranged(self._crashing, AttemptFault(times, _name_of(job))):
            yield

    def of_verb(self, verb: str) -> VerbFault | None:
        """Take one fault of a verb, if there is one."""
        return _taken([fault for fault in self._verbs if fault.verb == verb])

    def crashes(self, name: str) -> bool:
        """Take one crash of a job's attempt, if there is one."""
        return _taken([fault for fault in self._crashing if fault.name in (None, name)]) is not None

    async def perform(self, context: Context[Any], call_next: CallNext) -> object:
        """Fail the attempt if that was asked for."""
        fault = _taken([fault for fault in self._failing if fault.name in (None, context.name)])
        if fault is not None and fault.error is not None:
            raise fault.error
        return await call_next()


def _name_of(job: object) -> str | None:
    if job is None or isinstance(job, DefinedJob):
        return None if job is None else job.name
    raise TypeError(f"faults: {job!r} is no job: write one that @app.job made, or None for any")


@contextmanager
def _arranged(faults: list[F], fault: F) -> Iterator[None]:
    faults.append(fault)
    try:
        yield
    finally:
        faults.remove(fault)


def _taken(faults: list[F]) -> F | None:
    fault = next((one for one in faults if one.left > 0), None)
    if fault is not None:
        fault.left -= 1
    return fault
