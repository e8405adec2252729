"""A worker that writes every event of a job down, for tests that freeze it.

``python -m tests.integration.apps.listener`` works on ``LISTENER_URL``; each event is one line in the file of the
process, ``LISTENER`` and its pid: the kind of the event, and the job's state where it tells one.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from stoker import Stoker
from stoker.telemetry import AttemptEnded, Event

app: Stoker[None] = Stoker(os.environ["LISTENER_URL"], settings={"workers": {"lease": "2s", "grace": "1s"}})


@app.job
async def slow() -> object:
    """Give, after a second, what is not JSON."""
    await asyncio.sleep(1)
    return object()


@app.on()
def told(event: Event) -> None:
    """Write an event down."""
    state = f" {event.settlement.state}" if isinstance(event, AttemptEnded) else ""
    with Path(f"{os.environ['LISTENER']}.{os.getpid()}").open("a", encoding="utf-8") as file:
        file.write(f"{type(event).__name__}{state}\n")


if __name__ == "__main__":
    app.work()
