"""Worker processes of a bench, from the side of the one that measures."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from types import TracebackType
from typing import Self

import msgspec

from stoker.bench.application import Task
from stoker.bench.shift import ShiftReport
from stoker.bench.worker import READY
from stoker.errors import StokerError


class Crew:
    """A number of worker processes that have started and wait for ``go``; a context manager that ends them."""

    def __init__(self, task: Task, processes: int) -> None:
        self._tasks = [_share(task, processes, place) for place in range(processes)]
        self._hands: list[subprocess.Popen[str]] = []

    def say(self, *words: str) -> None:
        """Send words to all of them; one that has died shows when its answer is read."""
        for hand in self._hands:
            _tell(hand, *words)

    def finish(self) -> list[ShiftReport]:
        """Let them empty the store and give their reports; StokerError when one has died."""
        self.say("finish")
        reports: list[ShiftReport] = []
        for hand in self._hands:
            text, _ = hand.communicate()
            if hand.returncode:
                raise StokerError(f"bench: a worker process ended with {hand.returncode}; see its error above")
            try:
                reports.append(msgspec.json.decode(text, type=ShiftReport))
            except msgspec.DecodeError as error:
                raise StokerError(f"bench: a worker process left no whole report: {error}") from error
        return reports

    def __enter__(self) -> Self:
        for _ in self._tasks:
            # A module name and nothing else: what the process needs to know comes over its standard input.
            command = [sys.executable, "-m", "stoker.bench.worker"]
            hand = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
            self._hands.append(hand)
        for hand, task in zip(self._hands, self._tasks, strict=True):
            _tell(hand, msgspec.json.encode(task).decode())
        for hand in self._hands:
            if hand.stdout is None or hand.stdout.readline().strip() != READY:
                self._end()
                raise StokerError("bench: a worker process could not start; see its error above")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        for hand in self._hands:
            if hand.poll() is None:
                hand.kill()
            for pipe in (hand.stdin, hand.stdout):
                if pipe is not None and not pipe.closed:
                    pipe.close()
            hand.wait()


def _tell(hand: subprocess.Popen[str], *words: str) -> None:
    if hand.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            hand.stdin.write("".join(f"{word}\n" for word in words))
            hand.stdin.flush()


def _share(task: Task, processes: int, place: int) -> Task:
    """Give one process its part of the jobs after which all are to stop."""
    if task.stop_after is None:
        return task
    each, odd = divmod(task.stop_after, processes)
    return msgspec.structs.replace(task, stop_after=each + (place < odd))
