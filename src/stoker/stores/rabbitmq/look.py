"""Questions about the whole store: what waits, and in which queues."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from stoker.core.job import QueueCount, State
from stoker.stores.rabbitmq.session import Session

DELAYED: Final = "(delayed)"
PARKED: Final = "(parked)"
ANY: Final = "(any)"
_ON_ITS_WAY: Final = 0.1
"""Seconds that a message takes from queue to queue, with much to spare."""


async def any_work(session: Session, queues: Sequence[str], names: Sequence[str]) -> bool:
    """Tell whether one of the lanes has a job, here or at the broker, or whether any job at all waits for its time.

    A message that goes on from one queue to the next is counted in none of them for a moment, so the last word needs
    two looks.
    """
    if await _see_work(session, queues, names):
        return True
    await asyncio.sleep(_ON_ITS_WAY)
    return await _see_work(session, queues, names)


async def _see_work(session: Session, queues: Sequence[str], names: Sequence[str]) -> bool:
    link, _ = await session.connect("looking")
    if await session.topology.delayed(link):
        return True
    for lane in await session.topology.lanes(link):
        if lane.queue in queues and lane.name in names and await session.topology.waiting(link, lane):
            return True
    return any(lane.open for lane in session.deliveries.lanes)


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
