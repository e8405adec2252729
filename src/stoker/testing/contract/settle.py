"""Settling: the only way out of running, guarded by the token."""

from __future__ import annotations

import pytest

from stoker.core.capability import Capability
from stoker.core.job import Due, JobId, State, new_token
from stoker.core.settlement import Settled, Settlement
from stoker.stores.base import Store
from stoker.testing.contract.base import (
    HOUR,
    MINUTE,
    ContractTests,
    claim,
    claim_one,
    ending,
    enqueue,
    enqueue_one,
    failure,
    job,
    kept,
    look_up,
    needs,
    settle,
    state_of,
)
from stoker.testing.fake_clock import FakeClock

WAITING_STATES = [State.AVAILABLE, State.SCHEDULED, State.RETRYABLE]
FINAL_STATES = [State.COMPLETED, State.CANCELLED, State.DISCARDED]


class SettleContract(ContractTests):
    # -- the four answers ----------------------------------------------------------------------------------------------

    def test_an_ending_under_the_right_token_is_accepted(self, store: Store) -> None:
        claimed = claim_one(store)

        assert settle(store, claimed, State.COMPLETED) is Settled.ACCEPTED
        assert state_of(store, claimed.id) is kept(store, State.COMPLETED)

    @pytest.mark.parametrize("state", WAITING_STATES + FINAL_STATES)
    def test_an_ending_sent_again_is_repeated_and_changes_nothing(self, store: Store, state: State) -> None:
        claimed = claim_one(store)
        due = Due(HOUR) if state in WAITING_STATES else Due()
        again = ending(claimed, state, due=due, keep=None, counts="failure", error=failure())
        store.run(store.settle([again]))
        before = look_up(store, claimed.id)
        assert (before is not None) == (kept(store, state) is not None)

        assert store.run(store.settle([again])) == {claimed.id: Settled.REPEATED}
        assert look_up(store, claimed.id) == before

    @needs(Capability.RECEIPTS)
    def test_an_ending_sent_again_is_repeated_after_the_job_was_promoted(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store)
        again = ending(claimed, State.RETRYABLE, due=Due(MINUTE), counts="failure")
        store.run(store.settle([again]))
        clock.advance("1m")
        store.run(store.promote(10))

        assert store.run(store.settle([again])) == {claimed.id: Settled.REPEATED}
        assert state_of(store, claimed.id) is State.AVAILABLE

    def test_an_ending_under_a_foreign_token_is_lost(self, store: Store) -> None:
        claimed = claim_one(store)

        foreign = Settlement(claimed.id, new_token(), State.COMPLETED)
        assert store.run(store.settle([foreign])) == {claimed.id: Settled.LOST}
        assert state_of(store, claimed.id) is State.RUNNING

    def test_an_ending_of_a_job_that_was_taken_back_is_lost(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store)
        clock.advance("31s")
        store.run(store.reclaim(10))

        assert settle(store, claimed, State.COMPLETED) is Settled.LOST
        assert state_of(store, claimed.id) is State.AVAILABLE

    def test_an_ending_of_a_job_that_never_ran_is_lost(self, store: Store) -> None:
        waiting = enqueue_one(store)

        foreign = Settlement(waiting, new_token(), State.COMPLETED)
        assert store.run(store.settle([foreign])) == {waiting: Settled.LOST}
        assert state_of(store, waiting) is State.AVAILABLE

    def test_a_late_ending_does_not_touch_the_attempt_that_runs_now(self, store: Store, clock: FakeClock) -> None:
        late = claim_one(store)
        clock.advance("31s")
        store.run(store.reclaim(10))
        (present,) = claim(store)

        assert settle(store, late, State.DISCARDED) is Settled.LOST
        assert settle(store, present, State.COMPLETED) is Settled.ACCEPTED

    def test_the_clock_is_no_part_of_the_guard(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store)
        clock.advance("1d")

        assert settle(store, claimed, State.COMPLETED) is Settled.ACCEPTED

    @needs(Capability.RECEIPTS)
    def test_an_ending_of_a_job_that_was_deleted_when_done_is_gone(self, store: Store) -> None:
        claimed = claim_one(store)
        settle(store, claimed, State.COMPLETED, keep=0)

        assert settle(store, claimed, State.COMPLETED, keep=0) is Settled.GONE

    @needs(Capability.RECEIPTS)
    def test_an_ending_of_a_job_that_never_was_is_gone(self, store: Store) -> None:
        unknown = JobId("987654321")

        (said,) = store.run(store.settle([Settlement(unknown, new_token(), State.COMPLETED)])).values()
        # Who keeps nothing of what has ended cannot tell whether it was ever there.
        assert said is Settled.GONE or (said is Settled.LOST and not store.supports(Capability.HISTORY))

    # -- many at once --------------------------------------------------------------------------------------------------

    @needs(Capability.RECEIPTS)
    def test_bad_settlements_do_not_fail_the_good_ones(self, store: Store) -> None:
        enqueue(store, *[job()] * 3)
        first, second, third = claim(store)
        unknown, odd = JobId("987654321"), JobId("not an id")
        answers = store.run(
            store.settle(
                [
                    ending(first, State.COMPLETED),
                    Settlement(second.id, new_token(), State.COMPLETED),
                    Settlement(unknown, second.token, State.COMPLETED),
                    Settlement(odd, second.token, State.COMPLETED),
                    ending(third, State.RETRYABLE, due=Due(MINUTE)),
                ]
            )
        )

        assert answers == {
            first.id: Settled.ACCEPTED,
            second.id: Settled.LOST,
            unknown: Settled.GONE,
            odd: Settled.GONE,
            third.id: Settled.ACCEPTED,
        }
        assert state_of(store, second.id) is State.RUNNING

    def test_endings_of_all_kinds_go_into_one_call(self, store: Store) -> None:
        states = WAITING_STATES + FINAL_STATES
        enqueue(store, *[job()] * len(states))
        claims = claim(store)
        store.run(
            store.settle([ending(claim, state, due=Due(HOUR)) for claim, state in zip(claims, states, strict=True)])
        )

        reached = [state_of(store, claim.id) for claim in claims]
        assert reached == [
            State.SCHEDULED,
            State.SCHEDULED,
            State.RETRYABLE,
            *(kept(store, state) for state in FINAL_STATES),
        ]

    def test_of_two_endings_of_one_job_in_a_call_the_rightful_one_is_accepted(self, store: Store) -> None:
        claimed = claim_one(store)
        impostor = Settlement(claimed.id, new_token(), State.DISCARDED)

        store.run(store.settle([impostor, ending(claimed, State.COMPLETED), impostor]))
        assert state_of(store, claimed.id) is kept(store, State.COMPLETED)

    def test_a_thousand_endings_go_into_one_call(self, store: Store) -> None:
        enqueue(store, *[job()] * 1000)
        claims = claim(store, 1000)

        answers = store.run(store.settle([ending(claim, State.COMPLETED, keep=0) for claim in claims]))
        assert answers == {claim.id: Settled.ACCEPTED for claim in claims}
        assert store.run(store.count()) == []

    def test_a_call_without_endings_is_answered_with_nothing(self, store: Store) -> None:
        assert store.run(store.settle([])) == {}
