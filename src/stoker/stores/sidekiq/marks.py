"""Where looks through the store ended, so that the next one goes on there: in this process, and only as hints."""

from __future__ import annotations

from typing import NamedTuple

from stoker.core.filters import Filter
from stoker.core.job import JobId
from stoker.stores.sidekiq.records import Seen


class Reached(NamedTuple):
    """How far a verb has come."""

    key: str
    first: int


class Marks:
    """What is remembered: a page's end, which stays a place though its job be gone, and where a batch had more."""

    _MOST = 256

    def __init__(self) -> None:
        self._moments: dict[str, int] = {}
        self._reached: dict[tuple[str, Filter], Reached] = {}

    def note(self, last: Seen) -> None:
        """Remember the last job of a page."""
        self._moments.pop(last.id, None)
        self._moments[last.id] = last.moment
        if len(self._moments) > self._MOST:
            del self._moments[next(iter(self._moments))]

    def reach(self, verb: str, only: Filter, reached: Reached) -> None:
        """Remember how far a verb has come that has more to do."""
        self._reached[verb, only] = reached
        if len(self._reached) > self._MOST:
            del self._reached[next(iter(self._reached))]

    def reached(self, verb: str, only: Filter) -> Reached | None:
        """Give that once."""
        return self._reached.pop((verb, only), None)

    def moment(self, id: JobId) -> int | None:
        """Give the time by which a job is listed, if it is known without looking."""
        return self._moments.get(id)
