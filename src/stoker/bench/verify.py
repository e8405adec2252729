"""Accounting for every job: who ran not at all, more than once, or was left in the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from stoker.core.job import FINAL, QueueCount, State

_SHOWN = 5


def miscounts(n: int, performed: Iterable[int]) -> list[str]:
    """Say how the numbers that handlers recorded differ from 0 to n - 1, each once; nothing when they do not."""
    times = Counter(performed)
    lost = [number for number in range(n) if number not in times]
    doubled = [f"{number} ({count} times)" for number, count in times.items() if count > 1]
    strange = sorted(number for number in times if not 0 <= number < n)
    found: list[str] = []
    if lost:
        found.append(f"{_jobs(len(lost))} never ran: {_some(lost)}")
    if doubled:
        found.append(f"{_jobs(len(doubled))} ran more than once: {_some(doubled)}")
    if strange:
        found.append(f"{_jobs(len(strange))} ran that {_was(len(strange))} not enqueued: {_some(strange)}")
    return found


def miscounts_of_some(n: int, total: int, performed: Sequence[int]) -> list[str]:
    """Say what is wrong with the numbers where at least n of ``total`` jobs were to run, no matter which."""
    found = [fault for fault in miscounts(total, performed) if "never ran" not in fault]
    if len(performed) < n:
        found.append(f"{_jobs(len(performed))} ran, not {n}")
    return found


def leftovers(counts: Iterable[QueueCount], kept: int, available: int = 0) -> list[str]:
    """Say how a drained store differs from one that holds ``kept`` completed and ``available`` other jobs."""
    states: Counter[State] = Counter()
    for count in counts:
        states[count.state] += count.count
    if available:
        if states[State.AVAILABLE] != available:
            return [f"{_jobs(states[State.AVAILABLE])} left available, not {available}"]
        del states[State.AVAILABLE]
    found = [f"{_jobs(number)} left {state}" for state, number in sorted(states.items()) if _wrong(state) and number]
    if states[State.COMPLETED] != kept:
        found.append(f"{_jobs(states[State.COMPLETED])} kept as completed, not {kept}")
    return found


def waiting(counts: Iterable[QueueCount]) -> int:
    """Give how many jobs have not ended."""
    return sum(count.count for count in counts if count.state not in FINAL)


def _wrong(state: State) -> bool:
    return state is not State.COMPLETED


def _jobs(number: int) -> str:
    return f"{number} job{'' if number == 1 else 's'}"


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def _some(values: Sequence[object]) -> str:
    return ", ".join(map(str, values[:_SHOWN])) + (", …" if len(values) > _SHOWN else "")
