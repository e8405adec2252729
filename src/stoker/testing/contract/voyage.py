"""Random voyages: the same commands given to two stores, whose jobs must look the same all the way.

Every job has a priority of its own, so that no order is left open; ids differ between stores, so jobs go by number.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final, Literal, TypeAlias

import msgspec

from stoker.core.command import Command
from stoker.core.filters import Filter
from stoker.core.job import Claim, Due, JobId, NewJob, State, StoredJob, Token, new_call
from stoker.core.limits import Gate, Rule
from stoker.core.settlement import Settlement
from stoker.core.unique import UniqueKey
from stoker.errors import DuplicateJob
from stoker.stores.base import Store
from stoker.testing.contract.base import HOUR, LEASE, MINUTE, everything, failure, job
from stoker.testing.fake_clock import FakeClock

QUEUES: Final = ("mail", "images")
NAMES: Final = ("send", "resize")
ROUTES: Final = ("", "gpu")
STATES: Final = (
    ("scheduled", "available", "retryable"),
    ("scheduled", "available", "retryable", "running"),
    ("running", "completed"),
)
GATES: Final = (
    (Gate("one="),),
    (Gate("one=", True),),
    (Gate("few=a"), Gate("slow=")),
    (Gate("few=b"), Gate("few=a", True)),
    (Gate("slow="),),
)
RULES: Final = (
    Rule("one", running=1),
    Rule("few", running=2),
    Rule("few", running=3),
    Rule("slow", starts=2, per=MINUTE),
    Rule("slow", starts=5, per=HOUR),
)
KEEPS: Final = (0, MINUTE, HOUR, None)
Answer: TypeAlias = Any
"""An answer in which jobs go by number."""


class Ship:
    """One of the two stores, and the ids that it gave to the jobs, by number."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.ids: list[JobId] = []

    def number(self, id: JobId) -> int:
        """Give a job's number; a new one if it is not known yet."""
        if id not in self.ids:
            self.ids.append(id)
        return self.ids.index(id)

    def numbers(self, ids: tuple[JobId, ...]) -> list[int]:
        """Give the numbers of jobs, in order of number."""
        return sorted(map(self.number, ids))

    def picture(self) -> list[tuple[object, ...]]:
        """Give all jobs as they look, but for what the contract leaves open."""
        return [self._looks(found) for found in everything(self.store)]

    def _looks(self, found: StoredJob) -> tuple[object, ...]:
        errors = tuple((error.attempt, error.at, error.type, error.worker) for error in found.errors)
        waits = not found.state.final
        return (
            self.number(found.id),
            *(found.name, found.queue, found.route, found.priority, found.args, found.version, found.labels),
            *(
                found.state,
                found.gated,
                found.gates,
                found.max_attempts,
                found.starts,
                found.failures,
                found.crashes,
                found.snoozes,
            ),
            *(found.started_at, found.finished_at, found.result, found.worker, errors),
            *((found.run_at, found.cancelling, found.keep, found.keep_failed) if waits else ()),
        )


