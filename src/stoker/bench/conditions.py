"""Under which conditions figures were taken: without them they mean nothing."""

from __future__ import annotations

import asyncio
import os
import platform
from importlib.metadata import version

from stoker.bench.ground import Ground
from stoker.bench.plan import Plan
from stoker.core.command import Command, Replies, Sql
from stoker.runtime.process import run
from stoker.stores.urls import open_store

_SYNCHRONOUS = ("OFF", "NORMAL", "FULL", "EXTRA")


def conditions(plan: Plan, ground: Ground) -> dict[str, object]:
    """Name versions, machine, store and sizes."""
    return {
        "stoker": version("stoker"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
        "cores": cores(),
        "event_loop": run(_event_loop()),
        "url": ground.url,
        **_particulars(ground),
        "n": plan.n,
        "payload_bytes": plan.payload,
        "keep": str(plan.keep),
        "backlog": plan.backlog,
        "pin_snapshot": plan.pin_snapshot,
    }


def cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


async def _event_loop() -> str:
    module = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    return f"uvloop {version('uvloop')}" if module == "uvloop" else module


def _particulars(ground: Ground) -> dict[str, object]:
    """Ask the store what it is and how carefully it writes."""
    if ground.side is not None:
        return ground.side.particulars()
    if ground.scheme != "sqlite":
        return {}
    with ground.fresh() as url:
        store = open_store(url, root=ground.home)
        try:
            return store.run(
                Command("conditions", (Sql("SELECT sqlite_version()", {}), Sql("PRAGMA synchronous", {})), _read)
            )
        finally:
            store.close()


def _read(replies: Replies) -> dict[str, object]:
    (((sqlite,),), ((level,),)) = replies
    return {"sqlite": sqlite, "synchronous": _SYNCHRONOUS[level]}
