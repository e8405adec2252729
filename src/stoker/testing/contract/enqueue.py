"""Getting in: all or none, each call once, arguments untouched."""

from __future__ import annotations

import pytest

from stoker.core.capability import Capability
from stoker.core.filters import Filter
from stoker.core.job import Due, JobId, State, new_call
from stoker.errors import EnqueueError
from stoker.stores.base import Store
from stoker.testing.contract.base import (
    HOUR,
    MINUTE,
    ContractTests,
    claim,
    enqueue,
    enqueue_one,
    everything,
    fetch,
    job,
    look_up,
    needs,
    only,
    settle,
)
from stoker.testing.fake_clock import FakeClock

ODD_ARGS = {
    "big integers": '{"n":123456789012345678901234567890,"max":9223372036854775807,"over":9223372036854775808}',
    "floats as written": '{"a":1.0,"b":1e400,"c":-0.0,"d":0.1000000000000000055511151231257827}',
    "escapes as written": '{"nul":"\\u0000","lone":"\\ud800","slash":"\\/","e":"\\u00e9"}',
    "characters of all planes": '{"é":"Ж漢🚢\u202e\ufffd\u2028","\U0010ffff":"\x7f"}',
    "spaces and doubled keys": '{ "a" : 1,\n\t"a": 2 }',
    "null": "null",
    "an empty array": "[]",
    "quotes and percent signs": """{"q":"'\\"%s %(a)s :name ? $1 {x}"}""",
}

ODD_NAME = """shop.mail:send "it's" %s_ {tag} Ж🚢"""


