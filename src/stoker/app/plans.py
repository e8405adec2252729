"""What a worker of this application serves: settings and command-line choices made into a plan. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from stoker.app.choice import Choice
from stoker.core.duration import micros
from stoker.errors import ConfigurationError
from stoker.jobs.definition import JobDefinition
from stoker.runtime.plan import PoolPlan, WorkerPlan
from stoker.settings import Settings


def plan_worker(definitions: Mapping[str, JobDefinition[..., Any]], settings: Settings, choice: Choice) -> WorkerPlan:
    """Say what a worker serves; ConfigurationError when that is nothing or names what is not there.

    ``definitions`` maps every name and alias that can be performed to its definition.
    """
    names = _chosen_names(definitions, choice)
    queues, own = _chosen_queues({definition.queue for definition in definitions.values()}, settings, choice)
    workers, queue = settings.workers, settings.queue
    per_queue = [queue.queues[name] for name in queues if name in queue.queues]
    return WorkerPlan(
        pools=_pools(queues, own, choice.concurrency or workers.concurrency),
        names=names,
        lease=micros(workers.lease),
        grace=workers.grace.total_seconds() if choice.grace is None else choice.grace,
        stuck_after=math.inf if workers.stuck_after is None else workers.stuck_after.total_seconds(),
        misfit_after=None if workers.misfit_after is None else micros(workers.misfit_after),
        poll_interval=_shortest([queue.poll_interval, *(own.poll_interval for own in per_queue)], 1.0),
        jitter=max((own.jitter for own in per_queue if own.jitter is not None), default=0.1),
    )


def _shortest(written: Iterable[timedelta | None], default: float) -> float:
    """Give the shortest of some durations in seconds: one listener waits for all queues of a worker."""
    return min((value.total_seconds() for value in written if value is not None), default=default)


def _chosen_names(definitions: Mapping[str, JobDefinition[..., Any]], choice: Choice) -> tuple[str, ...]:
    if not definitions:
        raise ConfigurationError(
            "this application defines no job: name the modules that do, Stoker(imports=[…]) or imports: in the settings"
        )
    for name in (*(choice.names or ()), *choice.exclude_names):
        if name not in definitions:
            raise ConfigurationError(f"no job named {name!r}; known are: {', '.join(sorted(definitions))}")
    names = tuple(name for name in choice.names or sorted(definitions) if name not in choice.exclude_names)
    if not names:
        raise ConfigurationError("every job name is excluded: nothing to work on")
    return names


def _chosen_queues(used: Iterable[str], settings: Settings, choice: Choice) -> tuple[tuple[str, ...], dict[str, int]]:
    """Give the queues to serve, and the slots of those that have their own."""
    own = {name: queue.concurrency for name, queue in settings.queue.queues.items() if queue.concurrency}
    if choice.queues is None:
        queues: Sequence[str] = sorted({"default", *used, *settings.queue.queues})
    else:
        queues = []
        own = {name: number for name, number in own.items() if choice.concurrency is None}
        for text in choice.queues:
            name, colon, number = text.partition(":")
            if colon and (not number.isdigit() or int(number) < 1):
                raise ConfigurationError(f"queue {text!r}: write NAME or NAME:SLOTS, e.g. mail:10")
            queues.append(name)
            if colon:
                own[name] = int(number)
    kept = tuple(dict.fromkeys(queue for queue in queues if queue not in choice.exclude_queues))
    if not kept:
        raise ConfigurationError("every queue is excluded: nothing to work on")
    return kept, {name: own[name] for name in kept if name in own}


def _pools(queues: Sequence[str], own: Mapping[str, int], concurrency: int) -> tuple[PoolPlan, ...]:
    shared = tuple(queue for queue in queues if queue not in own)
    pools = [PoolPlan(name, (name,), number) for name, number in own.items()]
    if shared:
        pools.insert(0, PoolPlan("shared", shared, concurrency))
    return tuple(pools)
