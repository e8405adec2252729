"""Settling: the only way out of running, guarded by the token."""

from __future__ import annotations

import pytest

from stoker.core.capability import Capability
from stoker.core.job import Due, JobId, State, new_token
from stoker.core.settlement import Settled, Settlement
from stoker.stores.base import Store
from stoker.testing.contract.base import (
    HOUR,
    LEASE,
    MINUTE,
    ContractTests,
    claim,
    claim_one,
    ending,
    enqueue,
    enqueue_one,
    failure,
    fetch,
    job,
    look_up,
    needs,
    only,
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
        assert state_of(store, claimed.id) is State.COMPLETED

    @pytest.mark.parametrize("state", WAITING_STATES + FINAL_STATES)
    def test_an_ending_sent_again_is_repeated_and_changes_nothing(self, store: Store, state: State) -> None:
        claimed = claim_one(store)
        due = Due(HOUR) if state in WAITING_STATES else Due()
        again = ending(claimed, state, due=due, keep=None, counts="failure", error=failure())
        store.run(store.settle([again]))
        before = fetch(store, claimed.id)

        assert store.run(store.settle([again])) == {claimed.id: Settled.REPEATED}
        assert fetch(store, claimed.id) == before

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

    def test_an_ending_of_a_job_that_was_deleted_when_done_is_gone(self, store: Store) -> None:
        claimed = claim_one(store)
        settle(store, claimed, State.COMPLETED, keep=0)

        assert settle(store, claimed, State.COMPLETED, keep=0) is Settled.GONE

    def test_an_ending_of_a_job_that_never_was_is_gone(self, store: Store) -> None:
        unknown = JobId("987654321")

        assert store.run(store.settle([Settlement(unknown, new_token(), State.COMPLETED)])) == {unknown: Settled.GONE}

    # -- many at once --------------------------------------------------------------------------------------------------

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
        assert reached == [State.SCHEDULED, State.SCHEDULED, State.RETRYABLE, *FINAL_STATES]

    def test_of_two_endings_of_one_job_in_a_call_the_rightful_one_is_accepted(self, store: Store) -> None:
        claimed = claim_one(store)
        impostor = Settlement(claimed.id, new_token(), State.DISCARDED)

        store.run(store.settle([impostor, ending(claimed, State.COMPLETED), impostor]))
        assert state_of(store, claimed.id) is State.COMPLETED

    def test_a_thousand_endings_go_into_one_call(self, store: Store) -> None:
        enqueue(store, *[job()] * 1000)
        claims = claim(store, 1000)

        answers = store.run(store.settle([ending(claim, State.COMPLETED, keep=0) for claim in claims]))
        assert answers == {claim.id: Settled.ACCEPTED for claim in claims}
        assert store.run(store.count()) == []

    def test_a_call_without_endings_is_answered_with_nothing(self, store: Store) -> None:
        assert store.run(store.settle([])) == {}

    # -- what an ending leaves behind ----------------------------------------------------------------------------------

    def test_a_failure_is_counted_and_kept_with_the_time_of_the_store(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store)
        clock.advance("5s")
        settle(store, claimed, State.RETRYABLE, due=Due(MINUTE), counts="failure", error=failure("it's 100% \x00 Ж"))

        found = fetch(store, claimed.id)
        assert (found.failures, found.snoozes, found.crashes, found.starts) == (1, 0, 0, 1)
        (error,) = found.errors
        assert (error.at, error.type, error.message) == (clock.now(), "OSError", "it's 100% \x00 Ж")
        assert (error.attempt, error.trace, error.worker) == (1, "Traceback …", "worker-1")

    def test_failures_are_kept_oldest_first(self, store: Store) -> None:
        claimed = claim_one(store)
        for message in ("first", "second", "third"):
            settle(store, claimed, State.AVAILABLE, counts="failure", error=failure(message))
            (claimed,) = claim(store)

        assert [error.message for error in fetch(store, claimed.id).errors] == ["first", "second", "third"]
        assert (claimed.failures, claimed.starts, claimed.attempt) == (3, 4, 4)

    def test_a_snooze_is_counted_as_such(self, store: Store) -> None:
        claimed = claim_one(store)
        settle(store, claimed, State.SCHEDULED, due=Due(MINUTE), counts="snooze")

        found = fetch(store, claimed.id)
        assert (found.state, found.snoozes, found.failures, found.errors) == (State.SCHEDULED, 1, 0, ())

    def test_a_job_given_back_counts_nothing(self, store: Store) -> None:
        settle(store, claim_one(store), State.AVAILABLE)

        (again,) = claim(store)
        assert (again.failures, again.crashes, again.snoozes, again.attempt) == (0, 0, 0, 1)

    @needs(Capability.RESULTS)
    def test_the_result_can_be_asked_for(self, store: Store) -> None:
        claimed = claim_one(store)
        settle(store, claimed, State.COMPLETED, keep=HOUR, result='{"n":123456789012345678901}')

        found = store.run(store.result(claimed.id))
        assert found is not None
        assert (found.state, found.result, found.error) == (State.COMPLETED, '{"n":123456789012345678901}', None)

    @needs(Capability.RESULTS)
    def test_the_latest_failure_can_be_asked_for(self, store: Store) -> None:
        claimed = claim_one(store)
        settle(store, claimed, State.AVAILABLE, counts="failure", error=failure("first"))
        (claimed,) = claim(store)
        settle(store, claimed, State.DISCARDED, counts="failure", error=failure("second"))

        found = store.run(store.result(claimed.id))
        assert found is not None
        assert found.error is not None
        assert (found.state, found.error.message) == (State.DISCARDED, "second")

    def test_start_and_end_are_noted_by_the_clock_of_the_store(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store)
        clock.advance("10s")
        settle(store, claimed, State.COMPLETED, duration=4_000_000)

        found = fetch(store, claimed.id)
        assert (found.started_at, found.finished_at) == (clock.now() - 4_000_000, clock.now())

    def test_a_job_that_waits_again_has_no_end(self, store: Store) -> None:
        claimed = claim_one(store)
        settle(store, claimed, State.RETRYABLE, due=Due(MINUTE))

        assert fetch(store, claimed.id).finished_at is None

    def test_a_job_given_back_for_later_is_scheduled(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store)
        settle(store, claimed, State.AVAILABLE, due=Due(MINUTE))

        found = fetch(store, claimed.id)
        assert (found.state, found.run_at) == (State.SCHEDULED, clock.now() + MINUTE)

    def test_a_settled_job_no_longer_stands_under_its_lease(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store)
        settle(store, claimed, State.AVAILABLE)
        clock.advance("31s")

        reclaimed = store.run(store.reclaim(10))
        assert (reclaimed.available, reclaimed.cancelled, reclaimed.discarded) == ((), (), ())

    # -- a job that was asked to stop ----------------------------------------------------------------------------------

    @needs(Capability.CANCEL | Capability.CANCEL_RUNNING)
    @pytest.mark.parametrize("state", WAITING_STATES)
    def test_a_flagged_job_that_would_wait_again_is_cancelled(self, store: Store, state: State) -> None:
        claimed = claim_one(store)
        store.run(store.cancel(only(claimed.id), 10))

        assert settle(store, claimed, state, due=Due(MINUTE), counts="failure", error=failure()) is Settled.ACCEPTED
        assert state_of(store, claimed.id) is State.CANCELLED

    @needs(Capability.CANCEL | Capability.CANCEL_RUNNING)
    @pytest.mark.parametrize("state", FINAL_STATES)
    def test_a_flagged_job_that_ends_keeps_its_ending(self, store: Store, state: State) -> None:
        claimed = claim_one(store)
        store.run(store.cancel(only(claimed.id), 10))
        settle(store, claimed, state)

        assert state_of(store, claimed.id) is state

    @needs(Capability.CANCEL | Capability.CANCEL_RUNNING)
    def test_a_flagged_job_is_kept_as_long_as_failed_ones(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store, keep=0, keep_failed=HOUR)
        store.run(store.cancel(only(claimed.id), 10))
        settle(store, claimed, State.RETRYABLE, due=Due(MINUTE))
        assert state_of(store, claimed.id) is State.CANCELLED

        clock.advance("61m")
        store.run(store.prune(10))
        assert look_up(store, claimed.id) is None

    @needs(Capability.CANCEL | Capability.CANCEL_RUNNING | Capability.RETRY)
    def test_the_wish_to_cancel_does_not_outlive_the_attempt(self, store: Store) -> None:
        claimed = claim_one(store)
        store.run(store.cancel(only(claimed.id), 10))
        settle(store, claimed, State.DISCARDED)
        store.run(store.retry(only(claimed.id), 10))
        (again,) = claim(store)

        assert store.run(store.extend([again.token], LEASE)).cancel == frozenset()
        settle(store, again, State.RETRYABLE, due=Due(MINUTE))
        assert state_of(store, claimed.id) is State.RETRYABLE
