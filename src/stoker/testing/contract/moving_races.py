"""Movers beside workers and each other: a job is taken by one of them, and arrives once."""

from __future__ import annotations

import threading
from functools import partial

from stoker.core.capability import Capability
from stoker.core.job import JobId, State, new_call, new_token
from stoker.stores.base import Store
from stoker.testing.contract.base import Another, ContractTests, claim, ending, enqueue, job, later, needs
from stoker.testing.contract.moving import elsewhere, hold
from stoker.testing.contract.races import at_once
from stoker.testing.fake_clock import FakeClock

JOBS = 240


class MovingRaceContract(ContractTests):
    @needs(Capability.HOLD)
    def test_of_workers_and_movers_one_takes_a_job(self, store: Store, another: Another, clock: FakeClock) -> None:
        ids = enqueue(store, *[job(due=later(0 if number % 2 else 60_000_000)) for number in range(JOBS)])
        done = threading.Event()

        def perform(handle: Store) -> list[JobId]:
            taken: list[JobId] = []
            while not done.is_set():
                claims = claim(handle, 3)
                handle.run(handle.settle([ending(claimed, State.COMPLETED, keep=0) for claimed in claims]))
                taken += [claimed.id for claimed in claims]
                handle.run(handle.promote(3))
            return taken

        def carry_off(handle: Store) -> list[JobId]:
            taken: list[JobId] = []
            while jobs := hold(handle, limit=7, token=new_token()):
                taken += [held.id for held in jobs]
            done.set()
            return taken

        clock.advance("61s")
        shares = at_once(
            [partial(perform, another()), partial(perform, another()), *[partial(carry_off, another())] * 2]
        )
        rest = [held.id for held in hold(store, limit=JOBS)]
        assert sorted([id for share in shares for id in share] + rest) == sorted(ids)

    @needs(Capability.RECEIVE)
    def test_movers_who_bring_the_same_at_once_store_it_once(self, store: Store, another: Another) -> None:
        call = new_call()
        jobs = [elsewhere(args=str(number)) for number in range(20)]
        send = [partial(handle.run, handle.receive(jobs, call)) for handle in (another() for _ in range(6))]
        answers = at_once(send)

        assert all(answer == answers[0] for answer in answers)
        assert sorted(claimed.args for claimed in claim(store)) == sorted(one.args for one in jobs)
