"""Endings: what a settlement leaves behind, and what becomes of a job that was asked to stop."""

from __future__ import annotations

import pytest

from stoker.core.capability import Capability
from stoker.core.job import Due, State
from stoker.core.settlement import Settled
from stoker.stores.base import Store
from stoker.testing.contract.base import (
    HOUR,
    LEASE,
    MINUTE,
    ContractTests,
    claim,
    claim_one,
    failure,
    fetch,
    look_up,
    needs,
    only,
    settle,
    state_of,
)
from stoker.testing.contract.settle import FINAL_STATES, WAITING_STATES
from stoker.testing.fake_clock import FakeClock


class EndingContract(ContractTests):
    @needs(Capability.HISTORY)
    def test_a_failure_is_counted_and_kept_with_the_time_of_the_store(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store)
        clock.advance("5s")
        settle(store, claimed, State.RETRYABLE, due=Due(MINUTE), counts="failure", error=failure("it's 100% \x00 Ж"))

        found = fetch(store, claimed.id)
        assert (found.failures, found.snoozes, found.crashes, found.starts) == (1, 0, 0, 1)
        (error,) = found.errors
        shown = error.message.replace("\0", "\\x00")  # which not every database can hold
        assert (error.at, error.type, shown) == (clock.now(), "OSError", "it's 100% \\x00 Ж")
        assert (error.attempt, error.trace, error.worker) == (1, "Traceback …", "worker-1")

    @needs(Capability.HISTORY)
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

    @needs(Capability.HISTORY)
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


class StopContract(ContractTests):
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

    @needs(Capability.CANCEL | Capability.CANCEL_RUNNING)
    @pytest.mark.parametrize("state", [State.DISCARDED, State.COMPLETED])
    def test_a_job_that_ended_is_no_longer_asked_to_stop(self, store: Store, state: State) -> None:
        claimed = claim_one(store)
        store.run(store.cancel(only(claimed.id), 10))
        settle(store, claimed, state)

        assert not fetch(store, claimed.id).cancelling

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
