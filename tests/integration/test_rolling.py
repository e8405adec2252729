"""A rolling replacement, with processes that perform nothing and write down what they are told."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from stoker.core.job import Token
from stoker.runtime.supervisor import Supervisor, SupervisorPlan

PROCESS = """
import os, signal, sys, time
from pathlib import Path

def note(what):
    descriptor = os.open("told", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{what} {os.getpid()}\\n".encode())
    os.close(descriptor)

told = []
signal.signal(signal.SIGTERM, lambda *_: (told.append(1), note("told")))
os.chdir(sys.argv[1])
note("ready")
os.write(int(sys.argv[2]), b"{}\\n")
while not (told and Path("gate").exists()):
    time.sleep(0.01)
note("ended")
"""


async def take_back(store: str, tokens: Sequence[Token]) -> None: ...


async def seen(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 other processes write a file
            await asyncio.sleep(0.01)


async def test_a_second_roll_waits_for_the_process_that_the_first_one_told(tmp_path: Path) -> None:
    def lines() -> list[list[str]]:
        file = tmp_path / "told"
        return [line.split() for line in file.read_text().splitlines()] if file.exists() else []

    def count(what: str) -> int:
        return sum(word == what for word, _ in lines())

    gate = tmp_path / "gate"
    plan = SupervisorPlan((sys.executable, "-ISc", PROCESS, str(tmp_path)), 2, grace=5, silence=60)
    supervisor = Supervisor(plan, take_back, lambda: None)
    running = asyncio.ensure_future(supervisor.run())
    await seen(lambda: count("ready") == 2)
    gate.touch()
    supervisor.roll()
    await seen(lambda: count("ended") == 1)
    gate.unlink()
    await seen(lambda: count("told") == 2)

    supervisor.roll()
    await asyncio.sleep(0.1)  # so long it would take to tell another one
    gate.touch()
    await seen(lambda: count("ended") == 3)
    supervisor.stop()

    assert await running == 0
    first = [word for word, _ in lines() if word != "ready"][:6]
    assert first == ["told", "ended"] * 3
    assert max(sum(line == other for other in lines()) for line in lines()) == 1
