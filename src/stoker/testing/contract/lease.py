"""Leases: what a heartbeat keeps, and what it learns."""

from __future__ import annotations

from stoker.core.capability import Capability
from stoker.core.job import State, new_token
from stoker.stores.base import Store
from stoker.testing.contract.base import (
    LEASE,
    ContractTests,
    claim,
    claim_one,
    enqueue,
    job,
    needs,
    only,
    settle,
    state_of,
)
from stoker.testing.fake_clock import FakeClock


class LeaseContract(ContractTests):
    def test_a_lease_that_still_runs_is_not_taken_back(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store)
        clock.advance("29s")
        store.run(store.reclaim(10))

        assert state_of(store, claimed.id) is State.RUNNING

    @needs(Capability.LEASE)
    def test_a_lease_that_ended_is_taken_back(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store)
        clock.advance("31s")

        assert store.run(store.reclaim(10)).available == (claimed.id,)
        assert state_of(store, claimed.id) is State.AVAILABLE

    def test_a_heartbeat_keeps_a_lease(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store)
        for _ in range(3):
            clock.advance("20s")
            assert store.run(store.extend([claimed.token], LEASE)).missing == frozenset()
            store.run(store.reclaim(10))

        assert state_of(store, claimed.id) is State.RUNNING

    @needs(Capability.LEASE)
    def test_a_heartbeat_counts_from_now(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store)
        store.run(store.extend([claimed.token], LEASE // 3))
        clock.advance("11s")

        assert store.run(store.reclaim(10)).available == (claimed.id,)

    def test_an_ended_lease_that_nobody_took_back_is_revived(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store)
        clock.advance("2m")

        assert store.run(store.extend([claimed.token], LEASE)).missing == frozenset()
        store.run(store.reclaim(10))
        assert state_of(store, claimed.id) is State.RUNNING

    @needs(Capability.LEASE)
    def test_a_lease_that_was_taken_back_is_missing(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store)
        clock.advance("31s")
        store.run(store.reclaim(10))

        assert store.run(store.extend([claimed.token], LEASE)).missing == {claimed.token}

    @needs(Capability.LEASE)
    def test_a_lease_stays_missing_when_another_holds_the_job(self, store: Store, clock: FakeClock) -> None:
        lost = claim_one(store)
        clock.advance("31s")
        store.run(store.reclaim(10))
        (held,) = claim(store, worker="worker-2")

        assert store.run(store.extend([lost.token, held.token], LEASE)).missing == {lost.token}

    def test_an_unknown_token_is_missing_and_the_others_are_kept(self, store: Store, clock: FakeClock) -> None:
        claimed, unknown = claim_one(store), new_token()
        clock.advance("20s")
        assert store.run(store.extend([unknown, claimed.token], LEASE)).missing == {unknown}

        clock.advance("20s")
        store.run(store.reclaim(10))
        assert state_of(store, claimed.id) is State.RUNNING

    def test_a_heartbeat_for_nothing_is_answered_with_nothing(self, store: Store) -> None:
        extended = store.run(store.extend([], LEASE))

        assert (extended.missing, extended.cancel) == (frozenset(), frozenset())

    def test_one_heartbeat_keeps_all_jobs_of_a_claim(self, store: Store, clock: FakeClock) -> None:
        enqueue(store, *[job()] * 5)
        claims = claim(store)
        clock.advance("20s")
        store.run(store.extend([claims[0].token], LEASE))
        clock.advance("20s")
        store.run(store.reclaim(10))

        assert {state_of(store, claim.id) for claim in claims} == {State.RUNNING}

    @needs(Capability.LEASE)
    def test_reclaiming_takes_the_jobs_of_so_many_leases(self, store: Store, clock: FakeClock) -> None:
        enqueue(store, *[job()] * 6)
        for _ in range(3):
            claim(store, 2)
        clock.advance("31s")

        assert [len(store.run(store.reclaim(2)).available) for _ in range(3)] == [4, 2, 0]

    @needs(Capability.LEASE)
    def test_a_supervisor_takes_the_given_leases_back_at_once(self, store: Store) -> None:
        enqueue(store, job(), job(), job())
        (first,), (second,), (third,) = claim(store, 1), claim(store, 1), claim(store, 1)

        reclaimed = store.run(store.reclaim(10, [first.token, third.token, new_token()]))
        assert sorted(reclaimed.available) == sorted([first.id, third.id])
        assert state_of(store, second.id) is State.RUNNING

    @needs(Capability.LEASE)
    def test_jobs_that_were_taken_back_wait_behind_the_others(self, store: Store, clock: FakeClock) -> None:
        lost = claim_one(store)
        (waiting,) = enqueue(store, job())
        clock.advance("31s")
        store.run(store.reclaim(10))

        assert [claimed.id for claimed in claim(store)] == [waiting, lost.id]

    # -- what a heartbeat learns ---------------------------------------------------------------------------------------

    @needs(Capability.CANCEL | Capability.CANCEL_RUNNING)
    def test_a_heartbeat_learns_which_jobs_are_to_stop(self, store: Store) -> None:
        enqueue(store, *[job()] * 3)
        first, second = claim(store, 2)
        (other,) = claim(store, 1)
        store.run(store.cancel(only(second.id, other.id), 10))

        assert store.run(store.extend([first.token], LEASE)).cancel == {second.id}
        assert store.run(store.extend([first.token, other.token], LEASE)).cancel == {second.id, other.id}

    @needs(Capability.CANCEL | Capability.CANCEL_RUNNING)
    def test_a_heartbeat_does_not_mention_jobs_that_ended(self, store: Store) -> None:
        enqueue(store, job(), job())
        ended, running = claim(store)
        store.run(store.cancel(only(ended.id), 10))
        settle(store, ended, State.COMPLETED)

        extended = store.run(store.extend([running.token], LEASE))
        assert (extended.missing, extended.cancel) == (frozenset(), frozenset())
