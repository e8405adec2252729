"""Processes that perform jobs for a worker: started when needed, kept warm, replaced when they are worn or dead.

A process is never forked from the worker: a copy of its threads' locks and its sockets would come with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable

import msgspec

from stoker.core.clock import Clock
from stoker.core.job import Claim, NewJob
from stoker.errors import ProcessDied
from stoker.runtime.channel import (
    HEADER,
    STOPPED,
    Ended,
    Followed,
    FromChild,
    Hello,
    Logged,
    Noted,
    Perform,
    Ready,
    Signalled,
    Stop,
    Stopping,
    ToChild,
    frame,
    from_child,
)
from stoker.runtime.lines import heard, keeping
from stoker.runtime.notes import Notes

ASKED, INTERRUPTED = 0.5, 0.5
"""Seconds in which a handler may end by itself: after its stop flag is up, then after an exception is raised in it."""
STARTING = 60.0
IDLE_LIFE = 300.0
"""Seconds after which a process that nobody needs is ended."""


class ChildPlan(msgspec.Struct, frozen=True):
    """How processes are started, and when they are worn."""

    command: tuple[str, ...]
    """The number of a file descriptor is added to it."""
    hello: Hello
    max_jobs: int = 1000
    max_rss: int = 0
    """Bytes; 0 for no bound."""


class Child:
    """One process that performs one attempt at a time."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._length: int | None = None
        """Of the message whose header was read already: whoever waited for the rest may have been cancelled."""
        self.performed = 0
        self.rss = 0
        self.idle_since = 0.0

    @classmethod
    async def start(cls, plan: ChildPlan) -> Child:
        """Start a process and wait until it can perform; ProcessDied when it ends before."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *plan.command,
                    str(theirs.fileno()),
                    pass_fds=[theirs.fileno()],
                    stdin=asyncio.subprocess.DEVNULL,
                    # A Ctrl-C at the terminal is the worker's matter.
                    start_new_session=True,
                )
            reader, writer = await asyncio.open_connection(sock=ours)
        except BaseException:
            ours.close()
            raise
        child = cls(process, reader, writer)
        try:
            child.tell(plan.hello)
            async with asyncio.timeout(STARTING):
                while not isinstance(await child.hear(), Ready):
                    pass
        except BaseException:
            await child.end()
            raise
        return child

    def tell(self, message: ToChild) -> None:
        """Send a message; one that a dead process does not get is lost."""
        if not self._writer.is_closing():
            self._writer.write(frame(message))

    async def hear(self) -> FromChild:
        """Wait for the next message; ProcessDied when the process ended instead."""
        try:
            length = self._length
            if length is None:
                (length,) = HEADER.unpack(await self._reader.readexactly(HEADER.size))
                self._length = length
            body = await self._reader.readexactly(length)
        except (EOFError, ConnectionError):
            raise ProcessDied(await self._death()) from None
        self._length = None
        return from_child.decode(body)

    async def perform(self, order: Perform, notes: Notes, follow: Callable[[NewJob], None]) -> Ended:
        """Have one attempt made; ProcessDied when the process ends meanwhile."""
        self.tell(order)
        return await self.ending(order.claim, notes, follow)

    async def ending(self, claim: Claim, notes: Notes, follow: Callable[[NewJob], None]) -> Ended:
        """Wait for the end of the attempt, and pass on what it says meanwhile."""
        while True:
            match await self.hear():
                case Noted(progress, checkpoint):
                    notes.write(claim, progress=progress, checkpoint=checkpoint)
                case Followed(job):
                    follow(job)
                case Logged() as record:
                    _log(record)
                case Ready():
                    pass
                case ended:
                    self.performed += 1
                    self.rss = ended.rss
                    return ended

    def interrupt(self) -> None:
        """Raise an exception in whatever Python code runs there."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    async def end(self) -> None:
        """End the process at once."""
        self._writer.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    @property
    def alive(self) -> bool:
        """Whether it still runs, as far as is known."""
        return self._process.returncode is None and not self._reader.at_eof()

    async def _death(self) -> str:
        self._writer.close()
        try:
            async with asyncio.timeout(1.0):
                code = await self._process.wait()
        except TimeoutError:
            # It closed the channel and goes on: nobody could tell it anything any more.
            await self.end()
            return "the process of the attempt closed its connection to the worker"
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"the process of the attempt was killed by {signal.Signals(-code).name}"
        return f"the process of the attempt ended with exit code {code}"


