"""How a message says what job it is: stoker's own form. `buffalo` has the one of Buffalo's adapter for AMQP."""

from __future__ import annotations

from typing import Any

from stoker.core.job import JobId, NewJob
from stoker.stores.rabbitmq import wire


class Form:
    """Stoker's own form: the arguments as they are, all else in properties and headers."""

    exchange: str = ""
    """Where new jobs are published to; the broker's own exchange knows each queue by its name."""
    every_name: bool = False
    """A worker has queues for all names that it knows, whether or not somebody enqueued into them."""
    has_guests: bool = False
    """Others publish as well, and say less than stoker does."""

    def body(self, job: NewJob) -> bytes:
        """Write the arguments of a new job."""
        return job.args.encode()

    def properties(self, job: NewJob, id: JobId, now: int, due: int) -> Any:
        """Write down all of a new job but its arguments."""
        return wire.properties_of(job, id, now, due)

    def adopt(self, properties: Any, now: int) -> None:
        """Add to a delivery what guests leave out."""

    def priority(self, properties: Any) -> int:
        """Read the priority."""
        return 0

    def args(self, body: bytes) -> bytes:
        """Read the arguments."""
        return body
