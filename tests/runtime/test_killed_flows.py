"""A workflow whose workers die at every possible moment: between any two commands that they send to the store."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from stoker.core.batch import BatchId
from stoker.core.command import Command
from stoker.core.duration import SECOND
from stoker.core.filters import Filter
from stoker.core.flow import Edge, Flow, Node, advance, write
from stoker.core.job import AttemptFailure, Due, NewJob, State, new_call, new_token
from stoker.core.settlement import Settlement
from stoker.core.standing import standing
from stoker.runtime.advancing import Course, drive, update
from stoker.stores.base import Store
from stoker.stores.memory import MemoryStore
from stoker.testing.fake_clock import FakeClock

STEPS = 12


class KilledError(Exception):
    """The worker is gone."""


class Doomed:
    """The hands of a worker that is killed before or after one of its commands reaches the store."""

    def __init__(self, store: Store, chance: random.Random) -> None:
        self._store = store
        self._chance = chance

    def run(self, command: Command[Any]) -> Any:
        """Send a command, or die before or behind it."""
        if self._chance.random() < 0.08:
            raise KilledError
        answer = self._store.run(command)
        if self._chance.random() < 0.08:
            raise KilledError
        return answer

    def follow(self, course: Course[Any]) -> None:
        """Follow a course as far as it comes."""
        try:
            command = next(course)
            while True:
                command = course.send(self.run(command))
        except StopIteration:
            return


def opened(store: Store, chance: random.Random) -> BatchId:
    """Store a workflow of random shape, and a member's job for each callback."""
    nodes: dict[str, Node] = {}
    for n in range(STEPS):
        before = chance.sample(sorted(nodes), min(len(nodes), chance.randint(0, 3)))
        needs = tuple(
            Edge(key, chance.choice(["stop", "continue", "skip"]), chance.choice([None, f"r{place}"]))
            for place, key in enumerate(before)
        )
        nodes[f"s{n}"] = Node(NewJob("step", f'{{"n":{n}}}', keep=None, keep_failed=None), needs)
    callbacks = {name: NewJob(name, "{}", keep=None) for name in ("on_success", "on_failure", "on_complete")}
    flow = Flow(sealed=True, total=STEPS, nodes=nodes, **callbacks)  # type: ignore[arg-type]
    first = advance(id := BatchId(f"{chance.getrandbits(60):015x}"), flow, [], {})
    store.run(store.open_batch(id, write(first.flow), first.jobs, new_call()))
    return id


def work(store: Store, hands: Doomed, chance: random.Random) -> int:
    """Claim, perform and settle, then see to the batches; gives how many attempts were under way."""
    claimed = hands.run(store.claim({"default": chance.randint(1, 4)}, ["step"], [""], new_token(), "w", SECOND)).claims
    endings = []
    for claim in claimed:
        failing = chance.random() < 0.2
        error = AttemptFailure(1, 0, "ValueError", "no") if failing else None
        state = State.DISCARDED if failing else State.COMPLETED
        endings.append(Settlement(claim.id, claim.token, state, None, '"r"', Due(), "none", error))
    if endings:
        hands.run(store.settle(endings))
    for batch in {claim.meta.split('"')[3] for claim in claimed}:
        hands.follow(update(store, BatchId(batch)))
    return len(claimed)


@pytest.mark.parametrize("seed", range(100))
def test_no_step_is_lost_and_no_callback_comes_twice(seed: int) -> None:
    chance, clock = random.Random(seed), FakeClock()
    store = MemoryStore(clock)
    id = opened(store, chance)
    hands, kills = Doomed(store, chance), 0
    for _ in range(400):
        try:
            work(store, hands, chance)
        except KilledError:
            kills += 1
        clock.advance("400ms")
        store.run(store.reclaim(100))
        if chance.random() < 0.2:
            for batch in store.run(store.batches([], 10)):
                drive(store, update(store, batch.id))
        going = any(row.name == "step" and not row.state.final for row in store.run(store.count()))
        if not going and not store.run(store.batches([], 10)):
            break

    jobs = store.run(store.find(Filter(), 10_000))
    (batch,) = store.run(store.batches([id], 1))
    stand = standing(batch)
    steps = Counter(job.args.split(",")[0].rstrip("}") for job in jobs if job.name == "step")
    names = Counter(job.name for job in jobs)
    assert kills or seed
    assert stand.complete
    assert set(steps.values()) == {1}, "a step was enqueued twice"
    assert len(steps) == STEPS - stand.skipped - stand.waiting
    assert names["on_complete"] == 1
    assert names["on_success"] == int(stand.success)
    assert names["on_failure"] == sum(job.state is State.DISCARDED for job in jobs if job.name == "step")
    assert Counter(stand.steps.values())["open"] == 0
