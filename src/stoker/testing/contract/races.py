"""Races: many at once, in threads and, where the store is shared, in processes."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import pytest

from stoker.core.capability import Capability
from stoker.core.filters import Filter
from stoker.core.job import Due, JobId, NewJob, State, new_call
from stoker.core.settlement import Settled
from stoker.core.unique import UniqueKey
from stoker.stores.base import Store
from stoker.testing.contract.base import (
    MINUTE,
    Another,
    Connect,
    ContractTests,
    Place,
    claim,
    claim_one,
    ending,
    enqueue,
    everything,
    fetch,
    job,
    job_in,
    kept,
    needs,
    only,
    settle,
    state_of,
)
from stoker.testing.fake_clock import FakeClock

T = TypeVar("T")
ROUNDS = 5


class ThreadRaceContract(ContractTests):
    @needs(Capability.UNIQUE)
    def test_forty_enqueues_of_one_key_leave_one_job(self, store: Store, another: Another) -> None:
        handles = [another() for _ in range(40)]
        for key in map(str, range(ROUNDS)):
            new = job(key, unique=UniqueKey(key))
            answers = at_once([partial(put, handle, new) for handle in handles])

            assert len({id for id, _ in answers}) == 1
            assert [duplicate for _, duplicate in answers].count(False) == 1

        assert len(everything(store)) == ROUNDS

    @needs(Capability.UNIQUE)
    def test_forty_enqueues_through_one_handle_leave_one_job(self, store: Store) -> None:
        new = job(unique=UniqueKey("key"))
        at_once([partial(put, store, new)] * 40)

        assert len(everything(store)) == 1

    @needs(Capability.RECEIPTS)
    def test_one_call_sent_many_times_at_once_is_carried_out_once(self, store: Store, another: Another) -> None:
        for _ in range(ROUNDS):
            call = new_call()
            handles = [another() for _ in range(8)]
            send = [partial(handle.run, handle.enqueue([job(), job()], call)) for handle in handles]
            answers = at_once(send)

            assert all(answer == answers[0] for answer in answers)
        assert len(everything(store)) == 2 * ROUNDS

    def test_no_job_is_claimed_by_two(self, store: Store, another: Another) -> None:
        ids = enqueue(store, *[job()] * 400)
        taken = at_once([partial(claim_all, another(), f"worker-{number}") for number in range(8)])

        assert sorted(id for share in taken for id in share) == sorted(ids)
        assert {found.starts for found in everything(store)} == {1}

    def test_workers_sharing_a_handle_claim_no_job_twice(self, store: Store) -> None:
        ids = enqueue(store, *[job()] * 200)
        taken = at_once([partial(claim_all, store, f"worker-{number}") for number in range(4)])

        assert sorted(id for share in taken for id in share) == sorted(ids)

    def test_jobs_enqueued_while_others_claim_are_all_performed_once(self, store: Store, another: Another) -> None:
        enqueued: list[JobId] = []
        more = threading.Event()

        def produce(handle: Store) -> list[JobId]:
            for _ in range(30):
                enqueued.extend(enqueue(handle, *[job()] * 5))
            more.set()
            return []

        def perform(handle: Store) -> list[JobId]:
            done: list[JobId] = []
            while True:
                last_look = more.is_set()
                claims = claim(handle, 7)
                handle.run(handle.settle([ending(claimed, State.COMPLETED, keep=0) for claimed in claims]))
                done += [claimed.id for claimed in claims]
                if last_look and not claims:
                    return done

        shares = at_once([partial(produce, another()), *(partial(perform, another()) for _ in range(3))])
        assert sorted(id for share in shares for id in share) == sorted(enqueued)
        assert store.run(store.count()) == []

    @needs(Capability.LEASE)
    def test_either_the_worker_ends_a_job_or_it_is_taken_back(
        self, store: Store, another: Another, clock: FakeClock
    ) -> None:
        other = another()
        for _ in range(20):
            claimed = claim_one(store)
            clock.advance("31s")
            race: list[Callable[[], object]] = [
                partial(settle, store, claimed, State.COMPLETED),
                lambda: other.run(other.reclaim(10)).available,
            ]
            answers = at_once(race)

            if answers[0] is Settled.ACCEPTED:
                assert answers[1] == ()
                assert state_of(store, claimed.id) is kept(store, State.COMPLETED)
            else:
                assert answers == [Settled.LOST, (claimed.id,)]
                (again,) = claim(store)
                settle(store, again, State.COMPLETED)

    @needs(Capability.LEASE)
    def test_a_crash_is_counted_once_however_many_take_back(
        self, store: Store, another: Another, clock: FakeClock
    ) -> None:
        ids = enqueue(store, *[job()] * 20)
        claim(store)
        clock.advance("31s")
        handles = [another() for _ in range(6)]
        taken = at_once([partial(handle.run, handle.reclaim(10)) for handle in handles])

        assert sorted(id for reclaimed in taken for id in reclaimed.available) == sorted(ids)
        assert {fetch(store, id).crashes for id in ids} == {1}

    @needs(Capability.SCHEDULE | Capability.PROMOTION)
    def test_what_is_due_is_promoted_once_however_many_promote(
        self, store: Store, another: Another, clock: FakeClock
    ) -> None:
        enqueue(store, *[job(due=Due(MINUTE))] * 120)
        clock.advance("1m")
        handles = [another() for _ in range(6)]
        moved = at_once([partial(handle.run, handle.promote(30)) for handle in handles])

        assert sum(answer.count for answer in moved) == 120
        assert len(claim(store, 200)) == 120

    def test_one_of_many_leads(self, store: Store, another: Another) -> None:
        for number in range(ROUNDS):
            handles = [another() for _ in range(8)]
            asked = [
                partial(handle.run, handle.lead(f"role-{number}", f"worker-{index}", MINUTE))
                for index, handle in enumerate(handles)
            ]

            assert at_once(asked).count(True) == 1

    @needs(Capability.CANCEL | Capability.CANCEL_RUNNING)
    def test_a_cancel_reaches_every_job_wherever_it_stands(self, store: Store, another: Another) -> None:
        ids = enqueue(store, *[job()] * 100)
        other = another()

        def cancel_all() -> list[JobId]:
            return list(other.run(other.cancel(Filter(), 1000)).ids)

        race: list[Callable[[], list[JobId]]] = [partial(claim_all, store, "worker-1"), cancel_all]
        claimed, cancelled = at_once(race)
        assert sorted(cancelled) == sorted(ids)
        for found in everything(store):
            assert found.state is (State.RUNNING if found.id in claimed else State.CANCELLED)
            assert found.cancelling == (found.state is State.RUNNING)

    @needs(Capability.RETRY | Capability.UNIQUE)
    def test_of_two_retries_of_one_key_one_gets_in(self, store: Store, another: Another) -> None:
        handles = [another(), another()]
        for key in map(str, range(ROUNDS)):
            dead = [job_in(store, State.DISCARDED, queue=key, unique=UniqueKey(key))[0] for _ in handles]
            retries = [
                partial(handle.run, handle.retry(only(id), 10)) for handle, id in zip(handles, dead, strict=True)
            ]

            assert sorted(changed.count for changed in at_once(retries)) == [0, 1]


class ProcessRaceContract(ContractTests):
    def test_no_job_is_claimed_by_two_processes(self, store: Store, place: Place) -> None:
        pool = processes(place)
        ids = enqueue(store, *[job()] * 600)
        with pool:
            shares = [pool.submit(claim_from, place.connect, f"worker-{number}") for number in range(3)]
            taken = [id for share in shares for id in share.result(30)]

        assert sorted(taken) == sorted(ids)

    @needs(Capability.UNIQUE)
    def test_enqueues_of_one_key_in_several_processes_leave_one_job(self, store: Store, place: Place) -> None:
        with processes(place) as pool:
            answers = [pool.submit(put_many, place.connect, 20) for _ in range(3)]
            ids = {id for answer in answers for id in answer.result(30)}

        assert {found.id for found in everything(store)} == ids
        assert len(ids) == 1


def at_once(actions: Sequence[Callable[[], T]]) -> list[T]:
    """Do things in threads that start together, and take turns often; give the answers in order."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    ready = threading.Barrier(len(actions))

    def act(action: Callable[[], T]) -> T:
        ready.wait(20)
        return action()

    try:
        with ThreadPoolExecutor(len(actions)) as pool:
            return list(pool.map(act, actions))
    finally:
        sys.setswitchinterval(interval)


def put(store: Store, new: NewJob) -> tuple[JobId, bool]:
    """Enqueue a job; give its id and whether it was there."""
    (answer,) = store.run(store.enqueue([new], new_call()))
    return answer.id, answer.duplicate


def claim_all(store: Store, worker: str) -> list[JobId]:
    """Claim in small bites until nothing is left."""
    taken: list[JobId] = []
    while claims := claim(store, 7, worker=worker):
        taken += [claimed.id for claimed in claims]
    return taken


def processes(place: Place) -> ProcessPoolExecutor:
    """Give a pool of three fresh processes."""
    if not place.between_processes:
        pytest.skip("the store lives in one process")
    # Not forked: a child must not inherit what the store has open here.
    return ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn"))


def claim_from(connect: Connect, worker: str) -> list[JobId]:
    """Claim all there is; run in a process of its own."""
    store = connect(clock=FakeClock())
    try:
        return claim_all(store, worker)
    finally:
        store.close()


def put_many(connect: Connect, times: int) -> set[JobId]:
    """Enqueue jobs of one key; run in a process of its own."""
    store = connect(clock=FakeClock())
    try:
        return {put(store, job(unique=UniqueKey("key")))[0] for _ in range(times)}
    finally:
        store.close()
