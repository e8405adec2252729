"""An application whose jobs run in processes of their own."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from stoker import Cancel, Context, Discard, Snooze, Stoker, fixed

app: Stoker[Any] = Stoker(os.environ.get("APART_URL", "memory://"))


class Refused(ConnectionError):
    """Raised by `refuses`."""


@app.job(executor="process")
def double(n: int) -> int:
    return 2 * n


@app.job(executor="process")
async def double_later(n: int) -> int:
    await asyncio.sleep(0)
    return 2 * n


@app.job(executor="process")
def pid() -> int:
    return os.getpid()


@app.job(executor="process", max_attempts=1)
def dies(how: str) -> None:
    match how:
        case "SIGKILL":
            os.kill(os.getpid(), signal.SIGKILL)
        case "SIGSEGV":
            ctypes.string_at(0)
        case "exit code 3":
            os._exit(3)
        case _:
            sys.exit(how)


@app.job(executor="process", timeout="500ms", max_attempts=1)
def spins(ledger: Path) -> None:
    """Spin in Python, and note that the exception arrived."""
    try:
        while True:
            pass
    finally:
        ledger.write_text("cleaned up")


@app.job(executor="process", timeout="500ms", max_attempts=1)
def stuck() -> None:
    """Block every signal and sleep."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    time.sleep(60)


@app.job(executor="process", max_attempts=1)
def waits(ctx: Context[Any], ledger: Path) -> None:
    """Wait for the stop flag, and leave in good order."""
    ctx.progress(0.5, "waiting")
    while not ctx.cancelled:
        time.sleep(0.01)
    ledger.write_text("left")
    raise Cancel("in good order")


@app.job(executor="process", max_attempts=1)
def heedless(ctx: Context[Any]) -> None:
    ctx.progress(0.1)
    while True:
        pass


@app.job(executor="process", max_attempts=1)
async def sleeps(ctx: Context[Any], ledger: Path) -> None:
    ctx.progress(0.1)
    try:
        await asyncio.Event().wait()
    finally:
        ledger.write_text("cancelled")  # noqa: ASYNC240


@app.job(executor="process", backoff=fixed(0))
def steps(ctx: Context[Any]) -> list[Any]:
    if ctx.saved is None:
        ctx.checkpoint({"row": 123456789012345678901})
        os.kill(os.getpid(), signal.SIGKILL)
    return [ctx.saved, ctx.attempt]


@app.job(executor="process", max_attempts=3, backoff=fixed(0), discard_on=ConnectionError)
def refuses() -> None:
    raise Refused("no route")


@app.job(executor="process", max_attempts=1)
def signals(kind: str) -> None:
    raise {"discard": Discard("enough"), "snooze": Snooze("1h")}[kind]


@app.job(executor="process")
def echo(value: Any) -> Any:
    return value


@app.job(executor="process", keep_logs=True)
def logs(ctx: Context[Any]) -> str:
    ctx.log.warning("half way", extra={"row": 7})
    logging.getLogger("shop").debug("unheard")
    try:
        return str(ctx.state)
    except Exception as error:
        return str(error)


@app.job(executor="process", max_attempts=1)
def enqueues(n: int) -> str:
    return double.enqueue(n).id


@app.job(executor="process")
def no_json() -> object:
    return object()


@app.job(executor="process", max_attempts=1)
def then(ctx: Context[Any], fail: bool) -> str:
    ctx.then(double.draft(4))
    if fail:
        raise OSError
    return ctx.id
