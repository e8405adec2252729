"""The store of a sandbox: the one in memory, with the faults that a test asks for."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from stoker.core.capability import Capability
from stoker.core.clock import Clock
from stoker.core.command import Command
from stoker.core.settlement import Settled, Settlement
from stoker.stores.memory import MemoryStore
from stoker.testing.faults import Faults

T = TypeVar("T")


class SandboxStore(MemoryStore):
    """Jobs in memory, for one test."""

    def __init__(self, clock: Clock, faults: Faults) -> None:
        super().__init__(clock)
        self._faults = faults

    def run(self, command: Command[T], on: object | None = None) -> T:
        """Apply a command, unless a fault was arranged for it."""
        fault = self._faults.of_verb(command.name)
        if fault is not None and not fault.uncertain:
            raise fault.error(self.url)
        answer = super().run(command, on)
        if fault is not None:
            raise fault.error(self.url)
        return answer


class JoiningStore(SandboxStore):
    """The same for applications whose own store joins transactions: jobs are there at once, whatever becomes of those.

    Memory has no part in anybody's transaction. That enqueues and rollbacks belong together is the real store's
    promise, and its contract suite's matter.
    """

    capabilities: ClassVar[Capability] = MemoryStore.capabilities | Capability.TRANSACTIONS

    def run(self, command: Command[T], on: object | None = None) -> T:
        """Apply a command, in no transaction."""
        return super().run(command) if command.steps else command.read(())

    async def arun(self, command: Command[T], on: object | None = None) -> T:
        """Do the same."""
        return self.run(command)

    def complete(self, ending: Settlement) -> Command[Settled]:
        """Complete the job at once."""
        settling = self.settle([ending])
        return Command("complete", settling.steps, lambda answers: answers[ending.id], settling.retry, joins=True)
