"""What is said aloud when the broker takes the deliveries away."""

from __future__ import annotations

import logging
from typing import Final

from stoker.drivers.rabbitmq_link import Refused

log = logging.getLogger("stoker")
_PRECONDITION: Final = 406


def say_why(ended: Exception | None) -> None:
    """Explain a channel that the broker closed because of jobs that ran too long; of the others workers speak."""
    if isinstance(ended, Refused) and ended.code == _PRECONDITION and "acknowledgement" in ended.text:
        log.warning(
            "rabbitmq: a job ran for longer than the broker's consumer_timeout, so the broker took back all jobs of "
            "this process: they run again, counted as crashed (%s). Raise consumer_timeout, or make the job shorter",
            ended.text,
        )