class Children:
    """The processes of one worker."""

    def __init__(self, plan: ChildPlan, notes: Notes, clock: Clock) -> None:
        self._plan = plan
        self._notes = notes
        self._clock = clock
        self._idle: list[Child] = []
        self._busy: set[Child] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def perform(self, order: Perform, begins: Callable[[], None], follow: Callable[[NewJob], None]) -> Ended:
        """Have one attempt made in a process of its own.

        ``begins`` is called when that is there, ``follow`` with each job that is to follow from its ending. Raises
        ProcessDied. Cancelled, it asks the handler to stop, then raises an exception in it, then kills the process; an
        ending that comes meanwhile is given like any other.
        """
        child = await self._take()
        self._busy.add(child)
        begins()
        worn = True
        try:
            try:
                ended = await child.perform(
                    msgspec.structs.replace(order, stopping=self._stopping), self._notes, follow
                )
                worn = self._worn(child)
            except asyncio.CancelledError:
                ended = await self._stopped(child, order.claim, follow)
        finally:
            self._busy.discard(child)
            if worn:
                self._dismiss(child)
            else:
                child.idle_since = self._clock.monotonic()
                self._idle.append(child)
        return ended

    def stop(self) -> None:
        """Tell all handlers that the worker shuts down."""
        self._stopping = True
        for child in self._busy:
            child.tell(Stopping())

    async def tidy(self) -> None:
        """End the processes that have been idle for long."""
        since = self._clock.monotonic() - IDLE_LIFE
        old = [child for child in self._idle if child.idle_since < since]
        self._idle = [child for child in self._idle if child.idle_since >= since]
        for child in old:
            await child.end()

    async def close(self) -> None:
        """End all processes."""
        for child in [*self._idle, *self._busy]:
            self._dismiss(child)
        self._idle.clear()
        if self._ending:
            await asyncio.wait(self._ending)

    async def _take(self) -> Child:
        while self._idle:
            child = self._idle.pop()
            if child.alive:
                return child
            self._dismiss(child)
        try:
            return await Child.start(self._plan)
        except TimeoutError:
            raise ProcessDied(f"the process of the attempt was not ready within {STARTING:g} s") from None

    async def _stopped(self, child: Child, claim: Claim, follow: Callable[[NewJob], None]) -> Ended:
        """Bring an attempt to its end; CancelledError unless it ends by itself."""
        ending = asyncio.ensure_future(child.ending(claim, self._notes, follow))
        try:
            child.tell(Stop())
            if not (await asyncio.wait([ending], timeout=ASKED))[0]:
                child.interrupt()
                await asyncio.wait([ending], timeout=INTERRUPTED)
            if ending.done() and ending.exception() is None and ending.result() != Signalled(STOPPED):
                return ending.result()
        finally:
            ending.cancel()
        raise asyncio.CancelledError

    def _worn(self, child: Child) -> bool:
        plan = self._plan
        return child.performed >= plan.max_jobs or 0 < plan.max_rss < child.rss

    def _dismiss(self, child: Child) -> None:
        ending = asyncio.ensure_future(child.end())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)


def command(code: str) -> tuple[str, ...]:
    """Give the command that runs some Python with the interpreter of this process and its options."""
    flags = [f"-X{name}" if value is True else f"-X{name}={value}" for name, value in sys._xoptions.items()]  # noqa: SLF001 documented
    return (sys.executable, *flags, *(["-O"] * sys.flags.optimize), "-c", code)


def main_module() -> tuple[str | None, str | None]:
    """Give the file of this process's main module, or its name where it was started with ``-m``."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return None, None if spec.name.split(".")[0] == "stoker" else spec.name
    file = getattr(main, "__file__", None)
    return (os.path.abspath(file) if file and file.endswith(".py") else None), None  # noqa: PTH100


def _log(record: Logged) -> None:
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.level):
        token = keeping.set(None)  # it is heard when it is complete
        made = logger.makeRecord(record.name, record.level, "", 0, record.message, (), None)
        keeping.reset(token)
        made.created = record.created
        made.exc_text = record.trace
        vars(made).update(record.fields)
        heard(made)
        logger.handle(made)
