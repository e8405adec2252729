"""Worker processes for tests that kill them: started from a module, watched, always ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stoker.errors import StoreUnavailable
from stoker.stores.base import Store

ROOT = Path(__file__).parents[2]


class Processes:
    """Starts ``python -m MODULE ARG…`` with an environment of its own and ends what still runs."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
            "PYTHONUNBUFFERED": "1",
            **environment,
        }
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a process; its output goes to ``process-N.log`` in the folder."""
        log = (self._folder / f"process-{len(self._started)}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", *words], env=self._environment, stdout=log, stderr=log, cwd=self._folder
        )
        log.close()
        self._started.append(process)
        return process

    def output(self) -> str:
        """Give what all processes have written."""
        return "\n".join(path.read_text() for path in sorted(self._folder.glob("process-*.log")))

    def end(self) -> None:
        """Kill whatever still runs."""
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()


@contextmanager
def processes(folder: Path, **environment: str) -> Iterator[Processes]:
    """Give `Processes` for the length of a block."""
    started = Processes(folder, environment)
    try:
        yield started
    finally:
        started.end()


def freeze(process: subprocess.Popen[bytes], store: Store) -> None:
    """Stop a process at a moment at which it keeps nobody from writing, as one that writes to a SQLite file does."""
    while True:
        process.send_signal(signal.SIGSTOP)
        try:
            store.run(store.pause("queue", ["another"], True))
        except StoreUnavailable:
            process.send_signal(signal.SIGCONT)
        else:
            return


def until(true: Callable[[], object], seconds: float = 30.0, what: str = "") -> None:
    """Wait for something that another process brings about; AssertionError when it does not come."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s: {what or true}"
        time.sleep(0.02)
