"""A worker process of a bench: ``python -m stoker.bench.worker``.

It reads its task from the first line of standard input, because an argument would show a URL's password to everybody,
and then one word a line: ``go``, ``mark``, ``finish``. It answers ``ready``, and a report when it has finished.
"""

from __future__ import annotations

import asyncio
import sys
import threading

import msgspec

from stoker.bench.application import BenchApp, Task
from stoker.bench.shift import Shift
from stoker.runtime.process import run

READY = "ready"


def main() -> None:
    """Serve one bench, then leave the report on standard output."""
    bench = BenchApp(msgspec.json.decode(sys.stdin.readline(), type=Task))
    bench.open()
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    if sys.stdin.readline().strip() != "go":
        return
    report = run(Shift(bench).run(_obey))
    bench.stoker.close()
    # Not through sys.stdout: with PYTHONUNBUFFERED it sends as much as the pipe has room for and forgets the rest.
    with open(sys.stdout.fileno(), "wb", closefd=False) as out:
        out.write(msgspec.json.encode(report))


async def _obey(shift: Shift) -> None:
    """Conduct a shift by the words that come in; the end of the input means ``finish``."""
    loop = asyncio.get_running_loop()
    finished = asyncio.Event()

    def read() -> None:
        for line in sys.stdin:
            if line.strip() == "finish":
                break
            loop.call_soon_threadsafe(shift.mark)
        loop.call_soon_threadsafe(finished.set)

    threading.Thread(target=read, name="stoker-bench-stdin", daemon=True).start()
    await finished.wait()
    shift.finish()


if __name__ == "__main__":
    main()
