"""Unique keys: who gets in, what is told to who does not, and when a key is free again."""

from __future__ import annotations

import pytest

from stoker.core.capability import Capability
from stoker.core.job import Due, Enqueued, JobId, NewJob, State, new_call
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

BUSY = ("scheduled", "available", "retryable", "running")


class UniqueContract(ContractTests):
    @needs(Capability.UNIQUE)
    def test_the_second_of_a_key_is_told_the_first(self, store: Store) -> None:
        first = put(store, keyed())

        assert put(store, keyed(args="[2]")) == Enqueued(first.id, True)
        assert [found.args for found in everything(store)] == ['{"n":1}']

    @needs(Capability.UNIQUE)
    def test_different_keys_do_not_meet(self, store: Store) -> None:
        assert not put(store, keyed("a")).duplicate
        assert not put(store, keyed("b")).duplicate

    @needs(Capability.UNIQUE)
    def test_jobs_without_a_key_are_never_refused(self, store: Store) -> None:
        put(store, keyed())

        assert not put(store, job()).duplicate

    @needs(Capability.UNIQUE)
    def test_a_key_counts_across_queues(self, store: Store) -> None:
        first = put(store, keyed())

        assert put(store, keyed(queue="mail")) == Enqueued(first.id, True)

    @needs(Capability.UNIQUE)
    def test_duplicates_within_one_call_leave_one(self, store: Store) -> None:
        answers = store.run(store.enqueue([keyed("a"), job(), keyed("a"), keyed("b"), keyed("a")], new_call()))

        first = answers[0].id
        assert [answer.duplicate for answer in answers] == [False, False, True, False, True]
        assert [answers[2].id, answers[4].id] == [first, first]
        assert len(everything(store)) == 3

    @needs(Capability.UNIQUE | Capability.SCHEDULE)
    @pytest.mark.parametrize("state", [State.SCHEDULED, State.AVAILABLE, State.RETRYABLE])
    def test_a_key_is_taken_while_its_holder_waits(self, store: Store, state: State) -> None:
        holder, _ = job_in(store, state, unique=UniqueKey("key"))

        assert put(store, keyed()) == Enqueued(holder, True)

    @needs(Capability.UNIQUE)
    @pytest.mark.parametrize("state", [State.RUNNING, State.COMPLETED, State.CANCELLED, State.DISCARDED])
    def test_a_key_is_free_once_its_holder_runs_or_ended(self, store: Store, state: State) -> None:
        job_in(store, state, unique=UniqueKey("key"))

        assert not put(store, keyed()).duplicate

    @needs(Capability.UNIQUE | Capability.SCHEDULE)
    def test_promotion_keeps_the_key(self, store: Store, clock: FakeClock) -> None:
        first = put(store, keyed(due=Due(MINUTE)))
        clock.advance("1m")
        store.run(store.promote(10))

        assert put(store, keyed()) == Enqueued(first.id, True)

    @needs(Capability.UNIQUE | Capability.CANCEL)
    def test_cancelling_the_holder_frees_its_key(self, store: Store) -> None:
        store.run(store.cancel(only(put(store, keyed()).id), 10))

        assert not put(store, keyed()).duplicate

    @needs(Capability.UNIQUE | Capability.DELETE)
    def test_deleting_the_holder_frees_its_key(self, store: Store) -> None:
        store.run(store.delete(only(put(store, keyed()).id), 10))

        assert not put(store, keyed()).duplicate

    @needs(Capability.UNIQUE)
    def test_the_states_of_a_key_can_be_chosen(self, store: Store) -> None:
        claimed = claim_one(store, unique=UniqueKey("key", states=BUSY))
        assert put(store, keyed(states=BUSY)) == Enqueued(claimed.id, True)

        settle(store, claimed, State.COMPLETED)
        assert not put(store, keyed(states=BUSY)).duplicate

    @needs(Capability.UNIQUE)
    def test_a_key_may_outlast_the_running_until_the_job_is_gone(self, store: Store, clock: FakeClock) -> None:
        states = (*BUSY, "completed")
        claimed = claim_one(store, unique=UniqueKey("key", states=states))
        settle(store, claimed, State.COMPLETED, keep=HOUR)
        assert put(store, keyed(states=states)) == Enqueued(claimed.id, True)

        clock.advance("61m")
        store.run(store.prune(10))
        assert not put(store, keyed(states=states)).duplicate

    @needs(Capability.UNIQUE)
    def test_a_job_that_is_not_kept_leaves_no_key_behind(self, store: Store) -> None:
        claimed = claim_one(store, unique=UniqueKey("key", states=(*BUSY, "completed")))
        settle(store, claimed, State.COMPLETED, keep=0)

        assert not put(store, keyed()).duplicate

    # -- within a time -------------------------------------------------------------------------------------------------

    @needs(Capability.UNIQUE)
    def test_a_window_stays_taken_when_the_job_is_done_and_deleted(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store, unique=UniqueKey("key", within=HOUR))
        settle(store, claimed, State.COMPLETED, keep=0)
        clock.advance("59m")
        store.run(store.prune(10))

        assert put(store, keyed(within=HOUR)) == Enqueued(claimed.id, True)

    @needs(Capability.UNIQUE)
    def test_a_window_closes(self, store: Store, clock: FakeClock) -> None:
        settle(store, claim_one(store, unique=UniqueKey("key", within=HOUR)), State.COMPLETED, keep=0)
        clock.advance("61m")

        assert not put(store, keyed(within=HOUR)).duplicate

    @needs(Capability.UNIQUE)
    def test_a_window_is_counted_from_the_enqueue(self, store: Store, clock: FakeClock) -> None:
        put(store, keyed(within=HOUR))
        clock.advance("50m")
        (claimed,) = claim(store)
        settle(store, claimed, State.COMPLETED)
        clock.advance("11m")

        assert not put(store, keyed(within=HOUR)).duplicate

    @needs(Capability.UNIQUE)
    def test_a_closed_window_does_not_free_the_key_of_a_job_that_waits(self, store: Store, clock: FakeClock) -> None:
        first = put(store, keyed(within=MINUTE))
        clock.advance("2m")
        store.run(store.prune(10))

        assert put(store, keyed(within=MINUTE)) == Enqueued(first.id, True)

    @needs(Capability.UNIQUE)
    def test_a_closed_window_does_not_free_the_key_of_a_job_that_waits_again(
        self, store: Store, clock: FakeClock
    ) -> None:
        claimed = claim_one(store, unique=UniqueKey("key", within=HOUR))
        settle(store, claimed, State.AVAILABLE)
        clock.advance("61m")
        store.run(store.prune(10))

        assert put(store, keyed(within=HOUR)) == Enqueued(claimed.id, True)

    # -- on conflict ---------------------------------------------------------------------------------------------------

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
        holder, call = claimable(store), new_call()
        with pytest.raises(DuplicateJob):
            store.run(store.enqueue([keyed(on_conflict="raise")], call))
        (claimed,) = claim(store)
        assert claimed.id == holder

        (answer,) = store.run(store.enqueue([keyed(on_conflict="raise")], call))
        assert not answer.duplicate

    # -- a holder that comes back --------------------------------------------------------------------------------------

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


def keyed(
    key: str = "key",
    *,
    args: str = '{"n":1}',
    queue: str = "default",
    due: Due | None = None,
    states: tuple[str, ...] = ("scheduled", "available", "retryable"),
    within: int | None = None,
    on_conflict: OnConflict = "keep",
) -> NewJob:
    """Make a job with a unique key."""
    unique = UniqueKey(key, states, within, on_conflict)
    return job(args=args, queue=queue, due=due or Due(), unique=unique)


def put(store: Store, new: NewJob) -> Enqueued:
    """Enqueue a job and give the whole answer."""
    (answer,) = store.run(store.enqueue([new], new_call()))
    return answer


def claimable(store: Store) -> JobId:
    """Enqueue the holder of the key."""
    return enqueue_one(store, unique=UniqueKey("key"))
