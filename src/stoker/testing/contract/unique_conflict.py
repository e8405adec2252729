"""Unique keys that clash: what each policy does, and what becomes of a holder that comes back."""

from __future__ import annotations

import pytest

from stoker.core.capability import Capability
from stoker.core.job import Due, Enqueued, State, new_call
from stoker.core.settlement import Settled
from stoker.core.unique import OnConflict, UniqueKey
from stoker.errors import DuplicateJob
from stoker.stores.base import Store
from stoker.testing.contract.base import (
    HOUR,
    MINUTE,
    ContractTests,
    changed,
    claim,
    claim_one,
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
from stoker.testing.contract.unique import BUSY, keyed, put
from stoker.testing.fake_clock import FakeClock


class ConflictContract(ContractTests):
    @needs(Capability.UNIQUE)
    def test_replace_gives_the_waiting_job_the_newer_arguments(self, store: Store) -> None:
        first, other = put(store, keyed()), put(store, job())

        assert put(store, keyed(args="[2]", on_conflict="replace")) == Enqueued(first.id, True)
        assert [(claimed.id, claimed.args) for claimed in claim(store)] == [(first.id, "[2]"), (other.id, '{"n":1}')]

    @needs(Capability.UNIQUE)
    def test_replaced_arguments_bring_the_version_of_their_format(self, store: Store) -> None:
        put(store, keyed())
        put(store, changed(keyed(args="[2]", on_conflict="replace"), version=2))

        assert [(claimed.args, claimed.version) for claimed in claim(store)] == [("[2]", 2)]

    @needs(Capability.UNIQUE | Capability.SCHEDULE)
    def test_replace_does_not_move_the_time(self, store: Store, clock: FakeClock) -> None:
        first = put(store, keyed(due=Due(HOUR)))
        put(store, keyed(args="[2]", on_conflict="replace"))

        found = fetch(store, first.id)
        assert (found.state, found.run_at, found.args) == (State.SCHEDULED, clock.now() + HOUR, "[2]")

    @needs(Capability.UNIQUE)
    def test_of_several_that_replace_in_one_call_the_last_one_stays(self, store: Store) -> None:
        jobs = [keyed(args=f"[{number}]", on_conflict="replace") for number in range(3)]
        store.run(store.enqueue(jobs, new_call()))

        assert [claimed.args for claimed in claim(store)] == ["[2]"]

    @needs(Capability.UNIQUE | Capability.SCHEDULE)
    def test_reschedule_moves_the_time_of_the_waiting_job(self, store: Store, clock: FakeClock) -> None:
        first = put(store, keyed(due=Due(HOUR)))

        assert put(store, keyed(due=Due(MINUTE), on_conflict="reschedule", args="[2]")) == Enqueued(first.id, True)
        found = fetch(store, first.id)
        assert (found.state, found.run_at, found.args) == (State.SCHEDULED, clock.now() + MINUTE, '{"n":1}')

    @needs(Capability.UNIQUE | Capability.SCHEDULE)
    def test_reschedule_puts_an_available_job_off(self, store: Store, clock: FakeClock) -> None:
        first = put(store, keyed())
        put(store, keyed(due=Due(MINUTE), on_conflict="reschedule"))
        assert claim(store) == []

        clock.advance("1m")
        store.run(store.promote(10))
        assert [claimed.id for claimed in claim(store)] == [first.id]

    @needs(Capability.UNIQUE | Capability.SCHEDULE)
    def test_reschedule_to_now_lets_the_job_run(self, store: Store) -> None:
        first = put(store, keyed(due=Due(HOUR)))
        put(store, keyed(on_conflict="reschedule"))
        store.run(store.promote(10))

        assert [claimed.id for claimed in claim(store)] == [first.id]

    @needs(Capability.UNIQUE)
    @pytest.mark.parametrize("policy", ["replace", "reschedule"])
    def test_a_holder_that_no_longer_waits_is_left_alone_and_the_newer_wish_gets_in(
        self, store: Store, policy: OnConflict
    ) -> None:
        running = claim_one(store, unique=UniqueKey("key", states=BUSY))
        newer = put(store, keyed(args="[2]", states=BUSY, on_conflict=policy))
        assert not newer.duplicate
        assert (fetch(store, running.id).args, fetch(store, newer.id).args) == ('{"n":1}', "[2]")

        newest = put(store, keyed(args="[3]", states=BUSY, on_conflict=policy))
        assert newest == Enqueued(newer.id, True)

    @needs(Capability.UNIQUE)
    def test_raise_refuses_the_whole_call(self, store: Store) -> None:
        first = put(store, keyed())
        with pytest.raises(DuplicateJob) as refused:
            store.run(store.enqueue([job(), keyed(on_conflict="raise"), keyed("other")], new_call()))

        assert (refused.value.name, refused.value.existing) == ("work", first.id)
        assert [found.id for found in everything(store)] == [first.id]
        assert not put(store, keyed("other")).duplicate

    @needs(Capability.UNIQUE)
    def test_raise_refuses_duplicates_within_the_call(self, store: Store) -> None:
        with pytest.raises(DuplicateJob):
            store.run(store.enqueue([keyed(), keyed(on_conflict="raise")], new_call()))

        assert everything(store) == []

    @needs(Capability.UNIQUE)
    def test_raise_lets_in_what_meets_nobody(self, store: Store) -> None:
        assert not put(store, keyed(on_conflict="raise")).duplicate

    @needs(Capability.UNIQUE)
    def test_a_call_that_was_refused_can_be_made_again(self, store: Store) -> None:
        holder, call = put(store, keyed()).id, new_call()
        with pytest.raises(DuplicateJob):
            store.run(store.enqueue([keyed(on_conflict="raise")], call))
        (claimed,) = claim(store)
        assert claimed.id == holder

        (answer,) = store.run(store.enqueue([keyed(on_conflict="raise")], call))
        assert not answer.duplicate


class ReturnContract(ContractTests):
    @needs(Capability.UNIQUE | Capability.SCHEDULE)
    @pytest.mark.parametrize("state", [State.RETRYABLE, State.SCHEDULED, State.AVAILABLE])
    def test_a_job_that_waits_again_takes_its_key_again(self, store: Store, state: State) -> None:
        claimed = claim_one(store, unique=UniqueKey("key"))
        settle(store, claimed, state, due=Due(0 if state is State.AVAILABLE else HOUR))

        assert put(store, keyed()) == Enqueued(claimed.id, True)

    @needs(Capability.UNIQUE | Capability.SCHEDULE)
    @pytest.mark.parametrize("state", [State.RETRYABLE, State.SCHEDULED, State.AVAILABLE])
    def test_a_job_whose_key_was_taken_meanwhile_goes_on_without(self, store: Store, state: State) -> None:
        older = claim_one(store, unique=UniqueKey("key"))
        newer = put(store, keyed())

        assert settle(store, older, state, due=Due(0 if state is State.AVAILABLE else HOUR)) is Settled.ACCEPTED
        assert state_of(store, older.id) is state
        assert put(store, keyed()) == Enqueued(newer.id, True)

    @needs(Capability.UNIQUE | Capability.CANCEL)
    def test_a_job_that_goes_without_does_not_free_the_key_of_the_other(self, store: Store) -> None:
        older = claim_one(store, unique=UniqueKey("key"))
        newer = put(store, keyed())
        settle(store, older, State.RETRYABLE, due=Due(HOUR))
        store.run(store.cancel(only(older.id), 10))

        assert put(store, keyed()) == Enqueued(newer.id, True)

    @needs(Capability.UNIQUE)
    def test_a_job_that_waits_again_takes_its_key_from_a_window_that_has_closed(
        self, store: Store, clock: FakeClock
    ) -> None:
        older = claim_one(store, unique=UniqueKey("key"))
        settle(store, claim_one(store, unique=UniqueKey("key", within=MINUTE)), State.COMPLETED, keep=0)
        clock.advance("2m")
        settle(store, older, State.RETRYABLE, due=Due(HOUR))

        assert put(store, keyed()) == Enqueued(older.id, True)

    @needs(Capability.UNIQUE)
    def test_several_of_one_key_that_come_back_in_one_call_are_all_accepted(self, store: Store) -> None:
        first = claim_one(store, unique=UniqueKey("key"))
        second = claim_one(store, unique=UniqueKey("key"))
        answers = [settle(store, claimed, State.RETRYABLE, due=Due(HOUR)) for claimed in (first, second)]

        assert answers == [Settled.ACCEPTED] * 2
        assert put(store, keyed()) == Enqueued(first.id, True)

    @needs(Capability.UNIQUE | Capability.LEASE)
    def test_a_job_that_is_taken_back_from_a_silent_worker_takes_its_key_again(
        self, store: Store, clock: FakeClock
    ) -> None:
        claimed = claim_one(store, unique=UniqueKey("key"))
        clock.advance("31s")
        store.run(store.reclaim(10))

        assert put(store, keyed()) == Enqueued(claimed.id, True)

    @needs(Capability.UNIQUE | Capability.LEASE)
    def test_a_silent_workers_job_whose_key_was_taken_goes_on_without(self, store: Store, clock: FakeClock) -> None:
        older = claim_one(store, unique=UniqueKey("key"))
        newer = put(store, keyed())
        clock.advance("31s")
        store.run(store.reclaim(10))

        assert state_of(store, older.id) is State.AVAILABLE
        assert put(store, keyed()) == Enqueued(newer.id, True)

    @needs(Capability.UNIQUE | Capability.RETRY)
    def test_a_retry_is_refused_where_another_has_the_key(self, store: Store) -> None:
        dead, _ = job_in(store, State.DISCARDED, unique=UniqueKey("key"))
        free, _ = job_in(store, State.DISCARDED, unique=UniqueKey("other"))
        put(store, keyed())

        assert store.run(store.retry(only(dead, free), 10)).ids == (free,)
        assert (state_of(store, dead), state_of(store, free)) == (State.DISCARDED, State.AVAILABLE)

    @needs(Capability.UNIQUE | Capability.RETRY)
    def test_a_retried_job_takes_its_key_again(self, store: Store) -> None:
        dead, _ = job_in(store, State.DISCARDED, unique=UniqueKey("key"))
        store.run(store.retry(only(dead), 10))

        assert put(store, keyed()) == Enqueued(dead, True)

    @needs(Capability.UNIQUE | Capability.RETRY)
    def test_of_two_dead_jobs_of_a_key_one_is_retried(self, store: Store) -> None:
        first, _ = job_in(store, State.DISCARDED, unique=UniqueKey("key"))
        second, _ = job_in(store, State.DISCARDED, unique=UniqueKey("key"))

        assert store.run(store.retry(only(first, second), 10)).count == 1
        assert sorted(found.state for found in everything(store)) == [State.AVAILABLE, State.DISCARDED]

    @needs(Capability.UNIQUE | Capability.RETRY | Capability.SCHEDULE)
    def test_a_holder_that_waits_for_later_may_be_retried(self, store: Store) -> None:
        holder = put(store, keyed(due=Due(HOUR))).id

        assert store.run(store.retry(only(holder), 10)).ids == (holder,)
        assert put(store, keyed()) == Enqueued(holder, True)

    @needs(Capability.UNIQUE | Capability.RETRY)
    def test_a_window_does_not_keep_its_own_job_from_a_retry(self, store: Store) -> None:
        dead, _ = job_in(store, State.DISCARDED, unique=UniqueKey("key", within=HOUR))

        assert store.run(store.retry(only(dead), 10)).ids == (dead,)
        assert look_up(store, dead) is not None