class Voyage:
    """A random course, drawn by ``seed``; `step` gives the same order to both ships and compares the answers."""

    def __init__(self, seed: int, one: Store, other: Store, clock: FakeClock) -> None:
        self.log: list[str] = []
        self._random = Random(seed)
        self._ships = (Ship(one), Ship(other))
        self._clock = clock
        self._claims: list[tuple[int, Token]] = []
        self._priorities = self._random.sample(range(-100, 101), 201)
        self._tokens = 0
        self._jobs: dict[int, NewJob] = {}
        self._orders: list[tuple[int, Callable[[], None]]] = [
            (12, self._enqueue),
            (12, self._claim),
            (16, self._settle),
            (4, self._extend),
            (6, self._sail),
            (3, lambda: self._both("promote", lambda ship: ship.store.promote(1000), lambda _, moved: moved)),
            (4, lambda: self._both("reclaim", lambda ship: ship.store.reclaim(1), self._reclaimed)),
            (2, lambda: self._both("prune", lambda ship: ship.store.prune(1000), self._changed)),
            *((2, self._control(verb)) for verb in ("cancel", "retry", "promote_now", "requeue", "delete")),
            (1, self._pause),
            (8, self._admit),
            (1, self._define),
        ]

    def step(self) -> None:
        """Give one order, and look at both ships."""
        weights, orders = zip(*self._orders, strict=True)
        self._random.choices(orders, weights)[0]()
        # Ties of instants are left open by the contract, so no two orders are given at one instant.
        self._clock.advance("1ms")
        one, other = (ship.picture() for ship in self._ships)
        assert other == one, "\n".join(self.log)

    def _both(self, told: str, make: Callable[[Ship], Command[Any]], read: Callable[[Ship, Any], Answer]) -> Answer:
        self.log.append(told)
        one, other = (self._one(ship, make, read) for ship in self._ships)
        assert other == one, "\n".join(self.log)
        return one

    @staticmethod
    def _one(ship: Ship, make: Callable[[Ship], Command[Any]], read: Callable[[Ship, Any], Answer]) -> Answer:
        try:
            return read(ship, ship.store.run(make(ship)))
        except DuplicateJob as refused:
            return "refused", refused.name

    # -- the orders --------------------------------------------------------------------------------------------------

    def _enqueue(self) -> None:
        drawn = [self._new_job() for _ in range(min(self._random.randint(1, 3), len(self._priorities)))]
        # One job of each key in a call: of what two wishes for one key come to together, the contract says little.
        jobs = list({job.unique.key if job.unique else job.args: job for job in drawn}.values())
        call = new_call()
        self._both(
            f"enqueue {jobs}",
            lambda ship: ship.store.enqueue(jobs, call),
            lambda ship, answers: [
                self._put(ship.number(answer.id), job, answer.duplicate)
                for job, answer in zip(jobs, answers, strict=True)
            ],
        )

    def _put(self, number: int, job: NewJob, duplicate: bool) -> Answer:
        self._jobs.setdefault(number, job)
        return number, duplicate

    def _new_job(self) -> NewJob:
        draw = self._random
        return job(
            draw.choice(NAMES),
            f"[{draw.randint(0, 999)}]",
            queue=draw.choice(QUEUES),
            route=draw.choice(ROUTES),
            priority=self._priorities.pop(),
            due=draw.choice(
                (Due(), Due(), Due(draw.randint(1, 2 * HOUR)), Due(at=self._clock.now() + draw.randint(-9, HOUR)))
            ),
            max_attempts=draw.randint(1, 4),
            crash_limit=draw.randint(1, 3),
            unique=self._unique() if draw.random() < 0.5 else None,
            keep=draw.choice(KEEPS),
            keep_failed=draw.choice(KEEPS),
            version=draw.randint(1, 3),
            gates=draw.choice(GATES) if draw.random() < 0.4 else (),
        )

    def _unique(self) -> UniqueKey:
        draw = self._random
        return UniqueKey(
            draw.choice("abc"),
            draw.choice(STATES),
            draw.choice((None, None, MINUTE, HOUR)),
            draw.choice(("keep", "keep", "replace", "reschedule", "raise")),
        )

    def _claim(self) -> None:
        draw = self._random
        demand = {queue: draw.randint(0, 4) for queue in draw.sample(QUEUES, draw.choice((1, 2, 2)))}
        names, routes = draw.sample(NAMES, draw.choice((1, 2, 2))), draw.sample(ROUTES, draw.choice((1, 2, 2)))
        self._tokens += 1
        token, worker = Token(f"{self._tokens:032x}"), draw.choice(("crew-1", "crew-2"))
        claims = self._both(
            f"claim {demand} {names} {routes} {worker}",
            lambda ship: ship.store.claim(demand, names, routes, token, worker, LEASE),
            lambda ship, answer: sorted(self._claimed(ship, claim) for claim in answer.claims),
        )
        self._claims += [(number, token) for number, *_ in claims]

    @staticmethod
    def _claimed(ship: Ship, claim: Claim) -> tuple[object, ...]:
        numbered = msgspec.structs.replace(claim, id=JobId(""))
        return ship.number(claim.id), str(numbered)

    def _admit(self) -> None:
        limit = self._random.choice((1, 2, 1000, 1000))
        self._both(f"admit {limit}", lambda ship: ship.store.admit(limit), lambda _, admitted: admitted.count)

    def _define(self) -> None:
        rule, replace = self._random.choice(RULES), self._random.random() < 0.7
        self._both(f"define {rule} {replace}", lambda ship: ship.store.define([rule], replace=replace), lambda _, a: a)

    def _settle(self) -> None:
        if not self._claims:
            return
        draw = self._random
        chosen = draw.sample(self._claims, min(len(self._claims), draw.randint(1, 3)))
        # Of two jobs of one key in a call, the contract does not say which takes the key.
        apart = {self._key_of(number): (number, token) for number, token in chosen}.values()
        endings = [(number, self._ending(self._jobs[number], token)) for number, token in apart]
        self._both(
            f"settle {endings}",
            lambda ship: ship.store.settle(
                [msgspec.structs.replace(ending, id=ship.ids[number]) for number, ending in endings]
            ),
            lambda ship, answers: sorted((ship.number(id), answer) for id, answer in answers.items()),
        )

    def _key_of(self, number: int) -> str:
        unique = self._jobs[number].unique
        return f"job {number}" if unique is None else unique.key

    def _ending(self, job: NewJob, token: Token) -> Settlement:
        draw = self._random
        state = draw.choice([state for state in State if state is not State.RUNNING])
        counts: Literal["failure", "snooze", "none"] = draw.choice(("failure", "snooze", "none"))
        return Settlement(
            JobId(""),
            token,
            state,
            keep=job.keep if state is State.COMPLETED else job.keep_failed,
            result=draw.choice((None, "[1]")) if state is State.COMPLETED else None,
            due=Due(draw.choice((0, 0, draw.randint(1, HOUR)))),
            counts=counts,
            error=failure() if counts == "failure" else None,
            duration=draw.randint(1, MINUTE),
        )

    def _extend(self) -> None:
        if not self._claims:
            return
        draw = self._random
        number, token = draw.choice(self._claims)
        stopping, started = draw.random() < 0.1, [number] if draw.random() < 0.5 else []
        held = {token for _, token in self._running()}
        self._both(
            f"extend {token} stopping={stopping} started={started}",
            lambda ship: ship.store.extend(
                [token], LEASE, stopping=stopping, started=[ship.ids[number] for number in started]
            ),
            # Of a lease without jobs that run, the contract does not say whether it is missing.
            lambda ship, answer: (sorted(answer.missing & held), ship.numbers(tuple(answer.cancel))),
        )

    def _running(self) -> list[tuple[int, Token]]:
        running = {found[0] for found in self._ships[0].picture() if State.RUNNING in found}
        latest = {number: token for number, token in self._claims if number in running}
        return list(latest.items())

    def _sail(self) -> None:
        passed = self._random.choice((1, 10, 20, 31, 60, 600, 3600))
        self.log.append(f"{passed} s pass")
        self._clock.advance(passed)

    def _control(self, verb: str) -> Callable[[], None]:
        def order() -> None:
            known = len(self._ships[0].ids)
            if known:
                number = self._random.randrange(known)
                options = {"force": self._random.random() < 0.5} if verb == "requeue" else {}
                self._both(
                    f"{verb} {number} {options}",
                    lambda ship: getattr(ship.store, verb)(Filter(ids=(ship.ids[number],)), 10, **options),
                    self._changed,
                )

        return order

    def _pause(self) -> None:
        kind, values = self._random.choice((("queue", QUEUES), ("name", NAMES)))
        value, paused = self._random.choice(values), self._random.random() < 0.3
        self._both(
            f"pause {kind} {value} {paused}",
            lambda ship: ship.store.pause(kind, [value], paused),
            lambda _, changed: changed.count,
        )

    @staticmethod
    def _changed(ship: Ship, changed: Any) -> Answer:
        return changed.count, changed.more, ship.numbers(changed.ids)

    @staticmethod
    def _reclaimed(ship: Ship, reclaimed: Any) -> Answer:
        return [ship.numbers(ids) for ids in (reclaimed.available, reclaimed.cancelled, reclaimed.discarded)]
