"""A process that performs attempts for a worker, one at a time.

The main thread performs, so that signals reach the handler's code; another listens to the worker, and ends the process
when the worker is gone.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import logging
import os
import runpy
import signal
import socket
import sys
import threading
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any, NoReturn, cast

from stoker.app.child_reports import ToWorker, raised, signalled
from stoker.core.duration import SECOND
from stoker.core.job import Claim
from stoker.errors import EnqueueError, NotSupported, StokerError
from stoker.jobs.context import Context, Flag
from stoker.jobs.defined import DefinedJob
from stoker.jobs.definition import JobDefinition
from stoker.jobs.following import Following
from stoker.jobs.options import Defaults, JobRules
from stoker.jobs.preparing import prepared
from stoker.jobs.signals import Signal
from stoker.jobs.signature import is_async
from stoker.runtime import current
from stoker.runtime.channel import (
    HEADER,
    MAIN,
    STOPPED,
    Ended,
    Followed,
    FromChild,
    Hello,
    Noted,
    Perform,
    Place,
    Ready,
    Returned,
    Signalled,
    Stop,
    Stopping,
    ToChild,
    frame,
    to_child,
)
from stoker.runtime.following import checked_draft
from stoker.runtime.memory import resident


class Interrupted(BaseException):
    """Raised in a handler that did not end by itself after its stop flag was up; soon the process is killed."""


class ChildContext(Context[Any]):
    """The context of an attempt in a process of its own."""

    @property
    def state(self) -> NoReturn:
        """Refuse: the lifespan ran in the worker."""
        raise StokerError(
            f"{self.name}: ctx.state lives in the worker's process; a job with executor='process' makes what it needs "
            "at the top of its module, once per process"
        )


class Performer:
    """Performs what the worker orders."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._incoming = channel.makefile("rb")
        self._sending = threading.Lock()
        self._orders: SimpleQueue[Perform] = SimpleQueue()
        self._known: dict[tuple[Place, str], tuple[DefinedJob[Any], bool]] = {}
        self._stores: dict[tuple[Place, str], tuple[str, Defaults]] = {}
        """Of each job its store, and its application's defaults."""
        self._stopping = Flag()
        self._cancelled = Flag()
        self._inside = False
        self._order: Perform | None = None
        self._task: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None
        self._hello: Hello | None = None

    def run(self) -> NoReturn:
        """Perform until the worker is gone."""
        self._prepare(cast("Hello", self._hear()))
        signal.signal(signal.SIGTERM, self._interrupt)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=self._listen, name="stoker-worker", daemon=True).start()
        self.send(Ready())
        while True:
            order = self._orders.get()
            self.send(self._ended(order))

    def send(self, message: FromChild) -> None:
        """Tell the worker."""
        data = frame(message)
        with self._sending:
            self._channel.sendall(data)

    def write(self, claim: Claim, *, progress: str | None = None, checkpoint: str | None = None) -> None:
        """Pass on what the attempt notes."""
        if self._order is not None and not self._order.notes:
            raise NotSupported("the store keeps no notes: it lacks NOTE", verb="note")
        self.send(Noted(progress, checkpoint))

    # -- listening ---------------------------------------------------------------------------------------------------

    def _hear(self) -> ToChild:
        try:
            header = self._incoming.read(HEADER.size)
            body = self._incoming.read(HEADER.unpack(header)[0]) if len(header) == HEADER.size else b""
        except OSError:
            body = b""  # it was killed with messages of ours unread
        if not body:
            os._exit(0)  # the worker is gone: whoever gets its jobs must not find them running here
        return to_child.decode(body)

    def _listen(self) -> None:
        while True:
            match self._hear():
                case Perform() as order:
                    # Lowered here, in the order of the messages, and not where the attempt begins.
                    self._cancelled = Flag()
                    self._stopping.up = self._stopping.up or order.stopping
                    self._orders.put(order)
                case Stop():
                    self._cancelled.up = True
                    if (running := self._task) is not None:
                        running[0].call_soon_threadsafe(running[1].cancel)
                case Stopping():
                    self._stopping.up = True
                case Hello():
                    pass

    def _interrupt(self, *_: object) -> None:
        if self._inside:
            raise Interrupted

    # -- performing --------------------------------------------------------------------------------------------------

    def _ended(self, order: Perform) -> Ended:
        self._order = order
        secrets: tuple[str, ...] = ()
        try:
            definition, asynchronous = self._defined(order)
            arguments = definition.decode(order.claim.args)
            secrets = definition.secrets_in(order.claim.args)
            context = self._context(order) if definition.wants_context else None
            claim = order.claim
            current.performing.set(current.Performing(claim.id, claim.root or claim.id))
            self._inside = True
            try:
                value = definition.call(arguments, context)
                if asynchronous:
                    value = asyncio.run(self._awaited(value))
            finally:
                self._inside = False
            text, reason = definition.encode_result(value)
            return Returned(text, reason, resident())
        except (asyncio.CancelledError, Interrupted) as error:
            if self._cancelled.up:
                return Signalled(STOPPED)
            return raised(error, secrets)
        except Signal as error:
            return signalled(error)
        except BaseException as error:  # SystemExit in a handler ends the attempt, as in a thread
            return raised(error, secrets)

    async def _awaited(self, value: Awaitable[Any]) -> Any:
        task = asyncio.ensure_future(value)
        self._task = (asyncio.get_running_loop(), task)
        try:
            if self._cancelled.up:
                task.cancel()
            return await task
        finally:
            self._task = None

    def _context(self, order: Perform) -> Context[Any]:
        deadline = None if order.timeout is None else datetime.now(UTC) + timedelta(seconds=order.timeout / SECOND)
        return ChildContext(
            order.claim,
            deadline=deadline,
            cancelled=self._cancelled,
            stopping=self._stopping,
            finisher=_no_finisher,
            notebook=self,
            saved=order.saved,
            follow=functools.partial(self._follow, order),
        )

    def _follow(self, order: Perform, following: Following) -> None:
        draft, owner = checked_draft(following), self._stores[order.place, order.claim.name]
        if not order.atomic:
            raise NotSupported("ctx.then: the store lacks ATOMIC; enqueue the job in the handler", verb="settle")
        if draft.store != owner[0]:
            raise EnqueueError(
                f"ctx.then: {draft.name} waits in the store {draft.store!r}, which is not that of {order.claim.name}; "
                "two stores have no unit in common: enqueue it in the handler"
            )
        claim = order.claim
        self.send(Followed(prepared([draft], owner[1], (), claim.id, claim.root or claim.id)[0]))

    def _defined(self, order: Perform) -> tuple[DefinedJob[Any], bool]:
        key = (order.place, order.claim.name)
        if key not in self._known:
            module = (
                sys.modules[MAIN] if order.place.module == "__main__" else importlib.import_module(order.place.module)
            )
            found: Any = module
            for part in order.place.name.split("."):
                found = getattr(found, part)
            handler = found.handler if isinstance(found, JobDefinition) else found
            self._configure(module, found)
            definition: DefinedJob[Any] = DefinedJob(
                order.claim.name, handler, JobRules(), cast("Any", None), opened=True
            )
            self._known[key] = definition, is_async(handler)
            if isinstance(found, JobDefinition):
                self._stores[key] = found.store, found.backend.defaults
            else:
                self._stores[key] = "default", Defaults()
        return self._known[key]

    # -- the worker's world ------------------------------------------------------------------------------------------

    def _prepare(self, hello: Hello) -> None:
        self._hello = hello
        current.in_child = True
        sys.path[:] = hello.path
        root = logging.getLogger()
        root.handlers[:] = [ToWorker(self.send)]
        root.setLevel(hello.level)
        if hello.main_module is not None:
            namespace = runpy.run_module(hello.main_module, run_name=MAIN, alter_sys=True)
        elif hello.main is not None:
            namespace = runpy.run_path(hello.main, run_name=MAIN)
        else:
            return
        sys.modules[MAIN] = cast("Any", SimpleNamespace(**namespace))

    def _configure(self, module: Any, found: Any) -> None:
        """Let the application that the handler belongs to know what the worker's command line said."""
        from stoker.app.stoker import Stoker

        hello = self._hello
        if hello is None or not (hello.environment or hello.arguments or hello.home):
            return
        home = None if hello.home is None else Path(hello.home)
        applications = {id(one): one for one in vars(module).values() if isinstance(one, Stoker)}
        owner = getattr(getattr(found, "backend", None), "application", None)
        if isinstance(owner, Stoker):
            applications[id(owner)] = owner
        for application in applications.values():
            application.configure(environment=hello.environment, arguments=hello.arguments, home=home)


def _no_finisher() -> NoReturn:
    raise NotSupported(
        "ctx.completing: a job with executor='process' cannot complete in a transaction", verb="complete"
    )


def main() -> NoReturn:
    """Perform for the worker at the other end of the given socket."""
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        Performer(channel).run()
