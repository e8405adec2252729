"""How waiting jobs pass their gates, for stores that decide it in Python; the others do the same in their own tongue.

Jobs of one queue, route, name and set of gates form a *line*: what lets one of them in would let the next one in, so
only its head is looked at. A line whose head is held up is *parked* at the gate that does it, and nobody looks at it
until that gate is *stirred*: a place became free there, its time has come, or its rule changed. So the cost is that of
the jobs that are let in, however many wait. All of it happens under one lock: whoever counts has it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from heapq import heapify, heappop, heappush
from typing import Final, NamedTuple, Protocol, TypeAlias

from stoker.core.limits import Gate, Rule, rule_of

Order: TypeAlias = tuple[int, int, int]
"""Those that kept a place first, then high priority, then the place in line."""

SHORTEST_LOOK: Final = 100_000
"""Microseconds after which a rate is looked at again whose tokens are with admitted jobs that nobody has started."""
MOST_STIRRED: Final = 1000
"""Lines and gates that one call looks at."""


class Head(NamedTuple):
    """The first job of a line."""

    order: Order
    job: int
    gates: tuple[Gate, ...]
    paused: str | None
    """Where the line is parked while its queue or name is paused."""


class Bucket(NamedTuple):
    """The tokens of a rate: ``level`` in microseconds of its period for each token, as of an instant."""

    level: int
    at: int


class Ledger(Protocol):
    """What admission asks of a store and writes down in it."""

    def head(self, line: str) -> Head | None:
        """Give the first job of a line."""

    def rule(self, name: str) -> Rule | None:
        """Give a rule, if anybody said what it is."""

    def holders(self, key: str) -> int:
        """Count the jobs that have a place at a gate: admitted, running, or keeping it between attempts."""

    def started(self) -> Mapping[str, int]:
        """Count by rate the starts that no call has heard of yet: admitted jobs that run by now, or have left."""

    def unstarted(self, key: str) -> int:
        """Count the admitted jobs of a rate of whose start no call has heard."""

    def keeps(self, key: str, job: int) -> bool:
        """Tell whether a waiting job has kept its place at a gate."""

    def bucket(self, key: str) -> Bucket | None:
        """Give the tokens of a rate, None if it was never used."""

    def let_in(self, head: Head, rates: Collection[str]) -> None:
        """Make a job claimable, with a place at each of its gates, of which ``rates`` wait to hear of its start."""

    def park(self, line: str, key: str, order: Order) -> None:
        """Leave a line until that gate is stirred."""

    def forget(self, line: str) -> None:
        """Take note that a line is empty."""

    def stir(self, text: str) -> None:
        """Have a line or gate looked at by the next call."""

    def fill(self, key: str, bucket: Bucket) -> None:
        """Write down the tokens of a rate."""

    def wake(self, key: str, at: int) -> None:
        """Stir a gate at an instant."""


class _Room:
    """What one gate still lets in."""

    def __init__(self, ledger: Ledger, key: str, now: int, started: int = 0) -> None:
        rule = ledger.rule(rule_of(key)) or Rule("")
        self.key = key
        self._free = None if rule.running is None else rule.running - ledger.holders(key)
        self._starts = rule.starts
        self._per = rule.per
        self._capped = False
        self._touched = started > 0
        self._level = 0
        if rule.starts is not None:
            bucket = ledger.bucket(key)
            # A job that was let in and one that has just started leave so many fewer tokens to be had at once.
            most = (rule.starts - ledger.unstarted(key) - started) * rule.per
            filled = rule.starts * rule.per if bucket is None else bucket.level + self._gained(bucket, now)
            self._capped = most < rule.per
            self._level = max(0, min(most, filled))

    @property
    def is_rate(self) -> bool:
        return self._starts is not None

    def _gained(self, bucket: Bucket, now: int) -> int:
        return min(max(0, now - bucket.at), self._per) * (self._starts or 0)

    def lets_in(self, *, keeping: bool) -> bool:
        if self._free is not None and self._free < 1 and not keeping:
            return False
        return self._starts is None or self._level >= self._per

    def take(self, *, keeping: bool) -> None:
        self._touched = True
        self._level -= self._per
        if self._free is not None and not keeping:
            self._free -= 1

    def opens_in(self) -> int | None:
        """Give the microseconds until the next token; None where only a place that becomes free helps."""
        if self._starts is None or self._level >= self._per:
            return None
        missing = -((self._level - self._per) // self._starts)
        return max(missing, SHORTEST_LOOK) if self._capped else missing

    def close(self, ledger: Ledger, now: int) -> None:
        if self._touched and self._starts is not None:
            ledger.fill(self.key, Bucket(self._level, now))


def admit(ledger: Ledger, lines: list[str], now: int, limit: int) -> tuple[int, bool]:
    """Let in up to ``limit`` jobs of the given lines, in the order of all their heads; also tell whether that was all.

    Jobs of lines that were not reached are stirred again.
    """
    rooms = {key: _Room(ledger, key, now, started) for key, started in ledger.started().items()}
    heap: list[tuple[Order, str]] = []
    for line in dict.fromkeys(lines):
        head = ledger.head(line)
        if head is None:
            ledger.forget(line)
        else:
            heap.append((head.order, line))
    heapify(heap)
    count = 0
    while heap and count < limit:
        _, line = heappop(heap)
        head = ledger.head(line)
        if head is None:
            ledger.forget(line)
        elif (obstacle := _obstacle(ledger, rooms, head, now)) is not None:
            ledger.park(line, obstacle, head.order)
        else:
            count += 1
            for gate in head.gates:
                rooms[gate.key].take(keeping=gate.strict and ledger.keeps(gate.key, head.job))
            ledger.let_in(head, [gate.key for gate in head.gates if rooms[gate.key].is_rate])
            following = ledger.head(line)
            if following is None:
                ledger.forget(line)
            else:
                heappush(heap, (following.order, line))
    for _, line in heap:
        ledger.stir(line)
    for room in rooms.values():
        room.close(ledger, now)
    return count, bool(heap)


def _obstacle(ledger: Ledger, rooms: dict[str, _Room], head: Head, now: int) -> str | None:
    if head.paused is not None:
        return head.paused
    for gate in head.gates:
        room = rooms.get(gate.key)
        if room is None:
            room = rooms[gate.key] = _Room(ledger, gate.key, now)
        if not room.lets_in(keeping=gate.strict and ledger.keeps(gate.key, head.job)):
            if (wait := room.opens_in()) is not None:
                ledger.wake(gate.key, now + wait)
            return gate.key
    return None


def paused_gate(kind: str, value: str) -> str:
    """Give where lines are parked while a queue or name is paused."""
    return f"paused {kind} {value}"
