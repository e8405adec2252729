"""Waiting for the ending of a job: asks the store again and again, quickly at first."""

from __future__ import annotations

import time

from stoker.core.job import Ending, JobId
from stoker.errors import ResultUnavailable, WaitTimeout
from stoker.stores.base import Store

FIRST, LONGEST, GROWTH = 0.005, 0.25, 1.5
"""Seconds between two looks: the first, the longest, and by how much they grow."""


class Wait:
    """The pauses of one wait of at most ``timeout`` seconds; None waits for ever."""

    def __init__(self, id: JobId, timeout: float | None) -> None:
        self._id = id
        self._timeout = timeout
        self._end = None if timeout is None else time.monotonic() + timeout
        self._pause = FIRST

    def pause(self) -> float:
        """Give the seconds until the next look; WaitTimeout when the time is over."""
        left = LONGEST if self._end is None else self._end - time.monotonic()
        if left <= 0:
            raise WaitTimeout(f"job {self._id} has not ended within {self._timeout:g} s; it goes on")
        pause = min(self._pause, left)
        self._pause = min(self._pause * GROWTH, LONGEST)
        return pause


def wait_for_ending(store: Store, id: JobId, timeout: float | None) -> Ending:
    """Wait until a job is in a final state; ResultUnavailable when the store has no such job."""
    wait = Wait(id, timeout)
    while not (ending := _present(id, store.run(store.result(id)))).state.final:
        time.sleep(wait.pause())
    return ending


async def await_ending(store: Store, id: JobId, timeout: float | None) -> Ending:
    """Do the same without blocking the event loop."""
    import asyncio

    wait = Wait(id, timeout)
    while True:
        ending = _present(id, await store.arun(store.result(id)))
        if ending.state.final:
            return ending
        await asyncio.sleep(wait.pause())


def _present(id: JobId, ending: Ending | None) -> Ending:
    if ending is None:
        raise ResultUnavailable(
            f"job {id} is not in the store: it ended and was deleted (keep=0, pruned), or never was"
        )
    return ending
