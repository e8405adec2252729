"""The filter that every verb on many jobs takes: fields are ANDed, values within a field ORed."""

from __future__ import annotations

import msgspec

from stoker.core.job import JobId, State


class Filter(msgspec.Struct, frozen=True):
    """Plain fields; an empty field does not restrict. Instants are microseconds, ``since`` included, ``before`` not."""

    ids: tuple[JobId, ...] = ()
    names: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    states: tuple[State, ...] = ()
    tags: tuple[str, ...] = ()
    """Jobs that have one of these tags."""
    labels: tuple[str, ...] = ()
    """Jobs that carry one of these labels."""
    batches: tuple[str, ...] = ()
    """Members of one of these batches and workflows."""
    args: tuple[tuple[str, str], ...] = ()
    """(dotted path into the arguments, JSON text of the value there), e.g. ``("user.id", "42")``."""
    error: str | None = None
    """Text in type or message of the latest failure; case-sensitive, no wildcards."""
    enqueued_since: int | None = None
    enqueued_before: int | None = None
    failed_since: int | None = None
    """When the latest failure happened."""
    failed_before: int | None = None
    finished_since: int | None = None
    finished_before: int | None = None

    @property
    def empty(self) -> bool:
        """Tell whether it matches every job."""
        return self == EVERYTHING


EVERYTHING = Filter()
