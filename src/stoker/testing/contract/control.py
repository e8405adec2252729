"""What operators ask of many jobs: cancel, retry, requeue, delete, pause."""

from __future__ import annotations

import pytest

from stoker.core.capability import Capability
from stoker.core.filters import Filter
from stoker.core.job import Pause, State
from stoker.core.settlement import Settled
from stoker.errors import ConfigurationError
from stoker.stores.base import Store
from stoker.testing.contract.base import (
    LEASE,
    ContractTests,
    claim,
    claim_one,
    enqueue,
    enqueue_one,
    failure,
    fetch,
    job,
    job_in,
    kept,
    look_up,
    needs,
    only,
    settle,
    state_of,
)
from stoker.testing.fake_clock import FakeClock


class ControlContract(ContractTests):
    # -- cancel --------------------------------------------------------------------------------------------------------

    @needs(Capability.CANCEL)
    @pytest.mark.parametrize("state", [State.SCHEDULED, State.AVAILABLE, State.RETRYABLE])
    def test_cancelling_ends_a_job_that_waits(self, store: Store, clock: FakeClock, state: State) -> None:
        cancelled, _ = job_in(store, state)

        assert store.run(store.cancel(only(cancelled), 10)).ids == (cancelled,)
        found = look_up(store, cancelled)
        ended = None if found is None else (found.state, found.finished_at)
        assert ended == ((State.CANCELLED, clock.now()) if kept(store, State.CANCELLED) else None)
        assert claim(store) == []

    @needs(Capability.CANCEL | Capability.CANCEL_RUNNING)
    def test_cancelling_flags_a_job_that_runs(self, store: Store) -> None:
        claimed = claim_one(store)

        assert store.run(store.cancel(only(claimed.id), 10)).ids == (claimed.id,)
        found = fetch(store, claimed.id)
        assert (found.state, found.cancelling) == (State.RUNNING, True)

    @needs(Capability.CANCEL | Capability.CANCEL_RUNNING)
    def test_what_is_flagged_already_is_not_counted_again(self, store: Store) -> None:
        enqueue(store, *[job()] * 3)
        claim(store)

        rounds = [store.run(store.cancel(Filter(), 2)) for _ in range(3)]
        assert [(changed.count, changed.more) for changed in rounds] == [(2, True), (1, False), (0, False)]

    @needs(Capability.CANCEL)
    def test_a_job_cancelled_by_name_leaves_the_others_alone(self, store: Store) -> None:
        gone, stays = enqueue(store, job("a"), job("b"))
        store.run(store.cancel(Filter(names=("a",)), 10))

        assert (state_of(store, gone), state_of(store, stays)) == (kept(store, State.CANCELLED), State.AVAILABLE)

    # -- retry ---------------------------------------------------------------------------------------------------------

    @needs(Capability.RETRY)
    @pytest.mark.parametrize("state", [State.CANCELLED, State.DISCARDED, State.RETRYABLE, State.SCHEDULED])
    def test_a_retried_job_runs_again_now(self, store: Store, clock: FakeClock, state: State) -> None:
        retried, _ = job_in(store, state)
        if not kept(store, state):
            pytest.skip("what was cancelled is gone: the store lacks HISTORY")

        assert store.run(store.retry(only(retried), 10)).ids == (retried,)
        (claimed,) = claim(store)
        assert (claimed.id, claimed.due) == (retried, clock.now())

    @needs(Capability.RETRY)
    def test_a_retried_job_keeps_its_failures_and_has_an_attempt_left(self, store: Store) -> None:
        claimed = claim_one(store, max_attempts=1)
        settle(store, claimed, State.DISCARDED, counts="failure", error=failure())
        store.run(store.retry(only(claimed.id), 10))

        found = fetch(store, claimed.id)
        assert (found.failures, found.max_attempts, len(found.errors)) == (1, 2, 1)
        assert claim(store)[0].max_attempts == 2

    @needs(Capability.RETRY)
    def test_a_retried_job_keeps_the_attempts_it_has(self, store: Store) -> None:
        claimed = claim_one(store, max_attempts=20)
        settle(store, claimed, State.DISCARDED, counts="failure")
        store.run(store.retry(only(claimed.id), 10))

        assert fetch(store, claimed.id).max_attempts == 20

    @needs(Capability.RETRY | Capability.LEASE)
    def test_a_retried_job_is_no_longer_a_suspect(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store, crash_limit=1)
        clock.advance("31s")
        store.run(store.reclaim(10))
        assert state_of(store, claimed.id) is State.DISCARDED
        store.run(store.retry(only(claimed.id), 10))

        found = fetch(store, claimed.id)
        assert (found.state, found.crashes, len(found.errors)) == (State.AVAILABLE, 0, 1)

    @needs(Capability.RETRY)
    def test_a_retried_job_has_no_end_and_no_result(self, store: Store) -> None:
        claimed = claim_one(store)
        settle(store, claimed, State.DISCARDED, result="1")
        store.run(store.retry(only(claimed.id), 10))

        found = fetch(store, claimed.id)
        assert (found.finished_at, found.result) == (None, None)

    # -- requeue -------------------------------------------------------------------------------------------------------

    @needs(Capability.RETRY | Capability.LEASE)
    def test_requeue_takes_only_what_a_silent_worker_holds(self, store: Store, clock: FakeClock) -> None:
        silent = claim_one(store)
        clock.advance("20s")
        alive = claim_one(store)
        clock.advance("11s")

        assert store.run(store.requeue(Filter(), 10)).ids == (silent.id,)
        assert (state_of(store, silent.id), state_of(store, alive.id)) == (State.AVAILABLE, State.RUNNING)

    @needs(Capability.RETRY)
    def test_requeue_by_force_takes_the_job_from_its_worker(self, store: Store) -> None:
        claimed = claim_one(store)

        assert store.run(store.requeue(only(claimed.id), 10, force=True)).ids == (claimed.id,)
        assert settle(store, claimed, State.COMPLETED) is Settled.LOST
        assert [again.id for again in claim(store)] == [claimed.id]

    @needs(Capability.RETRY)
    def test_requeue_counts_no_crash(self, store: Store) -> None:
        claimed = claim_one(store)
        store.run(store.requeue(only(claimed.id), 10, force=True))

        found = fetch(store, claimed.id)
        assert (found.crashes, found.failures, found.errors) == (0, 0, ())

    @needs(Capability.RETRY)
    def test_requeue_leaves_the_neighbours_under_their_lease(self, store: Store) -> None:
        enqueue(store, job(), job())
        taken, held = claim(store)
        store.run(store.requeue(only(taken.id), 10, force=True))

        assert store.run(store.extend([held.token], LEASE)).missing == frozenset()
        assert settle(store, held, State.COMPLETED) is Settled.ACCEPTED

    @needs(Capability.RETRY | Capability.CANCEL | Capability.CANCEL_RUNNING)
    def test_requeue_ends_what_was_asked_to_stop(self, store: Store) -> None:
        claimed = claim_one(store)
        store.run(store.cancel(only(claimed.id), 10))
        store.run(store.requeue(only(claimed.id), 10, force=True))

        assert state_of(store, claimed.id) is State.CANCELLED

    # -- delete --------------------------------------------------------------------------------------------------------

    @needs(Capability.DELETE)
    def test_a_deleted_job_is_gone(self, store: Store) -> None:
        gone, stays = enqueue(store, job(), job())

        assert store.run(store.delete(only(gone), 10)).ids == (gone,)
        assert look_up(store, gone) is None
        assert [claimed.id for claimed in claim(store)] == [stays]

    @needs(Capability.DELETE)
    def test_a_job_that_runs_is_not_deleted(self, store: Store) -> None:
        claimed = claim_one(store)

        assert store.run(store.delete(Filter(), 10)).count == 0
        assert settle(store, claimed, State.COMPLETED) is Settled.ACCEPTED

    @needs(Capability.DELETE | Capability.SCHEDULE)
    def test_a_deleted_job_is_not_promoted_any_more(self, store: Store, clock: FakeClock) -> None:
        scheduled, _ = job_in(store, State.SCHEDULED)
        store.run(store.delete(only(scheduled), 10))
        clock.advance("2h")

        assert store.run(store.promote(10)).count == 0

    # -- many at a time ------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("verb", ["cancel", "delete", "promote_now", "requeue", "retry"])
    def test_so_many_are_changed_at_a_time_and_the_answer_tells_whether_there_are_more(
        self, store: Store, verb: str
    ) -> None:
        needed = {"cancel": Capability.CANCEL, "delete": Capability.DELETE}.get(verb, Capability.RETRY)
        if not store.supports(needed):
            pytest.skip(f"the store lacks {needed.name}")
        for _ in range(5):
            job_in(store, State.RUNNING if verb == "requeue" else State.SCHEDULED)
        options = {"force": True} if verb == "requeue" else {}

        rounds = [store.run(getattr(store, verb)(Filter(), 2, **options)) for _ in range(4)]
        expected = [(2, True), (2, True), (1, False), (0, False)]
        assert [(changed.count, changed.more) for changed in rounds] == expected
        assert [len(changed.ids) for changed in rounds] == [2, 2, 1, 0]

    # -- pause ---------------------------------------------------------------------------------------------------------

    @needs(Capability.PAUSE)
    def test_what_is_paused_is_told_with_the_time(self, store: Store, clock: FakeClock) -> None:
        store.run(store.pause("queue", ["mail"], True))
        since = clock.now()
        clock.advance("1m")
        store.run(store.pause("name", ["mail", "it's 100%"], True))

        paused = {(pause.kind, pause.value): pause.since for pause in store.run(store.paused())}
        assert paused == {
            ("queue", "mail"): since,
            ("name", "mail"): clock.now(),
            ("name", "it's 100%"): clock.now(),
        }

    @needs(Capability.PAUSE)
    def test_what_is_resumed_is_claimed_again(self, store: Store) -> None:
        waiting = enqueue_one(store)
        store.run(store.pause("queue", ["default"], True))
        assert claim(store) == []
        store.run(store.pause("queue", ["default"], False))

        assert store.run(store.paused()) == []
        assert [claimed.id for claimed in claim(store)] == [waiting]

    @needs(Capability.PAUSE)
    def test_pausing_counts_what_it_changed(self, store: Store, clock: FakeClock) -> None:
        assert store.run(store.pause("queue", ["a", "b"], True)).count == 2
        since = clock.now()
        clock.advance("1m")
        assert store.run(store.pause("queue", ["b", "c"], True)).count == 1
        assert {pause.value: pause.since for pause in store.run(store.paused())}["b"] == since
        assert store.run(store.pause("queue", ["c", "d"], False)).count == 1

    @needs(Capability.PAUSE)
    def test_pausing_does_not_touch_what_runs(self, store: Store) -> None:
        claimed = claim_one(store)
        store.run(store.pause("queue", ["default"], True))

        assert settle(store, claimed, State.COMPLETED) is Settled.ACCEPTED

    @needs(Capability.PAUSE)
    def test_a_breaker_is_noted_like_a_pause_and_left_to_workers(self, store: Store, clock: FakeClock) -> None:
        enqueued = enqueue_one(store)
        assert store.run(store.pause("breaker", ["work"], True)).count == 1
        assert store.run(store.pause("breaker", ["work"], True)).count == 0

        assert store.run(store.paused()) == [Pause("breaker", "work", clock.now())]
        assert [claimed.id for claimed in claim(store)] == [enqueued]
        assert store.run(store.pause("breaker", ["work"], False)).count == 1
        assert store.run(store.paused()) == []

    @needs(Capability.PAUSE)
    def test_only_queues_and_names_can_be_paused(self, store: Store) -> None:
        with pytest.raises(ConfigurationError, match="planet"):
            store.run(store.pause("planet", ["earth"], True))