class EnqueueContract(ContractTests):
    def test_a_job_that_is_due_becomes_available(self, store: Store) -> None:
        assert fetch(store, enqueue_one(store)).state is State.AVAILABLE

    def test_answers_come_in_the_order_of_the_jobs(self, store: Store) -> None:
        ids = enqueue(store, *(job(args=str(number)) for number in range(50)))

        assert [fetch(store, id).args for id in ids] == [str(number) for number in range(50)]

    def test_each_job_gets_an_id_of_its_own(self, store: Store) -> None:
        ids = enqueue(store, job(), job()) + enqueue(store, job())

        assert len(set(ids)) == 3

    def test_answers_say_that_new_jobs_are_no_duplicates(self, store: Store) -> None:
        answers = store.run(store.enqueue([job(), job()], new_call()))

        assert [answer.duplicate for answer in answers] == [False, False]

    def test_a_call_without_jobs_is_answered_with_nothing(self, store: Store) -> None:
        assert store.run(store.enqueue([], new_call())) == []

    @pytest.mark.asyncio
    async def test_the_async_way_does_the_same(self, store: Store) -> None:
        (answer,) = await store.arun(store.enqueue([job(args="[7]")], new_call()))

        assert [claimed.args for claimed in claim(store)] == ["[7]"]
        assert answer.id

    @pytest.mark.parametrize("args", ODD_ARGS.values(), ids=ODD_ARGS.keys())
    def test_arguments_arrive_byte_for_byte(self, store: Store, args: str) -> None:
        enqueue_one(store, args=args)

        assert claim(store)[0].args == args

    def test_a_megabyte_of_arguments_arrives_byte_for_byte(self, store: Store) -> None:
        args = '{"text":"' + "ж\\n" * 350_000 + '"}'
        enqueue_one(store, args=args)

        assert claim(store)[0].args == args

    @needs(Capability.TAGS)
    def test_odd_names_arrive_as_they_are(self, store: Store) -> None:
        enqueue_one(store, ODD_NAME, route=ODD_NAME)

        (claimed,) = claim(store, names=[ODD_NAME], routes=[ODD_NAME])
        assert claimed.name == ODD_NAME

    @needs(Capability.QUEUE_NAMES)
    def test_queues_may_have_odd_names(self, store: Store) -> None:
        enqueue_one(store, queue=ODD_NAME)

        assert [claimed.queue for claimed in claim(store, queues=[ODD_NAME])] == [ODD_NAME]

    def test_a_claim_carries_what_was_enqueued(self, store: Store, clock: FakeClock) -> None:
        priority = 7 if store.supports(Capability.PRIORITY) else 0
        origin = job(
            priority=priority,
            max_attempts=3,
            meta='{"trace":"ab"}',
            keep=MINUTE,
            keep_failed=HOUR,
            version=9,
            parent=JobId("11"),
            root=JobId("10"),
        )
        enqueue(store, origin)

        (claimed,) = claim(store)
        assert (claimed.priority, claimed.max_attempts, claimed.meta) == (priority, 3, '{"trace":"ab"}')
        assert (claimed.keep, claimed.keep_failed, claimed.version) == (MINUTE, HOUR, 9)
        assert (claimed.parent, claimed.root) == ("11", "10")
        assert (claimed.enqueued_at, claimed.due) == (clock.now(), clock.now())
        assert claimed.defect is None

    @needs(Capability.TAGS)
    def test_a_stored_job_shows_what_was_enqueued(self, store: Store, clock: FakeClock) -> None:
        found = fetch(
            store,
            enqueue_one(
                store,
                route="gpu",
                labels=("blue", "it's 100%"),
                crash_limit=1,
                keep=MINUTE,
                keep_failed=HOUR,
                parent=JobId("3"),
                root=JobId("2"),
                origin=JobId("1"),
            ),
        )

        assert (found.route, found.labels, found.crash_limit) == ("gpu", ("blue", "it's 100%"), 1)
        assert (found.keep, found.keep_failed) == (MINUTE, HOUR)
        assert (found.parent, found.root, found.origin) == ("3", "2", "1")
        assert (found.enqueued_at, found.run_at) == (clock.now(), clock.now())
        assert (found.starts, found.failures, found.crashes, found.snoozes) == (0, 0, 0, 0)
        assert (found.started_at, found.finished_at, found.result, found.worker) == (None, None, None, None)
        assert (found.errors, found.cancelling) == ((), False)

    def test_what_is_not_given_stays_absent(self, store: Store) -> None:
        enqueue_one(store)

        (claimed,) = claim(store)
        assert (claimed.keep, claimed.keep_failed, claimed.parent, claimed.root) == (None, None, None, None)

    # -- once per call -------------------------------------------------------------------------------------------------

    @needs(Capability.RECEIPTS)
    def test_a_repeated_call_inserts_nothing_and_answers_the_same(self, store: Store) -> None:
        jobs, call = [job(), job()], new_call()
        first = store.run(store.enqueue(jobs, call))

        assert store.run(store.enqueue(jobs, call)) == first
        assert [found.id for found in everything(store)] == [answer.id for answer in first]

    @needs(Capability.RECEIPTS)
    def test_a_repeated_call_is_known_when_its_jobs_are_done_and_deleted(self, store: Store) -> None:
        call = new_call()
        first = store.run(store.enqueue([job()], call))
        (claimed,) = claim(store)
        settle(store, claimed, State.COMPLETED, keep=0)

        assert store.run(store.enqueue([job()], call)) == first
        assert claim(store) == []

    @needs(Capability.RECEIPTS)
    def test_a_repeated_call_is_known_for_an_hour(self, store: Store, clock: FakeClock) -> None:
        call = new_call()
        first = store.run(store.enqueue([job()], call))
        clock.advance("59m")
        store.run(store.prune(1000))

        assert store.run(store.enqueue([job()], call)) == first
        assert len(claim(store)) == 1

    @needs(Capability.DELETE)
    def test_a_repeated_call_is_known_when_its_jobs_were_deleted_by_hand(self, store: Store) -> None:
        call = new_call()
        (first,) = store.run(store.enqueue([job()], call))
        store.run(store.delete(only(first.id), 1))

        assert store.run(store.enqueue([job()], call)) == [first]
        assert look_up(store, first.id) is None

    # -- limits --------------------------------------------------------------------------------------------------------

    def test_ten_thousand_jobs_go_into_one_call(self, store: Store) -> None:
        ids = enqueue(store, *[job()] * 10_000)

        assert len(set(ids)) == 10_000
        assert sum(group.count for group in store.run(store.count())) == 10_000

    def test_more_than_ten_thousand_jobs_are_refused_and_none_stored(self, store: Store) -> None:
        with pytest.raises(EnqueueError, match="10000"):
            store.run(store.enqueue([job()] * 10_001, new_call()))

        assert store.run(store.count()) == []

    def test_more_than_sixteen_mebibytes_are_refused_and_none_stored(self, store: Store) -> None:
        large = job(args='"' + "x" * (1024 * 1024) + '"')
        with pytest.raises(EnqueueError, match="16777216"):
            store.run(store.enqueue([large] * 16, new_call()))

        assert store.run(store.count()) == []

    def test_the_size_of_arguments_is_counted_in_bytes(self, store: Store) -> None:
        large = job(args='"' + "🚢" * (1024 * 1024) + '"')
        with pytest.raises(EnqueueError, match="16777216"):
            store.run(store.enqueue([large] * 4, new_call()))

    @needs(Capability.SCHEDULE | Capability.FIND)
    def test_jobs_due_later_are_scheduled(self, store: Store, clock: FakeClock) -> None:
        soon, fixed = enqueue(store, job(due=Due(MINUTE)), job(due=Due(at=clock.now() + HOUR)))

        assert {found.id: (found.state, found.run_at) for found in store.run(store.find(Filter(), 10))} == {
            soon: (State.SCHEDULED, clock.now() + MINUTE),
            fixed: (State.SCHEDULED, clock.now() + HOUR),
        }
