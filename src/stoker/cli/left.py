"""What ``--until-empty`` leaves behind: counted in the worker's last line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, Self

import click
import msgspec

from stoker.cli.output import number_of, print_json
from stoker.core.job import WAITING, QueueCount, State
from stoker.core.routes import takes

if TYPE_CHECKING:
    from stoker.cli.invocation import Invocation
    from stoker.runtime.plan import WorkerPlan
    from stoker.runtime.worker import Worker


_STATES: Final = (State.SCHEDULED, State.RETRYABLE, State.AVAILABLE)


class Left(msgspec.Struct):
    """How many jobs wait for what."""

    scheduled: int = 0
    retryable: int = 0
    available: int = 0
    """Ready, of names and queues served here: paused, or enqueued just now."""
    unknown_names: dict[str, int] = {}
    """Waiting jobs of names that this worker does not perform."""
    other_queues: dict[str, int] = {}
    """Waiting jobs of queues that this worker does not serve."""
    other_tags: dict[str, int] = {}
    """Waiting jobs of names and queues served here, with other tags; ``none`` for those without."""

    @classmethod
    def of(cls, counted: Iterable[tuple[WorkerPlan, Iterable[QueueCount]]]) -> Self:
        """Sort what waits in each worker's store."""
        states: Counter[State] = Counter()
        names: Counter[str] = Counter()
        queues: Counter[str] = Counter()
        tags: Counter[str] = Counter()
        for plan, counts in counted:
            for row in counts:
                if row.state not in WAITING:
                    continue
                if row.queue not in plan.queues:
                    queues[row.queue] += row.count
                elif row.name not in plan.names:
                    names[row.name] += row.count
                elif not takes(row.route, plan.tags, all_tags=plan.all_tags):
                    tags[row.route or "none"] += row.count
                else:
                    states[row.state] += row.count
        scheduled, retryable, available = (states[state] for state in _STATES)
        return cls(scheduled, retryable, available, dict(names), dict(queues), dict(tags))

    def __str__(self) -> str:
        return ", ".join(self._parts()) or "nothing"

    def _parts(self) -> Iterator[str]:
        if self.scheduled:
            yield f"{self.scheduled:,} scheduled"
        if self.retryable:
            yield f"{self.retryable:,} retryable"
        if self.available:
            yield f"{self.available:,} available but paused or new"
        for what, counted in (
            ("of unknown names", self.unknown_names),
            ("in other queues", self.other_queues),
            ("with other tags", self.other_tags),
        ):
            if counted:
                each = ", ".join(f"{name} {count:,}" for name, count in sorted(counted.items()))
                yield f"{number_of(sum(counted.values()))} {what} ({each})"


async def print_left(asked: Invocation, workers: Iterable[Worker]) -> None:
    """Count what waits in the workers' stores and print it as the last line."""
    counted = [(worker.plan, await worker.store.arun(worker.store.count())) for worker in workers]
    left = Left.of(counted)
    if asked.as_json:
        print_json({"left": left})
    else:
        click.echo(f"empty; left: {left}")
