"""Limits under pressure: many admitters at once never let in more than the rules say, and nobody is forgotten."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial

import pytest

from stoker.core.capability import Capability
from stoker.core.job import JobId, State, new_call
from stoker.core.limits import Rule
from stoker.stores.base import Store
from stoker.testing.contract.base import (
    MINUTE,
    Another,
    Connect,
    ContractTests,
    Place,
    claim,
    ending,
    enqueue,
    everything,
    job,
    needs,
    settle,
)
from stoker.testing.contract.limits import LIMITS, admit, at, define, gate, let_in
from stoker.testing.contract.races import ROUNDS, at_once, processes
from stoker.testing.fake_clock import FakeClock


class LimitRaceContract(ContractTests):
    @needs(LIMITS)
    def test_forty_admitters_at_once_let_in_what_the_limit_says(self, store: Store, another: Another) -> None:
        handles = [another() for _ in range(40)]
        for number in range(ROUNDS):
            define(store, Rule(f"send-{number}", running=3))
            enqueue(store, *[job(str(number), **at(gate(f"send-{number}")))] * 50)
            at_once([partial(admit, handle) for handle in handles])
            while admit(store).more:
                pass

            assert len(claim(store, names=[str(number)])) == 3

    @needs(LIMITS)
    def test_forty_admitters_at_once_spend_each_token_once(self, store: Store, another: Another) -> None:
        handles = [another() for _ in range(40)]
        define(store, Rule("send", starts=7, per=MINUTE))
        enqueue(store, *[job(**at(gate()))] * 50)
        at_once([partial(admit, handle) for handle in handles])
        while admit(store).more:
            pass

        assert len(claim(store)) == 7

    @needs(LIMITS)
    def test_never_do_more_run_than_the_limit_says_and_all_are_performed(self, store: Store, another: Another) -> None:
        define(store, Rule("tenant", running=2), Rule("all", running=5))
        jobs = enqueue(store, *(job(gates=(gate("tenant", tenant), gate("all"))) for tenant in "abcd" * 25))
        running: set[JobId] = set()
        peak, guard, done = [0], threading.Lock(), threading.Event()

        def perform(handle: Store) -> list[JobId]:
            performed: list[JobId] = []
            while not done.is_set():
                admit(handle)
                for claimed in claim(handle, 3):
                    with guard:
                        running.add(claimed.id)
                        peak[0] = max(peak[0], len(running))
                    with guard:
                        running.discard(claimed.id)
                    settle(handle, claimed, State.COMPLETED, keep=0)
                    performed.append(claimed.id)
                if not handle.run(handle.any(["default"], ["work"], [""])):
                    done.set()
            return performed

        shares = at_once([partial(perform, another()) for _ in range(6)])
        assert sorted(id for share in shares for id in share) == sorted(jobs)
        assert peak[0] <= 5
        assert everything(store) == []

    @needs(LIMITS)
    def test_processes_that_admit_at_once_let_in_what_the_limit_says(self, store: Store, place: Place) -> None:
        with processes(place) as pool:
            define(store, Rule("send", running=3))
            enqueue(store, *[job(**at(gate()))] * 50)
            answers = [pool.submit(admit_from, place.connect, 10) for _ in range(3)]
            assert sum(answer.result(30) for answer in answers) == 3
        assert len(claim(store)) == 3

    @needs(LIMITS | Capability.TRANSACTIONS)
    def test_a_job_comes_to_its_gates_with_the_transaction_that_enqueued_it(self, store: Store, place: Place) -> None:
        if place.transaction is None:
            pytest.skip("the place offers no transaction")
        define(store, Rule("send", running=2))
        with suppress(ZeroDivisionError), place.transaction() as transaction:
            store.run(store.enqueue([job(**at(gate()))], new_call()), on=transaction)
            raise ZeroDivisionError
        assert admit(store).count == 0
        with place.transaction() as transaction:
            (stored,) = store.run(store.enqueue([job(**at(gate()))], new_call()), on=transaction)
        assert let_in(store) == [stored.id]

    @needs(LIMITS | Capability.TRANSACTIONS)
    def test_a_job_that_completes_in_a_transaction_gives_its_place_up_with_the_commit(
        self, store: Store, place: Place
    ) -> None:
        if place.transaction is None:
            pytest.skip("the place offers no transaction")
        define(store, Rule("send", running=1))
        _, second = enqueue(store, *[job(**at(gate()))] * 2)
        admit(store)
        (claimed,) = claim(store)
        with suppress(ZeroDivisionError), place.transaction() as transaction:
            store.run(store.complete(ending(claimed, State.COMPLETED, keep=0)), on=transaction)
            raise ZeroDivisionError
        assert let_in(store) == []
        with place.transaction() as transaction:
            store.run(store.complete(ending(claimed, State.COMPLETED, keep=0)), on=transaction)
        assert let_in(store) == [second]

    @needs(LIMITS)
    def test_a_bad_batch_of_endings_gives_back_each_place_once(self, store: Store, another: Another) -> None:
        define(store, Rule("send", running=3))
        enqueue(store, *[job(**at(gate()))] * 9)
        admit(store)
        claims = claim(store)
        handles = [another() for _ in range(6)]
        endings = [ending(claimed, State.COMPLETED, keep=0) for claimed in claims]
        at_once([partial(handle.run, handle.settle(endings)) for handle in handles])
        while admit(store).more:
            pass

        assert len(claim(store)) == 3


def admit_from(connect: Connect, times: int) -> int:
    """Admit many times; run in a process of its own."""
    store = connect(clock=FakeClock())
    try:
        return sum(admit(store).count for _ in range(times))
    finally:
        store.close()
