"""The supervisor: starts worker processes, starts them again, and gives the jobs of the dead back at once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from stoker.core.job import Token
from stoker.errors import StoreError
from stoker.runtime.pulse import Pulse, metrics

FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
SETTLED: Final = 30.0
"""Seconds after which a process that ends is started again as if it had never failed."""
LAST_WORDS: Final = 15.0
"""Seconds beyond the grace period that processes have when they are told to stop."""
HOPELESS: Final = frozenset({2, 3, 4})
"""Exit codes of a worker that another try would not help: wrong use, no store, old schema."""

log = logging.getLogger("stoker")
TakeBack = Callable[[str, Sequence[Token]], Awaitable[None]]


class SupervisorPlan(msgspec.Struct, frozen=True):
    """What a supervisor does."""

    command: tuple[str, ...]
    """Starts one worker; the number of a file descriptor is added to it."""
    processes: int
    grace: float
    silence: float
    """Seconds without a pulse after which a process is taken for frozen, and killed."""
    until_empty: bool = False
    patient: bool = False
    """Whether a worker that cannot start waits for a change of its code."""


class WorkerProcess:
    """One worker, as its supervisor knows it."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, hold: asyncio.StreamWriter
    ) -> None:
        self.process = process
        self.began = self.heard = time.monotonic()
        self.pulse: Pulse | None = None
        self.told = False
        """Whether it was told to stop: the next SIGTERM would make it leave its running jobs."""
        self.tokens: dict[str, dict[Token, None]] = {}
        self._reader = reader
        self._hold = hold
        """Kept open: when it closes, the worker knows that its supervisor is gone."""

    async def ended(self) -> int:
        """Listen until the process has ended, and give its exit code."""
        while line := await self._line():
            self.heard = time.monotonic()
            match line[:1]:
                case b"+":
                    store, _, token = line[1:].decode().strip().partition(" ")
                    self.tokens.setdefault(store, {})[Token(token)] = None
                case b"-":
                    store, _, token = line[1:].decode().strip().partition(" ")
                    self.tokens.get(store, {}).pop(Token(token), None)
                case _:
                    with contextlib.suppress(msgspec.MsgspecError):
                        self.pulse = msgspec.json.decode(line, type=Pulse)
        self._hold.close()
        return await self.process.wait()

    def stop(self) -> None:
        """Tell it to stop in order, unless it was told before."""
        if not self.told:
            self.told = True
            self.send(signal.SIGTERM)

    def send(self, number: int) -> None:
        """Send a signal."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    async def _line(self) -> bytes:
        try:
            return await self._reader.readline()
        except (ConnectionError, ValueError):
            return b""


class Supervisor:
    """Keeps a number of worker processes running."""

    def __init__(self, plan: SupervisorPlan, take_back: TakeBack, ready: Callable[[], None]) -> None:
        self._plan = plan
        self._take_back = take_back
        self._ready = ready
        self._running: dict[int, WorkerProcess] = {}
        self._stop = asyncio.Event()
        self._changed = asyncio.Event()
        self._ever_ready = False
        self._code = 0
        self._past: Counter[str] = Counter()
        self._restarts: Counter[str] = Counter({"recycled": 0, "crashed": 0, "replaced": 0})
        self._rolling: asyncio.Task[None] | None = None

    async def run(self) -> int:
        """Work until `stop`, or until every worker has found its store empty; gives the exit code."""
        keeping = [asyncio.ensure_future(self._keep(index)) for index in range(self._plan.processes)]
        watching = asyncio.ensure_future(self._watch())
        try:
            await asyncio.gather(*keeping)
        finally:
            watching.cancel()
            if self._rolling is not None:
                self._rolling.cancel()
            for task in keeping:
                task.cancel()
            for worker in self._running.values():
                worker.send(signal.SIGKILL)
        return self._code

    def stop(self) -> None:
        """Tell the workers to stop, and start none again."""
        self._stop.set()
        for worker in self._running.values():
            worker.stop()

    def leave(self) -> None:
        """Tell the workers, which `stop` or a replacement has told to stop, to leave at once."""
        for worker in self._running.values():
            worker.send(signal.SIGTERM)

    def replace(self) -> None:
        """Stop every worker in order, at once, and start another in its place: code has changed."""
        self._changed.set()
        for worker in self._running.values():
            worker.stop()

    def roll(self) -> None:
        """Replace one worker after the other, the next when the one before takes jobs: nothing stands still."""
        if self._rolling is not None:
            self._rolling.cancel()
        self._rolling = asyncio.ensure_future(self._roll())

    async def _roll(self) -> None:
        self._changed.set()
        # Those that are stopping already come first: another one told beside them would make two that take no jobs.
        for index, worker in sorted(self._running.items(), key=lambda one: (not one[1].told, one[0])):
            worker.stop()
            # One that cannot start is tried again and again; the others go on with the code that they have.
            while not self._follows(index, worker):  # noqa: ASYNC110 a pulse is a line of a socket, heard elsewhere
                await asyncio.sleep(0.05)

    def _follows(self, index: int, worker: WorkerProcess) -> bool:
        present = self._running.get(index)
        return present not in (None, worker) and present.pulse is not None and present.pulse.ready

    # -- what probes ask ---------------------------------------------------------------------------------------------

    @property
    def healthy(self) -> bool:
        """Whether no process is frozen."""
        return all(time.monotonic() - one.heard < self._plan.silence for one in self._running.values())

    def unready(self) -> str:
        """Say why no jobs are taken; '' when they are."""
        if self._stop.is_set():
            return "stopping"
        ready = sum(one.pulse is not None and one.pulse.ready for one in self._running.values())
        return "" if ready else f"none of {self._plan.processes} processes is ready"

    def metrics(self) -> str:
        """Give what Prometheus reads."""
        pulses = [one.pulse for one in self._running.values() if one.pulse is not None]
        return metrics(pulses, self._past, self._restarts)

    # -- one process after the other ---------------------------------------------------------------------------------

    async def _keep(self, index: int) -> None:
        delay = 0.0
        while not self._stop.is_set():
            self._changed.clear()
            worker = await self._start()
            self._running[index] = worker
            if self._stop.is_set():  # set while it was being started, so it was not told
                worker.stop()
            code = await worker.ended()
            del self._running[index]
            await self._bury(worker)
            if self._over(worker, code):
                return
            if code == 0:
                self._restarts["replaced" if worker.told else "recycled"] += 1
                delay = 0.0
                continue
            delay = self._delay(worker, delay)
            await self._wait_after(worker, code, delay)

    def _over(self, worker: WorkerProcess, code: int) -> bool:
        if self._stop.is_set():
            # One that was told before it could listen had not begun.
            well = code == 0 or (code == -signal.SIGTERM and worker.pulse is None)
            self._code = max(self._code, 0 if well else 1)
            return True
        if code == 0 and self._plan.until_empty and not worker.told:
            return True
        if code in HOPELESS and not self._ever_ready and not self._plan.patient:
            self._code = code
            self.stop()
            return True
        return False

    def _delay(self, worker: WorkerProcess, delay: float) -> float:
        """Give the seconds until the next start: none at first, then more each time, until one has held."""
        if worker.pulse is not None and delay == 0.0:
            return FIRST_DELAY / 100
        if time.monotonic() - worker.began > SETTLED:
            return FIRST_DELAY / 100
        return min(LONGEST_DELAY, max(FIRST_DELAY, 2 * delay))

    async def _wait_after(self, worker: WorkerProcess, code: int, delay: float) -> None:
        self._restarts["crashed"] += 1
        died = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
        waits: list[Awaitable[object]] = [self._stop.wait(), self._changed.wait()]
        if self._plan.patient and worker.pulse is None:
            log.error("worker process %d %s; waiting for a change of its code", worker.process.pid, died)
        else:
            log.error("worker process %d %s; the next one starts in %.1f s", worker.process.pid, died, delay)
            waits.append(asyncio.sleep(delay))
        tasks = [asyncio.ensure_future(wait) for wait in waits]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()

    async def _start(self) -> WorkerProcess:
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *self._plan.command,
                str(theirs.fileno()),
                pass_fds=[theirs.fileno()],
                # Ctrl-C at the terminal is for the supervisor; it tells the others, once.
                start_new_session=True,
            )
        reader, writer = await asyncio.open_connection(sock=ours)
        return WorkerProcess(process, reader, writer)

    async def _bury(self, worker: WorkerProcess) -> None:
        """Give back what a process held that is no more."""
        if worker.pulse is not None:
            self._past.update(worker.pulse.ended)
        for store, tokens in worker.tokens.items():
            if tokens:
                try:
                    await self._take_back(store, tuple(tokens))
                except StoreError as error:
                    log.warning("the jobs of process %d go back with their leases: %s", worker.process.pid, error)

    async def _watch(self) -> None:
        """See who is ready, frozen, or does not stop."""
        stopped_at: float | None = None
        while True:
            await asyncio.sleep(0.1)
            now = time.monotonic()
            if not self._ever_ready and any(one.pulse is not None for one in self._running.values()):
                self._ever_ready = True
                self._ready()
            if self._stop.is_set():
                stopped_at = stopped_at or now
            overdue = stopped_at is not None and now - stopped_at > self._plan.grace + LAST_WORDS
            for worker in self._running.values():
                if overdue or (worker.pulse is not None and now - worker.heard > self._plan.silence):
                    log.error("worker process %d does not answer and is killed", worker.process.pid)
                    worker.send(signal.SIGKILL)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
