"""Priorities, with ``?priorities=classic``: quorum queues have none before RabbitMQ 4.3, classic queues always had."""

from __future__ import annotations

from typing import Any, Final

from stoker.core.job import JobId, NewJob
from stoker.stores.rabbitmq.form import Form
from stoker.stores.rabbitmq.lane import Lane
from stoker.stores.rabbitmq.topology import Topology

MOST: Final = 5
"""Priorities go from -5 to 5: a broker has an inner queue for each."""


class RankedForm(Form):
    """Stoker's own form, with the priority where the broker looks for it."""

    def properties(self, job: NewJob, id: JobId, now: int, due: int) -> Any:
        written = super().properties(job, id, now, due)
        written.priority = job.priority + MOST
        return written

    def priority(self, properties: Any) -> int:
        return min(properties.priority or 0, 2 * MOST) - MOST


class RankedTopology(Topology):
    """Jobs lie in durable classic queues, on one node each; all else is as it was."""

    kind = "durable classic queues with priorities"

    def __init__(self, prefix: str) -> None:
        super().__init__(prefix, RankedForm())

    def _arguments(self, lane: Lane) -> dict[str, Any] | None:
        if lane.suspects:
            return super()._arguments(lane)
        return {"x-queue-type": "classic", "x-max-priority": 2 * MOST}
