"""An application whose jobs write down what they did, for tests that kill its workers.

``python -m tests.integration.apps.ledger`` runs a worker on ``LEDGER_URL``; effects and accepted endings are appended
to the files ``LEDGER`` and ``LEDGER.settled``, one line each.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time

from stoker import Stoker
from stoker.telemetry.events import AttemptEnded, Event, SettleRefused

LEASE = os.environ.get("LEDGER_LEASE", "2s")
CONCURRENCY = int(os.environ.get("LEDGER_CONCURRENCY", "10"))
app: Stoker[None] = Stoker(
    os.environ["LEDGER_URL"],
    settings={
        "workers": {"lease": LEASE, "grace": os.environ.get("LEDGER_GRACE", "1s"), "concurrency": CONCURRENCY},
        "queue": {"poll_interval": os.environ.get("LEDGER_POLL", "1s")},
    },
)


def _append(path: str, line: object) -> None:
    # One write on an O_APPEND descriptor is whole or not there, whoever else writes and whenever we are killed.
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


def effect(line: object) -> None:
    """Write down that something was done."""
    _append(os.environ["LEDGER"], line)


@app.job(max_attempts=1)
async def note(n: int) -> None:
    """Take a few milliseconds, then write the number down."""
    await asyncio.sleep(0.004)
    effect(n)


@app.job(max_attempts=1)
async def poison() -> None:
    """Take the worker down."""
    os.kill(os.getpid(), signal.SIGKILL)


@app.job(max_attempts=1)
async def long(seconds: float) -> None:
    """Run for long."""
    effect("long begins")
    await asyncio.sleep(seconds)
    effect("long ends")


@app.job(max_attempts=1)
async def blocks(seconds: float) -> None:
    """Block the event loop."""
    effect("blocks begins")
    time.sleep(seconds)  # noqa: ASYNC251 that is the point
    effect("blocks ends")


@app.job
async def spawn(n: int) -> None:
    """Enqueue another job, from the event loop."""
    await note.aenqueue(n)


@app.job
def spawn_in_thread(n: int) -> None:
    """Enqueue another job, from a thread."""
    note.enqueue(n)


def told(event: Event) -> None:
    """Write accepted and refused endings down."""
    if isinstance(event, AttemptEnded):
        _append(os.environ["LEDGER"] + ".settled", f"{event.claim.id} {event.settlement.state}")
    elif isinstance(event, SettleRefused):
        _append(os.environ["LEDGER"] + ".refused", event.claim.id)


if __name__ == "__main__":
    app.events.listen(told)
    app.work(until_empty="--until-empty" in sys.argv)
