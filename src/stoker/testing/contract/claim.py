"""Claiming: what is taken, in which order, and never twice."""

from __future__ import annotations

import pytest

from stoker.core.capability import Capability
from stoker.core.duration import SECOND
from stoker.core.job import Due, State, new_token
from stoker.core.settlement import Settled
from stoker.stores.base import Store
from stoker.testing.contract.base import (
    LEASE,
    ContractTests,
    claim,
    claim_one,
    enqueue,
    enqueue_one,
    fetch,
    job,
    needs,
    only,
    settle,
    state_of,
)
from stoker.testing.fake_clock import FakeClock


class ClaimContract(ContractTests):
    def test_a_claimed_job_runs_under_the_token_given(self, store: Store) -> None:
        enqueued, token = enqueue_one(store), new_token()

        (claimed,) = claim(store, token=token)
        assert (claimed.id, claimed.token) == (enqueued, token)
        assert state_of(store, enqueued) is State.RUNNING

    def test_a_claimed_job_is_not_claimed_again(self, store: Store) -> None:
        claim_one(store)

        assert claim(store) == []

    @needs(Capability.FIND | Capability.HISTORY)
    def test_a_claim_counts_a_start(self, store: Store) -> None:
        first = claim_one(store)
        settle(store, first, State.AVAILABLE)

        (second,) = claim(store)
        assert (first.starts, second.starts) == (1, 2)

    def test_a_claim_notes_the_worker_and_the_time(self, store: Store, clock: FakeClock) -> None:
        enqueued = enqueue_one(store)
        clock.advance("5s")
        claim(store, worker="crew-7")

        found = fetch(store, enqueued)
        assert (found.worker, found.started_at) == ("crew-7", clock.now())

    def test_a_claim_tells_the_time_of_the_store(self, store: Store, clock: FakeClock) -> None:
        assert store.run(store.claim({"default": 1}, ["work"], [""], new_token(), "w", LEASE)).now == clock.now()

    @pytest.mark.asyncio
    async def test_the_async_way_does_the_same(self, store: Store) -> None:
        enqueued = enqueue_one(store)

        claimed = await store.arun(store.claim({"default": 1}, ["work"], [""], new_token(), "w", LEASE))
        assert [claim.id for claim in claimed.claims] == [enqueued]

    # -- how many, of which --------------------------------------------------------------------------------------------

    def test_no_more_than_demanded_are_taken(self, store: Store) -> None:
        enqueue(store, *[job()] * 5)

        assert [len(claim(store, 2)) for _ in range(3)] == [2, 2, 1]

    def test_each_queue_has_a_demand_of_its_own(self, store: Store) -> None:
        enqueue(store, *[job(queue="mail")] * 3, *[job(queue="images")] * 3, job(queue="other"))

        claimed = store.run(store.claim({"mail": 1, "images": 2}, ["work"], [""], new_token(), "w", LEASE)).claims
        assert sorted(claim.queue for claim in claimed) == ["images", "images", "mail"]

    def test_a_demand_of_none_takes_none(self, store: Store) -> None:
        enqueue_one(store)

        assert claim(store, 0) == []

    def test_a_demand_for_nothing_at_all_takes_nothing(self, store: Store) -> None:
        enqueue_one(store)

        assert store.run(store.claim({}, ["work"], [""], new_token(), "w", LEASE)).claims == []

    def test_a_thousand_jobs_are_taken_at_once(self, store: Store) -> None:
        ids = enqueue(store, *[job()] * 1000)

        assert [claimed.id for claimed in claim(store, 1000)] == ids

    @needs(Capability.SELECTIVE)
    def test_unknown_names_wait_untouched(self, store: Store) -> None:
        unknown, known = enqueue(store, job("unknown"), job("known"))
        before = fetch(store, unknown)

        assert [claimed.id for claimed in claim(store, names=["known"])] == [known]
        assert fetch(store, unknown) == before

    @needs(Capability.SELECTIVE | Capability.TAGS)
    def test_only_the_routes_asked_for_are_taken(self, store: Store) -> None:
        plain, gpu, _ = enqueue(store, job(), job(route="gpu"), job(route="gpu,ssd"))

        assert [claimed.id for claimed in claim(store, routes=["gpu"])] == [gpu]
        assert [claimed.id for claimed in claim(store, routes=[""])] == [plain]

    @needs(Capability.SELECTIVE)
    def test_without_names_or_routes_nothing_is_taken(self, store: Store) -> None:
        enqueue_one(store)

        assert claim(store, names=[]) == []
        assert claim(store, routes=[]) == []

    @needs(Capability.PAUSE)
    def test_a_paused_queue_is_left_alone(self, store: Store) -> None:
        _, mail = enqueue(store, job(queue="images"), job(queue="mail"))
        store.run(store.pause("queue", ["images"], True))

        assert [claimed.id for claimed in claim(store, queues=["images", "mail"])] == [mail]

    @needs(Capability.PAUSE)
    def test_a_paused_name_is_left_alone_in_every_queue(self, store: Store) -> None:
        _, _, send = enqueue(store, job("resize"), job("resize", queue="b"), job("send"))
        store.run(store.pause("name", ["resize"], True))

        assert [claimed.id for claimed in claim(store, queues=["default", "b"], names=["resize", "send"])] == [send]

    # -- in which order ------------------------------------------------------------------------------------------------

    def test_first_in_is_first_out(self, store: Store) -> None:
        ids = [enqueue_one(store) for _ in range(5)]

        assert [claimed.id for claimed in claim(store)] == ids

    @needs(Capability.TAGS)
    def test_first_in_is_first_out_over_names_and_routes(self, store: Store) -> None:
        ids = enqueue(store, job("b"), job("a"), job("b", route="gpu"), job("a"), job("b"))

        claimed = claim(store, 3, names=["a", "b"], routes=["", "gpu"])
        claimed += claim(store, 3, names=["a", "b"], routes=["", "gpu"])
        assert [claim.id for claim in claimed] == ids

    @needs(Capability.PRIORITY)
    def test_higher_priority_comes_first(self, store: Store) -> None:
        low, normal, high = enqueue(store, job(priority=-100), job(), job(priority=100))

        assert [claimed.id for claimed in claim(store)] == [high, normal, low]

    @needs(Capability.PRIORITY)
    def test_higher_priority_comes_first_over_names(self, store: Store) -> None:
        a, b, c = enqueue(store, job("a"), job("b", priority=5), job("a", priority=9))

        assert [claimed.id for claimed in claim(store, 2, names=["a", "b"])] == [c, b]
        assert [claimed.id for claimed in claim(store, 2, names=["a", "b"])] == [a]

    @needs(Capability.PRIORITY)
    def test_higher_priority_comes_first_however_often_was_claimed_before(self, store: Store) -> None:
        enqueue(store, *[job()] * 40)
        for _ in range(12):  # a server may answer otherwise once it knows a question
            claim(store, 2)
        enqueue(store, *[job(priority=priority) for priority in (5, 9, 7)])

        assert [one.priority for one in claim(store, 4)] == [9, 7, 5, 0]

    @needs(Capability.PRIORITY)
    def test_equal_priority_keeps_the_order_of_entry(self, store: Store) -> None:
        ids = enqueue(store, *[job(priority=3)] * 4)

        assert [claimed.id for claimed in claim(store, 4)] == ids

    @needs(Capability.PRIORITY | Capability.CANCEL)
    def test_what_was_cancelled_leaves_the_order_of_the_others(self, store: Store) -> None:
        ids = enqueue(store, *[job(priority=0), job(priority=5)] * 150)
        cancelled = [id for index, id in enumerate(ids) if index % 10]
        store.run(store.cancel(only(*cancelled), 1000))
        more = enqueue(store, job(priority=5), job(priority=0))

        stayed = ids[::10]  # all of priority 0
        assert [claimed.id for claimed in claim(store, 300)] == [more[0], *stayed, more[1]]

    def test_a_job_given_back_goes_behind_those_that_wait(self, store: Store) -> None:
        first, second = enqueue(store, job(), job())
        (claimed,) = claim(store, 1)
        settle(store, claimed, State.AVAILABLE)

        assert [claim.id for claim in claim(store)] == [second, first]

    @needs(Capability.ORDER)
    def test_a_job_given_back_goes_behind_those_of_other_names(self, store: Store) -> None:
        first, second = enqueue(store, job("a"), job("b"))
        (claimed,) = claim(store, 1, names=["a", "b"])
        settle(store, claimed, State.AVAILABLE)

        assert [claim.id for claim in claim(store, names=["a", "b"])] == [second, first]

    @needs(Capability.SCHEDULE)
    def test_a_promoted_job_goes_behind_those_that_wait(self, store: Store, clock: FakeClock) -> None:
        promoted, waiting = enqueue(store, job(due=Due(10 * SECOND)), job())
        clock.advance("10s")
        store.run(store.promote(10))

        assert [claimed.id for claimed in claim(store)] == [waiting, promoted]

    @needs(Capability.RETRY)
    def test_a_retried_job_goes_behind_those_that_wait(self, store: Store) -> None:
        dead = claim_one(store)
        waiting = enqueue_one(store)
        settle(store, dead, State.DISCARDED)
        store.run(store.retry(only(dead.id), 10))

        assert [claimed.id for claimed in claim(store)] == [waiting, dead.id]

    # -- a repeat ------------------------------------------------------------------------------------------------------

    def test_a_repeat_with_the_same_token_answers_the_same_and_takes_nothing_new(self, store: Store) -> None:
        enqueue(store, *[job()] * 5)
        token = new_token()
        first = claim(store, 2, token=token)

        assert claim(store, 4, token=token) == first
        assert len(claim(store)) == 3

    def test_a_repeat_answers_only_what_still_runs(self, store: Store) -> None:
        enqueue(store, *[job()] * 4)
        token = new_token()
        done, running = claim(store, 2, token=token)
        settle(store, done, State.COMPLETED)

        assert claim(store, 2, token=token) == [running]

    def test_a_repeat_counts_no_start(self, store: Store) -> None:
        enqueue_one(store)
        token = new_token()
        claim(store, token=token)

        (repeated,) = claim(store, token=token)
        assert repeated.starts == 1
        assert fetch(store, repeated.id).starts == 1

    def test_a_job_claimed_twice_over_time_obeys_the_later_token_only(self, store: Store) -> None:
        first = claim_one(store)
        settle(store, first, State.AVAILABLE)
        (second,) = claim(store)

        assert settle(store, first, State.COMPLETED) is Settled.LOST
        assert settle(store, second, State.COMPLETED) is Settled.ACCEPTED
