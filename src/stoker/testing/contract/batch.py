"""Batches: a ledger of what members came to, and a document that moves on by compare-and-set."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from stoker.core.batch import BatchId, BatchMove, StoredBatch, member, new_batch
from stoker.core.capability import Capability
from stoker.core.filters import Filter
from stoker.core.job import Due, NewJob, State, new_call
from stoker.core.unique import UniqueKey
from stoker.errors import BatchComplete
from stoker.stores.base import Store
from stoker.testing.contract.base import (
    HOUR,
    LEASE,
    Another,
    ContractTests,
    Place,
    claim,
    enqueue,
    everything,
    failure,
    job,
    needs,
    settle,
    state_of,
)
from stoker.testing.contract.joining import RollBackError
from stoker.testing.fake_clock import FakeClock

Kinds = list[tuple[str, int, int]]


def opened(store: Store, *jobs: NewJob, within: BatchId | None = None) -> BatchId:
    """Open a batch with members."""
    id = new_batch()
    store.run(store.open_batch(id, "{}", [member(one, id) for one in jobs], new_call(), within))
    return id


def look(store: Store, id: BatchId) -> StoredBatch:
    """Look at a batch, which must be there."""
    (found,) = store.run(store.batches([id], 10))
    return found


def told(store: Store, id: BatchId) -> Kinds:
    """Give what the ledger says: node, kind and count of each event."""
    return [(event.node, event.kind, event.count) for event in look(store, id).events]


def move_on(store: Store, id: BatchId, *jobs: NewJob, finished: bool = False, **fields: Any) -> bool:
    """Move a batch on, with all its events seen."""
    batch = look(store, id)
    seen = tuple(event.seq for event in batch.events)
    move = BatchMove(id, batch.version, f'{{"v":{batch.version + 1}}}', seen, finished, **fields)
    return store.run(store.advance(move, jobs, new_call()))


class BatchContract(ContractTests):
    # -- members and their ledger ----------------------------------------------------------------------------------

    @needs(Capability.BATCH)
    def test_a_batch_is_opened_with_its_members_in_one_unit(self, store: Store) -> None:
        id = opened(store, job(), job("other"))

        assert look(store, id) == StoredBatch(id, 1, "{}", False, ())
        assert [(one.name, one.meta, one.version) for one in everything(store)] == [
            ("work", f'{{"stoker.batch":"{id}"}}', 3),
            ("other", f'{{"stoker.batch":"{id}"}}', 3),
        ]

    @needs(Capability.BATCH)
    def test_a_batch_may_be_opened_empty(self, store: Store) -> None:
        first, second = opened(store), opened(store)

        assert (look(store, first).events, look(store, second).events) == ((), ())
        assert store.run(store.batches([], 10)) == []

    @needs(Capability.BATCH)
    @pytest.mark.parametrize(
        ("state", "kind"), [(State.COMPLETED, 5), (State.CANCELLED, 6), (State.DISCARDED, 7), (State.RETRYABLE, None)]
    )
    def test_each_ending_of_a_member_is_an_event(self, store: Store, state: State, kind: int | None) -> None:
        id = new_batch()
        store.run(store.open_batch(id, "{}", [member(job(), id, "a")], new_call()))
        (claimed,) = claim(store)
        settle(store, claimed, state, due=Due(HOUR), keep=claimed.keep)

        assert told(store, id) == ([] if kind is None else [("a", kind, 1)])
        settle(store, claimed, state, due=Due(HOUR), keep=claimed.keep)
        assert len(told(store, id)) == (kind is not None)

    @needs(Capability.BATCH)
    def test_a_refused_ending_is_none(self, store: Store, clock: FakeClock) -> None:
        id = opened(store, job())
        (late,) = claim(store)
        clock.advance("31s")
        store.run(store.reclaim(10))
        settle(store, late, State.COMPLETED)

        assert told(store, id) == []

    @needs(Capability.BATCH)
    def test_a_member_that_is_kept_for_no_time_is_counted_all_the_same(self, store: Store) -> None:
        id = opened(store, job(keep=0), job(keep=0))
        for claimed in claim(store):
            settle(store, claimed, State.COMPLETED, keep=claimed.keep)

        assert told(store, id) == [("", 5, 1)] * 2

    @needs(Capability.BATCH | Capability.LEASE)
    def test_a_crash_too_many_is_an_event(self, store: Store, clock: FakeClock) -> None:
        id = opened(store, job(crash_limit=1))
        claim(store)
        clock.advance("31s")
        store.run(store.reclaim(10))

        assert told(store, id) == [("", 7, 1)]

    @needs(Capability.BATCH | Capability.CANCEL | Capability.RETRY | Capability.DELETE)
    def test_what_operators_do_to_members_are_events(self, store: Store) -> None:
        id = opened(store, job(), job("other"))
        store.run(store.cancel(Filter(names=("work",)), 10))
        assert told(store, id) == [("", 6, 1)]
        store.run(store.retry(Filter(names=("work",)), 10))
        assert told(store, id) == [("", 6, 1), ("", -6, 1)]
        store.run(store.delete(Filter(names=("other",)), 10))
        assert told(store, id)[2:] == [("", 6, 1)]

    @needs(Capability.BATCH | Capability.CANCEL | Capability.DELETE)
    def test_what_has_ended_before_is_deleted_without_a_word(self, store: Store, clock: FakeClock) -> None:
        id = opened(store, job(keep=HOUR, keep_failed=HOUR), job(keep=HOUR, keep_failed=HOUR))
        store.run(store.cancel(Filter(), 1))
        (claimed,) = claim(store)
        settle(store, claimed, State.COMPLETED, keep=HOUR)
        store.run(store.delete(Filter(), 1))
        clock.advance("2h")
        store.run(store.prune(10))

        assert everything(store) == []
        assert told(store, id) == [("", 6, 1), ("", 5, 1)]

    @needs(Capability.BATCH)
    def test_jobs_of_no_batch_are_no_events(self, store: Store) -> None:
        opened(store, job("other"))
        enqueue(store, *[job()] * 3)
        first, second, third = claim(store)
        settle(store, first, State.COMPLETED)
        settle(store, second, State.DISCARDED, error=failure())
        settle(store, third, State.COMPLETED, keep=0)

        assert store.run(store.batches([], 10)) == []

    # -- added later -----------------------------------------------------------------------------------------------

    @needs(Capability.BATCH)
    def test_members_added_later_are_counted(self, store: Store) -> None:
        id = opened(store)
        enqueue(store, member(job(), id), job("free"), member(job("other"), id))

        assert told(store, id) == [("", 0, 2)]
        assert store.run(store.batches([], 10)) == [look(store, id)]

    @needs(Capability.BATCH)
    def test_nothing_is_added_to_a_batch_that_is_finished_or_not_there(self, store: Store) -> None:
        id = opened(store)
        assert move_on(store, id, finished=True)
        for unknown in (id, new_batch()):
            with pytest.raises(BatchComplete, match=unknown):
                enqueue(store, job(), member(job(), unknown))

        assert everything(store) == []
        assert told(store, id) == []

    @needs(Capability.BATCH | Capability.UNIQUE)
    def test_a_member_whose_key_is_taken_is_not_counted(self, store: Store) -> None:
        enqueue(store, job(unique=UniqueKey("k")))
        id = opened(store)
        enqueue(store, member(job(unique=UniqueKey("k")), id), member(job(unique=UniqueKey("l")), id))

        assert told(store, id) == [("", 0, 1)]

    @needs(Capability.BATCH)
    def test_a_batch_within_another_is_counted_there(self, store: Store) -> None:
        outer = opened(store)
        inner = opened(store, job(), within=outer)

        assert told(store, outer) == [(inner, 0, 1)]
        assert told(store, inner) == []

    @needs(Capability.BATCH | Capability.TRANSACTIONS)
    def test_what_a_transaction_adds_is_there_at_its_commit(self, store: Store, place: Place) -> None:
        if place.transaction is None:
            pytest.skip("the place offers no transaction to join")
        id = opened(store)
        with suppress(RollBackError), place.transaction() as on:
            store.run(store.enqueue([member(job(), id)], new_call()), on=on)
            raise RollBackError
        assert told(store, id) == []
        with place.transaction() as on:
            store.run(store.enqueue([member(job(), id)], new_call()), on=on)
        assert told(store, id) == [("", 0, 1)]

    # -- moving on -------------------------------------------------------------------------------------------------

    @needs(Capability.BATCH)
    def test_a_batch_moves_on_with_the_jobs_that_follow(self, store: Store) -> None:
        id = opened(store, job("other"))
        assert move_on(store, id, member(job(), id, "b"), job())

        assert look(store, id) == StoredBatch(id, 2, '{"v":2}', False, ())
        assert len(claim(store)) == 2

    @needs(Capability.BATCH)
    def test_of_two_moves_from_one_version_the_second_changes_nothing(self, store: Store) -> None:
        id = opened(store)
        first, second = (BatchMove(id, 1, f'{{"n":{n}}}', (), False) for n in range(2))

        assert store.run(store.advance(first, [job()], new_call())) is True
        assert store.run(store.advance(second, [job()], new_call())) is False
        assert (look(store, id).version, look(store, id).doc) == (2, '{"n":0}')
        assert len(everything(store)) == 1

    @needs(Capability.BATCH)
    def test_a_move_sent_again_answers_the_same_and_changes_nothing(self, store: Store) -> None:
        outer = opened(store)
        id = opened(store, job(), within=outer)
        (claimed,) = claim(store)
        settle(store, claimed, State.COMPLETED, keep=HOUR)
        seen = tuple(event.seq for event in look(store, id).events)
        move = BatchMove(id, 1, '{"n":1}', seen, False, ((outer, id, 5),))
        for jobs in ([job("next")], []):
            again = store.advance(move, jobs, new_call())
            assert store.run(again) is (len(jobs) == 1)
            assert store.run(again) is (len(jobs) == 1)

        assert told(store, outer) == [(id, 0, 1), (id, 5, 1)]
        assert told(store, id) == []
        assert len(everything(store)) == 2

    @needs(Capability.BATCH)
    def test_a_move_without_jobs_sent_again_tells_nothing_twice(self, store: Store) -> None:
        outer = opened(store)
        id = opened(store, within=outer)
        again = store.advance(BatchMove(id, 1, '{"n":1}', (), True, ((outer, id, 5),)), [], new_call())

        assert (store.run(again), store.run(again)) == (True, True)
        assert told(store, outer) == [(id, 0, 1), (id, 5, 1)]

    @needs(Capability.BATCH)
    def test_events_that_came_after_the_look_stay(self, store: Store) -> None:
        id = opened(store, job(), job())
        first, second = claim(store)
        settle(store, first, State.COMPLETED, keep=HOUR)
        seen = tuple(event.seq for event in look(store, id).events)
        settle(store, second, State.DISCARDED)

        assert store.run(store.advance(BatchMove(id, 1, "{}", seen, False), [], new_call()))
        assert told(store, id) == [("", 7, 1)]

    @needs(Capability.BATCH)
    def test_a_batch_is_not_finished_over_events_that_nobody_saw(self, store: Store) -> None:
        id = opened(store)
        enqueue(store, member(job(), id))

        assert store.run(store.advance(BatchMove(id, 1, "{}", (), True), [job("next")], new_call())) is False
        assert (look(store, id).version, told(store, id)) == (1, [("", 0, 1)])
        assert move_on(store, id, finished=True)

    @needs(Capability.BATCH)
    def test_a_batch_that_is_not_there_does_not_move(self, store: Store) -> None:
        assert store.run(store.advance(BatchMove(new_batch(), 1, "{}", (), False), [job()], new_call())) is False
        assert store.run(store.batches([new_batch()], 10)) == []
        assert everything(store) == []

    @needs(Capability.BATCH)
    def test_open_sent_again_opens_nothing_more(self, store: Store) -> None:
        id = new_batch()
        again = store.open_batch(id, "{}", [member(job(), id)], new_call())

        assert store.run(again) == store.run(again)
        assert len(everything(store)) == 1
        assert look(store, id).version == 1

    @needs(Capability.BATCH)
    def test_a_batch_is_forgotten_two_weeks_after_its_end_and_its_jobs(self, store: Store, clock: FakeClock) -> None:
        done, busy = opened(store), opened(store, job(keep=None))
        assert move_on(store, done, finished=True)
        clock.advance("15d")
        store.run(store.prune(100))

        assert store.run(store.batches([done], 10)) == []
        assert look(store, busy).id == busy

    # -- as a filter -----------------------------------------------------------------------------------------------

    @needs(Capability.BATCH | Capability.FIND | Capability.CANCEL)
    def test_members_are_found_and_cancelled_by_their_batch(self, store: Store) -> None:
        first, second = opened(store, job(), job()), opened(store, job())
        enqueue(store, job())

        assert len(store.run(store.find(Filter(batches=(first,)), 10))) == 2
        assert len(store.run(store.find(Filter(batches=(first, second)), 10))) == 3
        assert store.run(store.cancel(Filter(batches=(first,)), 10)).count == 2
        states = Counter(state_of(store, one.id) for one in everything(store))
        assert states == {State.CANCELLED: 2, State.AVAILABLE: 2}

    # -- all at once -----------------------------------------------------------------------------------------------

    @needs(Capability.BATCH)
    @pytest.mark.parametrize("turn", range(5))
    def test_of_members_that_end_together_one_sees_the_last(self, store: Store, another: Another, turn: int) -> None:
        id = opened(store, *[job()] * 6)
        claims = claim(store, lease=10 * LEASE)
        stores = [another() for _ in claims]
        together = threading.Barrier(len(claims))
        wins: list[bool] = []

        def end(place: int) -> None:
            mine = stores[place]
            together.wait()
            settle(mine, claims[place], State.COMPLETED, keep=HOUR)
            batch = look(mine, id)
            if len(batch.events) == len(claims):
                move = BatchMove(id, batch.version, "{}", tuple(event.seq for event in batch.events), True)
                wins.append(mine.run(mine.advance(move, [job("callback")], new_call())))

        at_once(end, len(claims))
        assert Counter(wins)[True] == 1
        assert [one.name for one in everything(store)].count("callback") == 1

    @needs(Capability.BATCH)
    def test_who_adds_while_a_batch_is_finished_is_refused_or_counted(self, store: Store, another: Another) -> None:
        for _ in range(10):
            id = opened(store)
            mine, yours = another(), another()
            together = threading.Barrier(2)

            def finish(id: BatchId = id, mine: Store = mine, together: threading.Barrier = together) -> None:
                together.wait()
                mine.run(mine.advance(BatchMove(id, 1, "{}", (), True), [], new_call()))

            def add(id: BatchId = id, yours: Store = yours, together: threading.Barrier = together) -> None:
                together.wait()
                with suppress(BatchComplete):
                    enqueue(yours, member(job(), id))

            pair: list[Callable[[], None]] = [finish, add]
            at_once(lambda place, pair=pair: pair[place](), 2)  # type: ignore[misc]
            added = len(store.run(store.find(Filter(batches=(id,)), 10)))
            assert (added, look(store, id).finished) in ((0, True), (1, False))


def at_once(act: Callable[[int], None], count: int) -> None:
    """Call it in as many threads, and wait for all."""
    threads = [threading.Thread(target=act, args=(place,)) for place in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
