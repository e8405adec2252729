"""Sent again: a command was carried out, its answer was lost, so it is sent once more and changes nothing twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import pytest

from stoker.core.capability import Capability
from stoker.core.command import Command
from stoker.core.filters import Filter
from stoker.core.job import Due, State, new_call, new_token
from stoker.core.limits import Gate, Rule
from stoker.core.periodic import NewEntry, Tick
from stoker.core.unique import UniqueKey
from stoker.stores.base import Store
from stoker.testing.contract.base import (
    HOUR,
    LEASE,
    MINUTE,
    NOTHING,
    ContractTests,
    Place,
    claim,
    claim_one,
    ending,
    enqueue,
    everything,
    failure,
    job,
    job_in,
)
from stoker.testing.contract.coordinate import worker
from stoker.testing.contract.moving import elsewhere
from stoker.testing.fake_clock import FakeClock


@dataclass(frozen=True)
class Case:
    """A command to send twice; ``make`` prepares the store and gives it."""

    make: Callable[[Store, FakeClock], Command[Any]]
    needs: Capability = NOTHING
    same_answer: bool = False
    """Whether the second answer must be the first one, not only harmless."""


def enqueue_case(store: Store, _clock: FakeClock) -> Command[Any]:
    jobs = [job(), job(due=Due(MINUTE)), job("other", queue="mail")]
    return store.enqueue(jobs, new_call())


def expiring_case(store: Store, _clock: FakeClock) -> Command[Any]:
    jobs = [job(expires=Due(MINUTE)), job(), job(expires=Due(HOUR), unique=UniqueKey("key"))]
    return store.enqueue(jobs, new_call())


def expire_case(store: Store, clock: FakeClock) -> Command[Any]:
    enqueue(store, job(expires=Due(MINUTE)), job(expires=Due(HOUR)), job(expires=Due(MINUTE), keep_failed=0))
    clock.advance("2m")
    return store.expire(100)


def routed_case(store: Store, _clock: FakeClock) -> Command[Any]:
    return store.enqueue([job(route="gpu"), job(), job(route="gpu", unique=UniqueKey("key"))], new_call())


def unique_case(store: Store, _clock: FakeClock) -> Command[Any]:
    enqueue(store, job(unique=UniqueKey("a")), job(due=Due(HOUR), unique=UniqueKey("b")))
    jobs = [
        job(args="[2]", unique=UniqueKey("a", on_conflict="replace")),
        job(due=Due(MINUTE), unique=UniqueKey("b", on_conflict="reschedule")),
        job(unique=UniqueKey("c", on_conflict="raise")),
    ]
    return store.enqueue(jobs, new_call())


def hold_case(store: Store, _clock: FakeClock) -> Command[Any]:
    fourth = job(unique=UniqueKey("key")) if store.supports(Capability.UNIQUE) else job()
    enqueue(store, job(), job(due=Due(MINUTE)), job(labels=("x",)), fourth)
    return store.hold(Filter(), 3, new_token(), "move to elsewhere")


def receive_case(store: Store, clock: FakeClock) -> Command[Any]:
    there = elsewhere(run_at=clock.now() + HOUR, errors=(failure(),), unique=UniqueKey("key"))
    return store.receive([there, elsewhere(), elsewhere(labels=("x",), checkpoint="1")], new_call())


def claim_case(store: Store, _clock: FakeClock) -> Command[Any]:
    enqueue(store, *[job()] * 5)
    return store.claim({"default": 3}, ["work"], [""], new_token(), "worker-1", LEASE)


def extend_case(store: Store, _clock: FakeClock) -> Command[Any]:
    claimed = claim_one(store)
    return store.extend([claimed.token, new_token()], LEASE, stopping=True, started=[claimed.id])


def settle_case(store: Store, _clock: FakeClock) -> Command[Any]:
    states = [state for state in State if state is not State.RUNNING]
    enqueue(store, *[job()] * len(states))
    endings = [
        ending(claimed, state, due=Due(MINUTE), keep=HOUR, counts="failure", error=failure())
        for claimed, state in zip(claim(store), states, strict=True)
    ]
    return store.settle(endings)


def then_case(store: Store, _clock: FakeClock) -> Command[Any]:
    states = [state for state in State if state is not State.RUNNING]
    enqueue(store, *[job()] * len(states))
    follow = (job("next"), job("next", due=Due(MINUTE)), job("next", unique=UniqueKey("a")))
    endings = [
        ending(claimed, state, due=Due(MINUTE), keep=n % 2 * HOUR, then=follow)
        for n, (claimed, state) in enumerate(zip(claim(store), states, strict=True))
    ]
    return store.settle(endings)


def limited_case(store: Store, _clock: FakeClock) -> Command[Any]:
    return store.enqueue(
        [job(gates=(Gate("send=", True),)), job(), job(due=Due(MINUTE), gates=(Gate("x="),))], new_call()
    )


def admit_case(store: Store, clock: FakeClock) -> Command[Any]:
    store.run(store.define([Rule("send", running=1), Rule("x", starts=2, per=MINUTE)], replace=True))
    store.run(limited_case(store, clock))
    return store.admit(10)


def limited_settle_case(store: Store, clock: FakeClock) -> Command[Any]:
    store.run(admit_case(store, clock))
    return store.settle([ending(claimed, State.RETRYABLE, due=Due(MINUTE)) for claimed in claim(store)])


def given_back_case(store: Store, _clock: FakeClock) -> Command[Any]:
    enqueue(store, *[job()] * 3)
    return store.settle([ending(claimed, State.AVAILABLE, counts="snooze") for claimed in claim(store)])


def promote_case(store: Store, clock: FakeClock) -> Command[Any]:
    enqueue(store, *[job(due=Due(MINUTE))] * 3)
    clock.advance("2m")
    return store.promote(100)


def reclaim_case(store: Store, clock: FakeClock) -> Command[Any]:
    enqueue(store, job(), job(), job(crash_limit=1))
    claim(store, 2)
    claim(store, 1)
    clock.advance("1m")
    return store.reclaim(100)


def supervised_case(store: Store, _clock: FakeClock) -> Command[Any]:
    return store.reclaim(100, [claim_one(store).token])


def prune_case(store: Store, clock: FakeClock) -> Command[Any]:
    job_in(store, State.COMPLETED, keep=MINUTE)
    job_in(store, State.COMPLETED, keep=HOUR)
    clock.advance("2m")
    return store.prune(100)


def one_of_each(verb: str, **options: object) -> Callable[[Store, FakeClock], Command[Any]]:
    """Prepare a job in each state, and a verb for all of them."""

    def make(store: Store, _clock: FakeClock) -> Command[Any]:
        for state in State:
            job_in(store, state, queue=state.value)
        command: Command[Any] = getattr(store, verb)(Filter(), 100, **options)
        return command

    return make


def register_case(store: Store, clock: FakeClock) -> Command[Any]:
    store.run(store.register("shop", [NewEntry("changed", "r", "1"), NewEntry("same", "r", "1")], True, new_call()))
    clock.advance("1m")
    entries = [NewEntry("changed", "s", "2"), NewEntry("same", "r", "1"), NewEntry("new", "r", "1")]
    return store.register("shop", entries, True, new_call())


def tick_case(store: Store, _clock: FakeClock) -> Command[Any]:
    (entry,) = store.run(store.register("shop", [NewEntry("a", "r", "1")], True, new_call())).entries
    jobs = [job(), job(unique=UniqueKey("a"))]
    return store.tick(Tick("shop", "a", 1, entry.last, entry.last + MINUTE), jobs, new_call())


def pause_entries_case(store: Store, clock: FakeClock, *, paused: bool) -> Command[Any]:
    store.run(store.register("shop", [NewEntry("a", "r", "1")], True, new_call()))
    store.run(store.pause_entries("shop", ["a"], not paused))
    clock.advance("1m")
    return store.pause_entries("shop", ["a"], paused)


def remove_entries_case(store: Store, _clock: FakeClock) -> Command[Any]:
    known = store.run(store.register("shop", [NewEntry("a", "r", "1"), NewEntry("b", "r", "1")], True, new_call()))
    return store.remove_entries(known.entries[:1])


CASES: Final[Mapping[str, Case]] = {
    "enqueue": Case(enqueue_case, same_answer=True),
    "enqueue of unique keys": Case(unique_case, Capability.UNIQUE | Capability.SCHEDULE, same_answer=True),
    "enqueue with routes": Case(routed_case, Capability.UNIQUE, same_answer=True),
    "claim": Case(claim_case, same_answer=True),
    "hold": Case(hold_case, Capability.HOLD | Capability.SCHEDULE, same_answer=True),
    "receive": Case(receive_case, Capability.RECEIVE, same_answer=True),
    "extend": Case(extend_case, same_answer=True),
    "settle": Case(settle_case),
    "settle with follow-ups": Case(then_case, Capability.ATOMIC | Capability.UNIQUE | Capability.SCHEDULE),
    "settle to available": Case(given_back_case),
    "promote": Case(promote_case, Capability.SCHEDULE),
    "reclaim": Case(reclaim_case, Capability.LEASE),
    "reclaim of a supervisor": Case(supervised_case, Capability.LEASE),
    "prune": Case(prune_case),
    "enqueue of expiring jobs": Case(expiring_case, Capability.EXPIRY, same_answer=True),
    "expire": Case(expire_case, Capability.EXPIRY),
    "lead": Case(lambda store, _: store.lead("role", "worker-1", MINUTE), same_answer=True),
    "resign": Case(lambda store, _: store.lead("role", "worker-1", 0), same_answer=True),
    "admit": Case(admit_case, Capability.LIMITS),
    "define": Case(lambda store, _: store.define([Rule("send", running=1)], replace=True), Capability.LIMITS),
    "enqueue of limited jobs": Case(limited_case, Capability.LIMITS, same_answer=True),
    "settle of limited jobs": Case(limited_settle_case, Capability.LIMITS),
    "cancel": Case(one_of_each("cancel"), Capability.CANCEL),
    "retry": Case(one_of_each("retry"), Capability.RETRY),
    "promote_now": Case(one_of_each("promote_now"), Capability.RETRY),
    "requeue": Case(one_of_each("requeue", force=True), Capability.RETRY),
    "delete": Case(one_of_each("delete"), Capability.DELETE),
    "pause": Case(lambda store, _: store.pause("queue", ["a", "b"], True), Capability.PAUSE),
    "resume": Case(lambda store, _: store.pause("queue", ["a", "b"], False), Capability.PAUSE),
    "beat": Case(lambda store, _: store.beat(worker("crew-1"), MINUTE), Capability.PRESENCE, same_answer=True),
    "register": Case(register_case, Capability.TICK, same_answer=True),
    "tick": Case(tick_case, Capability.TICK | Capability.UNIQUE, same_answer=True),
    "pause entries": Case(partial(pause_entries_case, paused=True), Capability.TICK),
    "resume entries": Case(partial(pause_entries_case, paused=False), Capability.TICK),
    "remove entries": Case(remove_entries_case, Capability.TICK),
    "leave": Case(lambda store, _: store.beat(worker("crew-1"), 0), Capability.PRESENCE, same_answer=True),
}


class ResendContract(ContractTests):
    @pytest.mark.parametrize("name", CASES)
    def test_a_command_run_twice_changes_nothing_twice(self, store: Store, clock: FakeClock, name: str) -> None:
        case = possible(store, name)
        command = case.make(store, clock)
        answer = store.run(command)
        before = picture(store)
        again = store.run(command)

        assert picture(store) == before
        if case.same_answer:
            assert again == answer

    @pytest.mark.parametrize("name", CASES)
    def test_a_command_whose_answer_was_lost_is_sent_again_and_changes_nothing_twice(
        self, store: Store, place: Place, clock: FakeClock, name: str
    ) -> None:
        if place.losing_a_reply is None:
            pytest.skip("the store offers no fault that loses an answer")
        case = possible(store, name)
        command = case.make(store, clock)
        with place.losing_a_reply(store):
            answer = store.run(command)
        before = picture(store)
        again = store.run(command)

        assert picture(store) == before
        if case.same_answer:
            assert again == answer


def possible(store: Store, name: str) -> Case:
    """Give a case; skip the test where the store lacks what it needs."""
    case = CASES[name]
    if missing := case.needs & ~store.capabilities:
        pytest.skip(f"the store lacks {missing.name}")
    return case


def picture(store: Store) -> tuple[object, ...]:
    """Give all that can be seen of a store from outside."""
    waiting = sorted(store.run(store.count()), key=repr)
    paused = store.run(store.paused()) if store.supports(Capability.PAUSE) else None
    workers = store.run(store.workers()) if store.supports(Capability.PRESENCE) else None
    entries = store.run(store.entries()) if store.supports(Capability.TICK) else None
    return everything(store), store.run(store.routes()), waiting, paused, workers, entries
