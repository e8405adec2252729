"""A base for stores whose verbs are Python functions, each called inside one unit of the store's."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import ClassVar, Final, Generic, NoReturn, TypeVar

from stoker.core.capability import Capability
from stoker.core.clock import Clock
from stoker.core.command import Apply, Command, Retry
from stoker.core.job import NewJob
from stoker.errors import NotSupported
from stoker.stores.base import Store, check_enqueue

T = TypeVar("T")
U = TypeVar("U")


class SimpleStore(Store, Generic[U]):
    """What a store that has no server to talk to, or a blocking client, need not write itself.

    A subclass has `unit`, makes its commands with `command`, and is woken by looking every ``poll`` seconds. It has no
    schema, nothing to close and joins no transactions, unless it says otherwise.
    """

    poll: ClassVar[float] = 0.2
    """Seconds between two looks of a worker that waits."""

    def __init__(self, url: str, clock: Clock) -> None:
        self.url = url
        self.clock: Final = clock

    @abstractmethod
    def unit(self, now: int) -> AbstractContextManager[U]:
        """Enter one unit: until its end nobody else sees or changes anything. ``now`` is the instant of the store.

        Raises StoreUnavailable where it cannot be entered.
        """

    def command(self, name: str, change: Callable[[U], T], retry: Retry = Retry.SAFE) -> Command[T]:
        """Make the command of a verb: what to do inside a unit, and whose answer is the verb's."""
        return Command(name, (Apply(change),), _as_it_is, retry)

    def run(self, command: Command[T], on: object | None = None) -> T:
        """Do what a command says inside one unit, in this thread. ``on`` raises NotSupported."""
        if on is not None:
            self._say_no(f"{self.url} cannot join a transaction: it lacks TRANSACTIONS", command.name)
        step = command.steps[0] if command.steps else None
        if not isinstance(step, Apply):
            self._say_no(f"{command.name} was made by another store than {self.url}", command.name)
        with self.unit(self.clock.now()) as unit:
            return command.read(step.change(unit))

    async def arun(self, command: Command[T], on: object | None = None) -> T:
        """Do the same in a thread."""
        import asyncio

        return await asyncio.to_thread(self.run, command, on)

    async def wait(self, queues: Sequence[str], timeout: float) -> bool:
        """Sleep until it is time for the next look."""
        import asyncio

        if timeout <= 0:
            return False
        awake = asyncio.Event()
        timer = self.clock.call_later(min(timeout, self.poll), awake.set)
        try:
            await awake.wait()
        finally:
            timer.cancel()
        return False

    def close(self) -> None:
        """Do nothing."""

    def migrate(self) -> Sequence[str]:
        """Do nothing: there is no schema."""
        return ()

    def pending_migrations(self) -> Sequence[str]:
        """Name none."""
        return ()

    def check_enqueue(self, jobs: Sequence[NewJob]) -> None:
        """Refuse calls that are too large, and jobs that ask for what the store's flags say it lacks.

        Raises EnqueueError, NotSupported.
        """
        check_enqueue(jobs)
        for job in jobs:
            for wish, asked, flag in (
                ("a delay", job.due.delay > 0 or job.due.at is not None, Capability.SCHEDULE),
                (f"priority {job.priority}", job.priority, Capability.PRIORITY),
                ("tags", job.route, Capability.TAGS),
                ("a unique key", job.unique, Capability.UNIQUE),
                ("limits", job.gates, Capability.LIMITS),
                ("expires", job.expires, Capability.EXPIRY),
                ("a batch", job.batch, Capability.BATCH),
            ):
                if asked and not self.supports(flag):
                    self._say_no(f"{self.url} cannot enqueue {job.name} with {wish}: it lacks {flag.name}", "enqueue")

    def _say_no(self, problem: str, verb: str) -> NoReturn:
        raise NotSupported(problem, store=self.url, verb=verb)


def _as_it_is(answer: T) -> T:
    return answer
