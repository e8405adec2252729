"""`python -m stoker …` as a process of its own, whose output can be waited for."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Self

DEADLINE = 30.0


def environment(**variables: str) -> dict[str, str]:
    """Give this process's environment without stoker's variables, and with the given ones."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STOKER_")}
    return {**kept, "PYTHONUNBUFFERED": "1", **variables}


def said(folder: Path, *args: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Say `stoker …` in a folder and wait for its end."""
    command = [sys.executable, "-m", "stoker", *args]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


class Running:
    """A `stoker …` that stays; leaving the `with` kills it."""

    def __init__(self, folder: Path, *args: str, **variables: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "stoker", *args],
            cwd=folder,
            env=environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.stdout: list[str] = []
        self.stderr: list[str] = []
        self._changed = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(self._process.stdout, self.stdout), daemon=True),
            threading.Thread(target=self._read, args=(self._process.stderr, self.stderr), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join()
        for stream in (self._process.stdout, self._process.stderr):
            if stream:
                stream.close()

    @property
    def lines(self) -> list[str]:
        return [*self.stdout, *self.stderr]

    def line_with(self, text: str) -> str:
        """Wait for a line that contains a text, and give it."""
        end = time.monotonic() + DEADLINE
        with self._changed:
            while not (found := [line for line in self.lines if text in line]):
                left = end - time.monotonic()
                assert left > 0, f"no line with {text!r} in {self.lines}"
                assert self._process.poll() is None or self._open(), f"ended without {text!r}: {self.lines}"
                self._changed.wait(min(left, 0.5))
        return found[0]

    def send(self, signal: int) -> None:
        self._process.send_signal(signal)

    def ended(self) -> int:
        """Wait for the end and give the exit code."""
        code = self._process.wait(DEADLINE)
        for reader in self._readers:
            reader.join(DEADLINE)
        return code

    def _open(self) -> bool:
        return any(reader.is_alive() for reader in self._readers)

    def _read(self, stream: IO[str] | None, lines: list[str]) -> None:
        for line in stream or ():
            with self._changed:
                lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()
