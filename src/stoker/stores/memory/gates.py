"""Gates: who waits at which, who has a place, and what has to be looked at again (contract §3)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from heapq import heappop, heappush
from typing import Protocol, TypeAlias

from stoker.core.job import JobId
from stoker.core.limits import Admitted, Rule, rule_of, written
from stoker.stores.admission import Bucket, Head, Order, admit, paused_gate
from stoker.stores.memory.row import AVAILABLE, Row

Entry: TypeAlias = tuple[Order, Row]


class House(Protocol):
    """What the gates need of the contents they belong to."""

    now: int
    rows: dict[JobId, Row]
    paused: dict[str, dict[str, int]]

    def open_to_claims(self, row: Row) -> None:
        """Put a job that was admitted behind those that are available."""


class Gates:
    """The gates of one store. A row of its own is written only for jobs that have some."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._lines: dict[str, list[Entry]] = {}
        self._parked: dict[str, str] = {}
        """Line → the gate at which it is parked."""
        self._held_up: defaultdict[str, set[str]] = defaultdict(set)
        """Gate → the lines that are parked there."""
        self._places: defaultdict[str, dict[int, bool]] = defaultdict(dict)
        """Gate → the jobs that have a place there, and whether they keep it between attempts."""
        self._unheard: defaultdict[str, set[int]] = defaultdict(set)
        """Rate → the jobs that were let in and of whose start no admit has heard."""
        self._spent: Counter[str] = Counter()
        """Rate → those that have left since, unheard."""
        self._buckets: dict[str, Bucket] = {}
        self._alarms: dict[str, int] = {}
        self._stirred: dict[str, None] = {}
        self.rules: dict[str, Rule] = {}

    # -- the moves of jobs -------------------------------------------------------------------------------------------

    def wait(self, row: Row) -> None:
        """Let a job wait at its gates; what it holds between attempts puts it in front."""
        row.gated = True
        line = line_of(row)
        first = 0 if any(row.number in self._places[gate.key] for gate in row.job.gates if gate.strict) else 1
        heappush(self._lines.setdefault(line, []), ((first, -row.job.priority, row.pos), row))
        self.stir(line)

    def leave(self, row: Row, *, for_good: bool) -> None:
        """Give a job's places up as it leaves; those that it keeps only where it goes ``for_good``."""
        row.gated = False
        for gate in row.job.gates:
            if for_good or not gate.strict:
                places = self._places.get(gate.key)
                if places is not None and places.pop(row.number, None) is not None:
                    self.stir(gate.key)
                    self._hear(gate.key, row.number)
                    if not places:
                        del self._places[gate.key]

    def define(self, rules: Iterable[Rule], *, replace: bool) -> None:
        """Say what rules let in; without ``replace`` only those that nobody has defined yet."""
        for rule in rules:
            if self.rules.get(rule.name) != rule and (replace or rule.name not in self.rules):
                self.rules[rule.name] = rule
                for key in [key for key in self._held_up if rule_of(key) == rule.name]:
                    self.stir(key)

    def admit(self, limit: int) -> Admitted:
        """Let in what the gates that changed let in."""
        now = self._house.now
        for key in [key for key, at in self._alarms.items() if at <= now]:
            del self._alarms[key]
            self.stir(key)
        texts, self._stirred = self._stirred, {}
        lines = [line for text in texts for line in ((text,) if text in self._lines else self._held_up.pop(text, ()))]
        count, more = admit(self, lines, now, limit)
        return Admitted(count, more, min(self._alarms.values(), default=None), now)

    def waiting(self) -> Iterator[Row]:
        """Give the jobs that wait at their gates, one of each line."""
        for line in list(self._lines):
            if (head := self.head(line)) is not None:
                yield self._house.rows[JobId(str(head.job))]

    # -- what admission asks (see `Ledger`) --------------------------------------------------------------------------

    def head(self, line: str) -> Head | None:
        """Give the first job of a line; those that left it by another way are passed over."""
        heap = self._lines.get(line, [])
        while heap:
            order, row = heap[0]
            if row.gated and row.state is AVAILABLE and row.pos == order[2]:
                return Head(order, row.number, row.job.gates, self._paused(row))
            heappop(heap)
        return None

    def rule(self, name: str) -> Rule | None:
        """Give a rule."""
        return self.rules.get(name)

    def holders(self, key: str) -> int:
        """Count the jobs that have a place."""
        return len(self._places.get(key, ()))

    def started(self) -> Mapping[str, int]:
        """Count the starts that no call has heard of yet."""
        for key, numbers in list(self._unheard.items()):
            for number in list(numbers):
                if self._house.rows[JobId(str(number))].state is not AVAILABLE:
                    self._hear(key, number)
        started, self._spent = self._spent, Counter()
        return started

    def unstarted(self, key: str) -> int:
        """Count the jobs of whose start nobody has heard."""
        return len(self._unheard.get(key, ()))

    def keeps(self, key: str, job: int) -> bool:
        """Tell whether a waiting job has kept its place."""
        return job in self._places.get(key, ())

    def bucket(self, key: str) -> Bucket | None:
        """Give the tokens of a rate."""
        return self._buckets.get(key)

    def let_in(self, head: Head, rates: Collection[str]) -> None:
        """Make a job claimable."""
        for key in rates:
            self._unheard[key].add(head.job)
        row = self._house.rows[JobId(str(head.job))]
        row.gated = False
        for gate in head.gates:
            self._places[gate.key][row.number] = gate.strict
        self._house.open_to_claims(row)

    def park(self, line: str, key: str, order: Order) -> None:
        """Leave a line until that gate is stirred."""
        self.forget_place(line)
        self._parked[line] = key
        self._held_up[key].add(line)

    def forget(self, line: str) -> None:
        """Take note that a line is empty."""
        self._lines.pop(line, None)
        self.forget_place(line)

    def forget_place(self, line: str) -> None:
        """Take note that a line is parked nowhere."""
        key = self._parked.pop(line, None)
        if key is not None and key in self._held_up:
            self._held_up[key].discard(line)
            if not self._held_up[key]:
                del self._held_up[key]

    def stir(self, text: str) -> None:
        """Have a line or gate looked at by the next call."""
        self._stirred[text] = None

    def fill(self, key: str, bucket: Bucket) -> None:
        """Write down the tokens of a rate."""
        self._buckets[key] = bucket

    def wake(self, key: str, at: int) -> None:
        """Stir a gate at an instant."""
        self._alarms[key] = at

    def tidy(self) -> None:
        """Forget the rates whose bucket is full again: an unknown one is full too."""
        for key, bucket in list(self._buckets.items()):
            rule = self.rules.get(rule_of(key))
            if rule is None or rule.starts is None or bucket.at + rule.per < self._house.now:
                del self._buckets[key]

    def _hear(self, key: str, job: int) -> None:
        """Count a start, if it was not heard of before."""
        unheard = self._unheard.get(key)
        if unheard is not None and job in unheard:
            self._spent[key] += 1
            unheard.discard(job)
            if not unheard:
                del self._unheard[key]

    def _paused(self, row: Row) -> str | None:
        paused: Mapping[str, Mapping[str, int]] = self._house.paused
        for kind, value in (("queue", row.job.queue), ("name", row.job.name)):
            if value in paused[kind]:
                return paused_gate(kind, value)
        return None


def line_of(row: Row) -> str:
    """Name the line of a job: what others share that pass when it passes."""
    job = row.job
    return "\n".join((job.queue, job.route, job.name, written(job.gates)))
