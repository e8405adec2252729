"""Unique keys: who gets in, what is told to who does not, and when a key is free again."""

from __future__ import annotations

from typing import Any

import pytest

from stoker.core.capability import Capability
from stoker.core.job import Due, Enqueued, NewJob, State, new_call
from stoker.core.settlement import Settled
from stoker.core.unique import OnConflict, UniqueKey
from stoker.stores.base import Store
from stoker.testing.contract.base import (
    HOUR,
    MINUTE,
    ContractTests,
    changed,
    claim,
    claim_one,
    everything,
    job,
    job_in,
    needs,
    only,
    settle,
)
from stoker.testing.fake_clock import FakeClock

TO_START = ("scheduled", "available")
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

    @needs(Capability.UNIQUE)
    def test_a_key_that_counts_while_running_only_lets_all_of_a_call_in(self, store: Store) -> None:
        new = keyed(states=("running",))
        answers = store.run(store.enqueue([new, new], new_call()))

        assert [answer.duplicate for answer in answers] == [False, False]
        assert len({answer.id for answer in answers}) == 2

    # -- within a time -------------------------------------------------------------------------------------------------

    @needs(Capability.UNIQUE | Capability.PRIORITY)
    @pytest.mark.parametrize("urgent_first", [True, False])
    def test_of_several_of_a_key_in_one_claim_the_first_to_run_takes_it(self, store: Store, urgent_first: bool) -> None:
        alone: dict[str, Any] = {"states": ("running", "completed")}
        levels = [5, 3, 1] if urgent_first else [1, 3, 5]
        ids = [put(store, keyed(**alone).changed(priority=level)).id for level in levels]
        claims = claim(store)
        assert sorted(one.id for one in claims) == sorted(ids)

        assert put(store, keyed(args="[2]", **alone)) == Enqueued(ids[levels.index(5)], True)

    @needs(Capability.UNIQUE | Capability.PRIORITY)
    @pytest.mark.parametrize("level", [1, 3])
    def test_who_runs_first_takes_a_key_that_counts_while_running_only(self, store: Store, level: int) -> None:
        alone: dict[str, Any] = {"states": ("running", "completed")}
        ids = [put(store, keyed(**alone).changed(priority=level)).id for level in (level, 2)]
        (first,) = claim(store, limit=1)
        assert first.id == ids[level == 1]

        assert put(store, keyed(args="[2]", **alone)) == Enqueued(first.id, True)

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

    # -- until the holder starts -----------------------------------------------------------------------------------

    @needs(Capability.UNIQUE_TO_START)
    def test_who_comes_second_until_the_first_starts_is_told_the_first(self, store: Store) -> None:
        first = put(store, to_start())
        assert put(store, to_start()) == Enqueued(first.id, True)
        assert not put(store, job()).duplicate

        assert [claimed.id for claimed in claim(store, 1)] == [first.id]
        assert not put(store, to_start()).duplicate
        assert len(claim(store)) == 2

    @needs(Capability.UNIQUE_TO_START)
    def test_keys_of_other_arguments_are_other_keys(self, store: Store) -> None:
        answers = store.run(store.enqueue([to_start(1), to_start(2), to_start(1), job()], new_call()))

        assert [answer.duplicate for answer in answers] == [False, False, True, False]
        assert answers[2].id == answers[0].id
        assert len(claim(store)) == 3

    @needs(Capability.UNIQUE_TO_START | Capability.SCHEDULE)
    def test_a_key_is_taken_from_before_its_holder_is_due_until_it_starts(self, store: Store, clock: FakeClock) -> None:
        first = put(store, changed(to_start(), due=Due(MINUTE)))
        assert put(store, to_start()) == Enqueued(first.id, True)
        clock.advance("1m")
        store.run(store.promote(10))

        assert put(store, to_start()) == Enqueued(first.id, True)
        assert [claimed.id for claimed in claim(store)] == [first.id]
        assert not put(store, to_start()).duplicate

    @needs(Capability.UNIQUE_TO_START)
    def test_who_replaces_gives_the_one_that_waits_its_arguments(self, store: Store) -> None:
        first = put(store, to_start(1, by='{"k":1}'))

        assert put(store, to_start(2, by='{"k":1}', on_conflict="replace")) == Enqueued(first.id, True)
        (claimed,) = claim(store)
        assert (claimed.id, claimed.args) == (first.id, '{"n":2}')
        assert settle(store, claimed, State.COMPLETED) is Settled.ACCEPTED
        assert claim(store) == []

    @needs(Capability.UNIQUE_TO_START | Capability.RECEIPTS)
    def test_a_repeated_call_is_answered_as_before_about_its_duplicates(self, store: Store) -> None:
        put(store, to_start(1))
        call, jobs = new_call(), [to_start(1), to_start(2)]
        first = store.run(store.enqueue(jobs, call))
        claim(store)

        assert store.run(store.enqueue(jobs, call)) == first
        assert claim(store) == []

    @needs(Capability.UNIQUE_TO_START | Capability.SCHEDULE)
    def test_one_that_waits_again_does_not_free_the_key_of_another(self, store: Store) -> None:
        older = claim_one(store, unique=UniqueKey("1", TO_START))
        newer = put(store, changed(to_start(1), due=Due(HOUR)))
        settle(store, older, State.RETRYABLE, counts="failure")
        store.run(store.promote(10))
        assert [claimed.id for claimed in claim(store)] == [older.id]

        assert put(store, to_start(1)) == Enqueued(newer.id, True)


def to_start(number: int = 1, *, by: str = "", on_conflict: OnConflict = "keep") -> NewJob:
    """Make a job whose key is its arguments, or ``by``, and free once it has started."""
    unique = UniqueKey(by or str(number), TO_START, on_conflict=on_conflict, chosen=by)
    return job(args=f'{{"n":{number}}}', unique=unique)


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
