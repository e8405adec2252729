"""What a worker of this application serves: settings and command-line choices made into a plan. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from stoker.app.choice import Choice
from stoker.core.duration import micros
from stoker.core.routes import LONGEST_TAG, is_tag
from stoker.errors import ConfigurationError
from stoker.jobs import checks
from stoker.jobs.definition import JobDefinition
from stoker.runtime.plan import PoolPlan, WorkerPlan
from stoker.settings import Settings, StoreSettings, WorkerSettings


def plan_worker(
    definitions: Mapping[str, JobDefinition[..., Any]], settings: Settings, choice: Choice, *, selective: bool = True
) -> WorkerPlan:
    """Say what a worker serves; ConfigurationError when that is nothing or names what is not there.

    ``definitions`` maps every name and alias that can be performed to its definition. Where claims are not
    ``selective`` a queue may hold the jobs of others, who are not to be disturbed: ``default`` has to be asked for.
    """
    names = _chosen_names(definitions, choice)
    used = {definition.queue for definition in definitions.values()} | ({"default"} if selective else set())
    queues, own = _chosen_queues(used, settings, choice)
    workers, queue = settings.workers, settings.queue
    per_queue = [queue.queues[name] for name in queues if name in queue.queues]
    tags, all_tags = _chosen_tags(workers, choice)
    return WorkerPlan(
        pools=_pools(queues, own, settings, choice),
        names=names,
        tags=tags,
        all_tags=all_tags,
        keep_most={name: queue.queues[name].keep_most or 0 for name in queues if _has_most(queue, name)},
        oldest_every=workers.oldest_every,
        lease=micros(workers.lease),
        grace=workers.grace.total_seconds() if choice.grace is None else choice.grace,
        stuck_after=math.inf if workers.stuck_after is None else workers.stuck_after.total_seconds(),
        misfit_after=None if workers.misfit_after is None else micros(workers.misfit_after),
        poll_interval=_shortest([queue.poll_interval, *(own.poll_interval for own in per_queue)]),
        jitter=max((own.jitter for own in per_queue if own.jitter is not None), default=0.1),
    )


def _has_most(store: StoreSettings, queue: str) -> bool:
    return queue in store.queues and store.queues[queue].keep_most is not None


def _shortest(written: Iterable[timedelta | None]) -> float | None:
    """Give the shortest of some durations in seconds, if any: one listener waits for all queues of a worker."""
    return min((value.total_seconds() for value in written if value is not None), default=None)


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


def _chosen_tags(workers: WorkerSettings, choice: Choice) -> tuple[tuple[str, ...], bool]:
    """Give the tags to serve, and whether all are; what the starter says stands in place of both settings."""
    if choice.tags is None and not choice.all_tags:
        tags, all_tags, where = workers.tags, workers.all_tags, "workers.tags and workers.all_tags"
    else:
        tags, all_tags, where = choice.tags or (), choice.all_tags, "--tags and --all-tags"
    if tags and all_tags:
        raise ConfigurationError(f"{where} exclude each other: all tags include {', '.join(tags)}")
    for tag in tags:
        if not is_tag(tag):
            raise ConfigurationError(f"tag {tag!r}: write 1 to {LONGEST_TAG} letters, digits and . _ - : /")
    return tuple(sorted(set(tags))), all_tags


def _chosen_queues(used: Iterable[str], settings: Settings, choice: Choice) -> tuple[tuple[str, ...], dict[str, int]]:
    """Give the queues to serve, and the slots of those that have their own."""
    own = {name: queue.concurrency for name, queue in settings.queue.queues.items() if queue.concurrency}
    if choice.queues is None:
        # In the order in which they are written; what is written nowhere comes last.
        others = set(used) - settings.queue.queues.keys()
        queues: Sequence[str] = [*settings.queue.queues, *sorted(others)]
    else:
        queues = []
        own = {name: number for name, number in own.items() if choice.concurrency is None}
        for text in choice.queues:
            name, colon, number = text.partition(":")
            if colon and (not number.isdigit() or int(number) < 1):
                raise ConfigurationError(f"queue {text!r}: write NAME or NAME:SLOTS, e.g. mail:10")
            queues.append(checks.queue("queue", name))
            if colon:
                own[name] = int(number)
    kept = tuple(dict.fromkeys(queue for queue in queues if queue not in choice.exclude_queues))
    if not kept:
        raise ConfigurationError("every queue is excluded: nothing to work on")
    return kept, {name: own[name] for name in kept if name in own}


def _pools(queues: Sequence[str], own: Mapping[str, int], settings: Settings, choice: Choice) -> tuple[PoolPlan, ...]:
    shared = tuple(queue for queue in queues if queue not in own)
    pools = [PoolPlan(name, (name,), number) for name, number in own.items()]
    if shared:
        concurrency = choice.concurrency or settings.workers.concurrency
        strict = choice.strict_order or settings.workers.strict_order
        pools.insert(0, PoolPlan("shared", shared, concurrency, _weights(shared, settings, strict=strict), strict))
    return tuple(pools)


def _weights(shared: Sequence[str], settings: Settings, *, strict: bool) -> tuple[int, ...]:
    """Give the weights of queues that share a pool; none where all are equal."""
    written = settings.queue.queues
    weights = tuple(written[queue].weight if queue in written else 1 for queue in shared)
    if len(set(weights)) == 1:
        return ()
    if strict:
        weighted = next(queue for queue, weight in zip(shared, weights, strict=True) if weight > 1)
        raise ConfigurationError(
            f"queue.queues.{weighted}.weight means nothing in strict order: remove it, or workers.strict_order"
        )
    return weights
