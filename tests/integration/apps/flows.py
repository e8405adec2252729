"""An application whose jobs follow from each other, for tests that kill its workers.

``python -m tests.integration.apps.flows`` runs a worker on ``FLOWS_URL``; each attempt appends a line to ``FLOWS``.
"""

from __future__ import annotations

import asyncio
import os

from stoker import Context, Stoker

app: Stoker[None] = Stoker(
    os.environ.get("FLOWS_URL", "memory://"),
    settings={
        "workers": {"lease": "1s", "grace": "1s", "concurrency": 10},
        "queue": {"poll_interval": "200ms"},
        "jobs": {"keep": "1h"},
    },
)


def effect(line: str) -> None:
    """Write down that something was done: one write on an O_APPEND descriptor is whole or not there."""
    descriptor = os.open(os.environ["FLOWS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


@app.job(max_attempts=1)
async def link(ctx: Context, chain: int, left: int) -> None:
    """Do one step of a chain, and name the next."""
    await asyncio.sleep(0.002)
    if left:
        ctx.then(link.draft(chain, left - 1))
    effect(f"link {chain} {left}")


@app.job(max_attempts=1)
async def part(n: int) -> int:
    """Do one of many alike."""
    await asyncio.sleep(0.002)
    effect(f"part {n}")
    return n


@app.job(max_attempts=1)
async def gather(flow: int, values: list[int]) -> int:
    """Take what others returned."""
    effect(f"gather {flow}")
    return sum(values)


@app.job(max_attempts=1)
async def report(flow: int, total: int) -> int:
    """Come last."""
    effect(f"report {flow} {total}")
    return total


@app.job
async def tell(ctx: Context, what: str) -> None:
    """Be a callback."""
    effect(f"tell {what} {ctx.batch_id}")


if __name__ == "__main__":
    app.work()
