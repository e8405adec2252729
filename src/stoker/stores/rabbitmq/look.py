"""Questions about the whole store: what waits, and in which queues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stoker.core.job import QueueCount, State
from stoker.stores.rabbitmq.session import Session

DELAYED: Final = "(delayed)"
PARKED: Final = "(parked)"
ANY: Final = "(any)"


async def any_work(session: Session, queues: Sequence[str], names: Sequence[str]) -> bool:
    """Tell whether one of the lanes has a job, here or at the broker, or whether any job at all waits for its time."""
    if any(lane.open for lane in session.deliveries.lanes):
        return True
    link, _ = await session.connect("looking")
    for lane in await session.topology.lanes(link):
        if lane.queue in queues and lane.name in names and await session.topology.waiting(link, lane):
            return True
    return await session.topology.delayed(link) > 0


async def count(session: Session, queues: Sequence[str], now: int) -> list[QueueCount]:
    """Count the jobs that wait in each lane, and those that this process has in hand.

    Delayed jobs and parked ones stand in queues of their own, whichever lane they belong to.
    """
    link, _ = await session.connect("looking")
    topology = session.topology
    held = {lane.lane: lane.open for lane in session.deliveries.lanes}
    counted: list[QueueCount] = []
    for lane in await topology.lanes(link):
        if not queues or lane.queue in queues:
            waiting = await topology.waiting(link, lane)
            counted.append(QueueCount(lane.queue, lane.name, "", State.AVAILABLE, waiting, now))
            counted.append(QueueCount(lane.queue, lane.name, "", State.RUNNING, held.get(lane, 0), now))
    if not queues:
        counted.append(QueueCount(DELAYED, ANY, "", State.SCHEDULED, await topology.delayed(link), now))
        counted.append(QueueCount(PARKED, ANY, "", State.DISCARDED, await topology.parked_jobs(link), now))
    return [group for group in counted if group.count]


async def drop(session: Session) -> None:
    """Delete all queues of the store."""
    link, _ = await session.connect("looking")
    await session.topology.delete(link)
