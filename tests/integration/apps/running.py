"""An application whose jobs run for long, report and can be stopped, for tests that watch them from outside.

``python -m tests.integration.apps.running`` runs a worker on ``RUNNING_URL``; what jobs do is appended to ``RUNNING``.
"""

from __future__ import annotations

import asyncio
import os
import time

from stoker import Cancel, Context, Stoker, fixed

app: Stoker[None] = Stoker(
    os.environ.get("RUNNING_URL", "memory://"),
    settings={"workers": {"lease": os.environ.get("RUNNING_LEASE", "30s"), "grace": "2s"}},
)


def effect(line: object) -> None:
    """Write down that something was done."""
    descriptor = os.open(os.environ["RUNNING"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


@app.job(max_attempts=1, keep_logs=True)
async def waits(ctx: Context[None]) -> None:
    """Wait for ever."""
    ctx.log.warning("waits begins")
    ctx.progress(0.4, "rows")
    ctx.checkpoint({"row": 40})
    effect("waits begins")
    try:
        await asyncio.Event().wait()
    finally:
        effect("waits ends")


@app.job(max_attempts=1)
def threaded(ctx: Context[None]) -> None:
    """Wait in a thread for the stop flag."""
    effect("threaded begins")
    while not ctx.cancelled:
        time.sleep(0.01)
    effect("threaded ends")
    raise Cancel("stopped")


@app.job(backoff=fixed(0))
async def steps(ctx: Context[None], count: int) -> None:
    """Write down each step once; stop after each until told to go on."""
    for step in range(ctx.saved or 0, count):
        effect(f"step {step}")
        ctx.checkpoint(step + 1)
        while not os.path.exists(f"{os.environ['RUNNING']}.{step}"):  # noqa: ASYNC110, ASYNC240, PTH110
            await asyncio.sleep(0.01)


if __name__ == "__main__":
    app.work()
