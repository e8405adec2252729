"""taskiq with aio-pika, acknowledged after the job ran; enqueued a hundred at a time."""

import asyncio
import os

from tally import count
from taskiq_aio_pika import AioPikaBroker

broker = AioPikaBroker(os.environ["PEER_BROKER"], qos=100)


@broker.task(task_name="nothing")
async def nothing(number: int) -> None:  # noqa: ARG001
    """Do nothing but be counted."""
    count()


def enqueue(jobs: int) -> None:
    """Enqueue so many."""
    asyncio.run(_enqueue(jobs))


async def _enqueue(jobs: int) -> None:
    await broker.startup()
    for first in range(0, jobs, 100):
        await asyncio.gather(*(nothing.kiq(number) for number in range(first, min(first + 100, jobs))))
    await broker.shutdown()
