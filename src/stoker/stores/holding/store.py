"""What is the same in each of these stores: how commands run, and the verbs that concern leases alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from stoker.core.clock import Clock
from stoker.core.command import Command, Script
from stoker.core.finding import Finding
from stoker.core.job import Extended, JobId, Token
from stoker.core.moving import Hold
from stoker.drivers.redis import RedisDriver
from stoker.drivers.redis_link import Target
from stoker.errors import NotSupported
from stoker.stores.base import Store
from stoker.stores.holding.commands import Arg, HoldingScripts
from stoker.stores.holding.moving import holds
from stoker.stores.redis_health import examine
from stoker.stores.walks import Walk

T = TypeVar("T")


class HoldingStore(Store):
    """Jobs in somebody else's keys on a Redis server; what a claim holds lies under its token until it is over."""

    def __init__(self, target: Target, shown: str, clock: Clock | None, scripts: HoldingScripts) -> None:
        self.url = shown
        self._leases = scripts
        self._driver = RedisDriver(target, shown, clock)

    def run(self, command: Command[T], on: object | None = None) -> T:
        """Run a command in this thread. There are no transactions to join: ``on`` raises NotSupported."""
        self._refuse_joining(command, on)
        if isinstance(command, Walk):
            walk: Walk[T] = command
            return self._follow(walk)
        if not command.steps:
            return command.read([])
        step = command.steps[0]
        if not isinstance(step, Script):
            raise NotSupported(f"{command.name} was made by another store than {self.url}", verb=command.name)
        return command.read(self._driver.run(step, command.retry, command.name))

    async def arun(self, command: Command[T], on: object | None = None) -> T:
        """Run a command without blocking the event loop."""
        self._refuse_joining(command, on)
        if len(command.steps) == 1 and isinstance(step := command.steps[0], Script):
            return command.read(await self._driver.arun(step, command.retry, command.name))
        return await self._driver.in_thread(lambda: self.run(command))

    def examine(self) -> Sequence[Finding]:
        """Look for what slows this store down or loses its jobs."""
        return self._driver.visit(examine, "doctor")

    def close(self) -> None:
        """Close the connections and end the threads of this process."""
        self._driver.close()

    def migrate(self) -> Sequence[str]:
        """Do nothing: there is no schema."""
        return ()

    def pending_migrations(self) -> Sequence[str]:
        """Name none."""
        return ()

    def _follow(self, walk: Walk[T]) -> T:
        if walk.course is None:
            raise NotSupported(f"{walk.name} leads nowhere", store=self.url, verb=walk.name)
        course = walk.course()
        try:
            script = next(course)
            while True:
                script = course.send(self._driver.run(script, walk.retry, walk.name))
        except StopIteration as end:
            answer: T = end.value
            return answer

    def _refuse_joining(self, command: Command[T], on: object | None) -> None:
        if on is not None:
            raise NotSupported(
                f"{self.url} cannot join a transaction: it lacks TRANSACTIONS", store=self.url, verb=command.name
            )

    # -- verbs; what each does is said in `Store` --------------------------------------------------------------------

    def extend(
        self, tokens: Sequence[Token], lease: int, *, stopping: bool = False, started: Sequence[JobId] = ()
    ) -> Command[Extended]:
        args: list[Arg] = [lease, int(stopping), len(tokens), *tokens, *started]
        keys = [self._leases.claim_keys(token)[0] for token in tokens]

        def read(missing: list[bytes]) -> Extended:
            return Extended(frozenset(Token(token.decode()) for token in missing))

        return self._leases.command("extend", args, read, more=keys)

    def lead(self, role: str, holder: str, ttl: int) -> Command[bool]:
        return self._leases.command("lead", [role, holder, ttl], bool)

    def holds(self) -> Command[list[Hold]]:
        return self._leases.walk("holds", holds(self._leases))
