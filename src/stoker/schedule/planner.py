"""What is due of an entry. Pure: the store's clock is told, and its compare-and-set decides who ticks."""

from __future__ import annotations

from itertools import islice, takewhile
from typing import Final

import msgspec

from stoker.core.duration import SECOND
from stoker.core.periodic import Entry
from stoker.schedule.spec import Spec

MOST_RUNS: Final = 1_000
MOST_BYTES: Final = 4 * 1024 * 1024
"""The most runs that one tick makes up for, and the most of their arguments; what is left is due in the next."""
LEAST_GRACE: Final = 60 * SECOND


class Plan(msgspec.Struct, frozen=True):
    """What is due of an entry now."""

    following: int | None
    """Where its ``last`` moves to; None when nothing is due."""
    ticks: tuple[int, ...]
    """The planned instants that get a job; with ``following`` and none of these they are skipped."""
    next: int | None
    """When it is due again; None for never."""


def plan(entry: Entry, spec: Spec, now: int) -> Plan:
    """Say what is due of an entry by a clock that shows ``now``."""
    if entry.paused_at is not None:
        return Plan(None, (), None)
    following, ticks = _due(entry, spec, now)
    decided = entry.last if following is None else following
    return Plan(following, ticks, next(spec.rhythm.after(decided, entry.anchor), None))


def plan_start(entry: Entry, spec: Spec, now: int) -> Plan:
    """Say what is due of an entry that is to run on start too."""
    due = plan(entry, spec, now)
    if due.next is not None and due.next <= now:
        return due  # more was missed than one tick makes up for
    following = max(entry.last + 1, now)
    ticks = due.ticks if now in due.ticks else (*due.ticks, now)
    return Plan(following, ticks if spec.missed == "all" else (now,), due.next)


def upcoming(entry: Entry, spec: Spec, now: int, count: int) -> list[int]:
    """Give the next instants at which an entry is due."""
    return list(islice(spec.rhythm.after(max(entry.last, now), entry.anchor), count))


def _due(entry: Entry, spec: Spec, now: int) -> tuple[int | None, tuple[int, ...]]:
    rhythm, last, anchor = spec.rhythm, entry.last, entry.anchor
    latest = rhythm.latest(last, now, anchor)
    if latest is None:
        return None, ()
    if spec.missed == "once":
        return latest, (latest,)
    if spec.missed == "skip":
        following = next(rhythm.after(latest, anchor), latest)
        grace = max(LEAST_GRACE, following - latest)
        last = max(last, now - grace - 1)
    most = min(MOST_RUNS, 1 + MOST_BYTES // (len(spec.job["args"]) + 1))
    ticks = tuple(islice(takewhile(lambda at: at <= now, rhythm.after(last, anchor)), most))
    return (ticks[-1] if ticks else latest), ticks
