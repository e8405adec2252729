"""How long what has ended is kept, and how it goes."""

from __future__ import annotations

import pytest

from stoker.core.capability import Capability
from stoker.core.duration import SECOND
from stoker.core.job import JobId, State
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
    everything,
    fetch,
    job,
    job_in,
    look_up,
    needs,
    only,
    settle,
    state_of,
)
from stoker.testing.fake_clock import FakeClock


class KeepingContract(ContractTests):
    @pytest.mark.parametrize("state", [State.COMPLETED, State.CANCELLED, State.DISCARDED])
    def test_what_is_kept_for_no_time_is_gone_at_once(self, store: Store, state: State) -> None:
        claimed = claim_one(store)
        settle(store, claimed, state, keep=0)

        assert look_up(store, claimed.id) is None

    @needs(Capability.HISTORY)
    @pytest.mark.parametrize("state", [State.COMPLETED, State.CANCELLED, State.DISCARDED])
    def test_what_is_kept_for_a_time_goes_after_it(self, store: Store, clock: FakeClock, state: State) -> None:
        claimed = claim_one(store)
        settle(store, claimed, state, keep=HOUR)
        clock.advance("59m")
        assert store.run(store.prune(10)).count == 0
        assert state_of(store, claimed.id) is state

        clock.advance("61s")
        assert store.run(store.prune(10)).count == 1
        assert look_up(store, claimed.id) is None

    @needs(Capability.HISTORY)
    def test_what_is_kept_for_ever_stays(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store)
        settle(store, claimed, State.COMPLETED, keep=None)
        clock.advance("5200w")

        assert store.run(store.prune(10)).count == 0
        assert state_of(store, claimed.id) is State.COMPLETED

    def test_keeping_is_counted_from_the_end(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store)
        clock.advance("3h")
        settle(store, claimed, State.COMPLETED, keep=HOUR)
        clock.advance("59m")

        assert store.run(store.prune(10)).count == 0

    @needs(Capability.HISTORY)
    def test_an_ending_chooses_the_keeping(self, store: Store) -> None:
        claimed = claim_one(store, keep=MINUTE)
        settle(store, claimed, State.COMPLETED, keep=HOUR)

        assert fetch(store, claimed.id).keep == HOUR

    @needs(Capability.RESULTS)
    def test_pruning_takes_so_many_and_tells_whether_there_are_more(self, store: Store, clock: FakeClock) -> None:
        enqueue(store, *[job()] * 5)
        store.run(store.settle([ending(claimed, State.COMPLETED, keep=SECOND) for claimed in claim(store)]))
        clock.advance("2s")

        rounds = [store.run(store.prune(2)) for _ in range(3)]
        assert [(changed.count, changed.more) for changed in rounds] == [(2, True), (2, True), (1, False)]

    def test_pruning_never_takes_what_waits_or_runs(self, store: Store, clock: FakeClock) -> None:
        unfinished = [State.SCHEDULED, State.AVAILABLE, State.RETRYABLE, State.RUNNING]
        for state in unfinished:
            job_in(store, state, queue=state.value, keep=SECOND, keep_failed=SECOND)
        clock.advance("520w")

        assert store.run(store.prune(10)).count == 0
        # By their queues: where time makes jobs available, their states are others by now.
        assert sorted(found.queue for found in everything(store)) == sorted(unfinished)

    @needs(Capability.CANCEL | Capability.HISTORY)
    def test_what_is_cancelled_while_it_waits_is_kept_like_a_failure(self, store: Store, clock: FakeClock) -> None:
        cancelled = enqueue_one(store, keep=0, keep_failed=HOUR)
        store.run(store.cancel(only(cancelled), 10))
        assert state_of(store, cancelled) is State.CANCELLED

        clock.advance("61m")
        store.run(store.prune(10))
        assert look_up(store, cancelled) is None

    @needs(Capability.CANCEL)
    def test_what_is_cancelled_and_not_kept_is_gone_at_once(self, store: Store) -> None:
        cancelled = enqueue_one(store, keep_failed=0)

        assert store.run(store.cancel(only(cancelled), 10)).ids == (cancelled,)
        assert look_up(store, cancelled) is None

    @needs(Capability.RETRY)
    def test_what_was_retried_is_not_pruned_by_its_old_time(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store)
        settle(store, claimed, State.DISCARDED, keep=MINUTE)
        store.run(store.retry(only(claimed.id), 10))
        clock.advance("2m")
        assert store.run(store.prune(10)).count == 0

        (again,) = claim(store)
        settle(store, again, State.DISCARDED, keep=HOUR)
        clock.advance("2m")
        assert store.run(store.prune(10)).count == 0

    @needs(Capability.RESULTS)
    def test_of_what_is_gone_there_is_no_result(self, store: Store) -> None:
        claimed = claim_one(store)
        settle(store, claimed, State.COMPLETED, keep=0, result="42")

        assert store.run(store.result(claimed.id)) is None
        assert store.run(store.result(JobId("987654321"))) is None
        assert store.run(store.result(JobId("not an id"))) is None
