"""A command inside the transaction of a caller's own connection to PostgreSQL.

We never commit, repeat nothing and change no setting; errors pass through unchanged. Values go in as text or null and
come out as text, so that the caller's codecs, row factories and time zone do not matter.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar
from weakref import WeakSet

from stoker.core.clock import Clock
from stoker.core.command import Command, Replies, Row, Sql, Value
from stoker.drivers.postgres import PostgresDriver
from stoker.drivers.postgres_callers import AsyncCaller, Caller, Statement, async_caller, caller, run_sync, wraps_sync
from stoker.errors import EnqueueError, NotSupported, WrongDatabase

T = TypeVar("T")
Unit: TypeAlias = Generator[Statement, Sequence[Row], Replies]
"""Gives the statements to send, is given the rows of each, and returns the replies."""


class Place(NamedTuple):
    """Which database a connection is open on."""

    database: str
    started: str
    """When its server was started: another one, also a copy of ours, was started at another microsecond."""


IDENTITY: Final = """
SELECT current_database()::text, (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint::text"""
_ASK: Final = Command("ask", (Sql(IDENTITY, {}),), lambda replies: Place(*replies[0][0]), writes=False)


class _Elsewhere(Exception):
    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.place = place


class Joining:
    """Runs the commands of one store inside callers' transactions."""

    def __init__(self, driver: PostgresDriver, url: str, clock: Clock | None) -> None:
        self._driver = driver
        self._url = url
        self._clock = clock
        self._places: set[Place] = set()
        """Where the store's database is: one more with each restart of its server."""
        self._known: WeakSet[Any] = WeakSet()
        """Connections that are open there."""

    def run(self, on: object, command: Command[T]) -> T:
        """Run a command on a sync connection or session.

        Raises NotSupported for anything else and for commands that cannot join, EnqueueError where no transaction is
        open and none opens by itself, WrongDatabase for a connection to another database.
        """
        self._check(command)
        found = caller(on, self._driver.texts, self._url)
        if not self._places:
            self._found(self._driver.run(_ASK))
        try:
            return command.read(_drive(found, self._unit(found, command)))
        except _Elsewhere as there:
            self._found(self._driver.run(_ASK), there.place)
        return command.read(_drive(found, self._unit(found, command)))

    async def arun(self, on: object, command: Command[T]) -> T:
        """Run a command on an async connection or session, or on a sync one, which blocks the event loop meanwhile."""
        self._check(command)
        if not self._places:
            # Before anything that is sync: it may have to make the schema.
            self._found(await self._driver.arun(_ASK))
        if wraps_sync(on):
            answer: T = await run_sync(on, lambda inner: self.run(inner, command))
            return answer
        found = async_caller(on, self._driver.texts)
        if found is None:
            return self.run(on, command)
        try:
            return command.read(await _adrive(found, self._unit(found, command)))
        except _Elsewhere as there:
            self._found(await self._driver.arun(_ASK), there.place)
        return command.read(await _adrive(found, self._unit(found, command)))

    def _check(self, command: Command[Any]) -> None:
        if not command.joins:
            raise NotSupported(f"{command.name} cannot join a transaction", store=self._url, verb=command.name)

    def _found(self, here: Place, there: Place | None = None) -> None:
        self._places.add(here)
        if there is not None and there != here:
            which = "another server's database" if there.database == here.database else "the database"
            raise WrongDatabase(
                f"transaction= is a connection to {which} {there.database}, but the jobs are kept in {self._url}"
            )

    def _unit(self, found: Caller | AsyncCaller, command: Command[Any]) -> Unit:
        if found.autocommit:
            raise EnqueueError(
                "the connection given as transaction= is in autocommit mode and has no open transaction to join: "
                "begin one first, or leave transaction= out"
            )
        if found.key not in self._known:
            place = Place(*(yield Statement(IDENTITY, {}))[0])
            if place not in self._places:
                raise _Elsewhere(place)
            self._known.add(found.key)
        now = None if self._clock is None else self._clock.now()
        steps = [_as_texts(step, command, now) for step in command.steps]
        return (yield from _steps(steps))


def _steps(steps: Sequence[Statement]) -> Unit:
    replies: list[Sequence[Row]] = []
    if len(steps) < 2:
        # A savepoint for each would make a transaction with many enqueues slow for everybody: beyond 64, other sessions
        # have to look up subtransactions on disk. A single statement that fails is like any other of the caller's.
        for step in steps:
            replies.append((yield step))  # noqa: PERF401 - no comprehension can yield
        return replies
    yield Statement("SAVEPOINT stoker", {})
    try:
        for step in steps:
            replies.append((yield step))  # noqa: PERF401
    except BaseException:
        with suppress(Exception):  # the first error is the one to tell
            yield Statement("ROLLBACK TO SAVEPOINT stoker", {})
            yield Statement("RELEASE SAVEPOINT stoker", {})
        raise
    yield Statement("RELEASE SAVEPOINT stoker", {})
    return replies


def _drive(found: Caller, unit: Unit) -> Replies:
    try:
        step = next(unit)
        while True:
            try:
                rows = found.execute(step)
            except BaseException as error:
                step = unit.throw(error)
            else:
                step = unit.send(rows)
    except StopIteration as end:
        replies: Replies = end.value
        return replies


async def _adrive(found: AsyncCaller, unit: Unit) -> Replies:
    try:
        step = next(unit)
        while True:
            try:
                rows = await found.execute(step)
            except BaseException as error:
                step = unit.throw(error)
            else:
                step = unit.send(rows)
    except StopIteration as end:
        replies: Replies = end.value
        return replies


def _as_texts(step: object, command: Command[Any], now: int | None) -> Statement:
    if not isinstance(step, Sql) or not isinstance(step.params, Mapping):
        raise NotSupported(f"{command.name} was made by another store than this one", verb=command.name)
    return Statement(step.text, {name: _text(value) for name, value in {**step.params, "now": now}.items()})


def _text(value: Value) -> str | None:
    assert not isinstance(value, bytes)  # noqa: S101 - told to the type checkers
    return value if value is None or isinstance(value, str) else str(value).lower()
