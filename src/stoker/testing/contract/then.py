"""Follow-ups: what an ending brings is stored in the unit of the ending, and only if the ending is accepted."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from stoker.core.capability import Capability
from stoker.core.job import Due, JobId, NewJob, State, new_token
from stoker.core.settlement import Settled, Settlement
from stoker.core.unique import UniqueKey
from stoker.stores.base import Store
from stoker.testing.contract.base import (
    HOUR,
    MINUTE,
    ContractTests,
    Place,
    claim,
    claim_one,
    ending,
    enqueue,
    enqueue_one,
    everything,
    failure,
    fetch,
    job,
    needs,
    only,
    settle,
    state_of,
)
from stoker.testing.contract.joining import RollBackError, complete
from stoker.testing.fake_clock import FakeClock

ALL_ENDINGS = [state for state in State if state is not State.RUNNING]
NEXT = job("next", '{"n":"é\\u0000"}', queue="after")


def followers(store: Store) -> list[str]:
    """Give the arguments of all follow-ups, oldest first."""
    return [one.args for one in everything(store) if one.name == "next"]


def next_job(number: int, **fields: Any) -> NewJob:
    """Make a follow-up."""
    return job("next", f"[{number}]", queue="after", **fields)


class ThenContract(ContractTests):
    @needs(Capability.ATOMIC)
    @pytest.mark.parametrize("state", ALL_ENDINGS)
    def test_an_accepted_ending_brings_its_follow_ups(self, store: Store, state: State) -> None:
        claimed = claim_one(store)
        later = Due(HOUR) if not state.final else Due()

        assert settle(store, claimed, state, due=later, error=failure(), then=(NEXT,)) is Settled.ACCEPTED
        (follower,) = claim(store, queues=["after"], names=["next"])
        assert (follower.name, follower.args, follower.queue) == ("next", NEXT.args, "after")
        assert follower.enqueued_at == claimed.enqueued_at

    @needs(Capability.ATOMIC)
    def test_an_ending_that_deletes_its_job_brings_them_too(self, store: Store) -> None:
        claimed = claim_one(store)

        assert settle(store, claimed, State.COMPLETED, keep=0, then=(NEXT, NEXT)) is Settled.ACCEPTED
        assert followers(store) == [NEXT.args] * 2

    @needs(Capability.ATOMIC | Capability.PRIORITY)
    def test_they_keep_their_order_and_what_was_said_of_them(self, store: Store) -> None:
        claimed = claim_one(store)
        jobs = tuple(next_job(n, priority=n % 2, parent=claimed.id, root=claimed.id, labels=("a",)) for n in range(6))
        settle(store, claimed, State.COMPLETED, then=jobs)

        found = claim(store, queues=["after"], names=["next"])
        assert [one.args for one in found] == ["[1]", "[3]", "[5]", "[0]", "[2]", "[4]"]
        assert {(one.parent, one.root) for one in found} == {(claimed.id, claimed.id)}
        assert fetch(store, found[0].id).labels == ("a",)

    @needs(Capability.ATOMIC | Capability.SCHEDULE)
    def test_a_follow_up_may_be_due_later(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store)
        settle(store, claimed, State.COMPLETED, then=(next_job(1, due=Due(MINUTE)),))

        assert claim(store, queues=["after"], names=["next"]) == []
        clock.advance("1m")
        store.run(store.promote(10))
        assert len(claim(store, queues=["after"], names=["next"])) == 1

    # -- only if accepted ----------------------------------------------------------------------------------------------

    @needs(Capability.ATOMIC)
    def test_a_refused_ending_brings_nothing(self, store: Store, clock: FakeClock) -> None:
        lost = claim_one(store)
        clock.advance("31s")
        store.run(store.reclaim(10))
        foreign = claim(store)[0]
        strangers = [
            ending(lost, State.COMPLETED, then=(NEXT,)),
            Settlement(JobId("987654321"), foreign.token, State.COMPLETED, then=(NEXT,)),
            Settlement(JobId("not an id"), foreign.token, State.COMPLETED, then=(NEXT,)),
        ]

        answers = store.run(store.settle(strangers))
        assert set(answers.values()) == {Settled.LOST, Settled.GONE}
        assert followers(store) == []

    @needs(Capability.ATOMIC)
    @pytest.mark.parametrize("keep", [0, HOUR])
    def test_an_ending_sent_again_brings_nothing_more(self, store: Store, keep: int) -> None:
        claimed = claim_one(store)
        again = store.settle([ending(claimed, State.COMPLETED, keep=keep, then=(NEXT,))])
        store.run(again)
        store.run(again)
        settle(store, claimed, State.COMPLETED, keep=keep, then=(NEXT,))

        assert followers(store) == [NEXT.args]

    @needs(Capability.ATOMIC)
    def test_of_many_endings_only_the_accepted_bring_theirs(self, store: Store) -> None:
        enqueue(store, *[job()] * 6)
        claims = claim(store)
        endings = [
            Settlement(one.id, one.token if n % 2 else new_token(), state, due=Due(HOUR), then=(next_job(n),))
            for n, (one, state) in enumerate(zip(claims, ALL_ENDINGS, strict=True))
        ]
        store.run(store.settle(endings))

        assert followers(store) == ["[1]", "[3]", "[5]"]

    @needs(Capability.ATOMIC)
    def test_of_two_endings_of_one_attempt_the_first_brings_its_own(self, store: Store) -> None:
        claimed = claim_one(store)
        impostor = Settlement(claimed.id, new_token(), State.DISCARDED, then=(next_job(0),))
        endings = [impostor, ending(claimed, State.COMPLETED, then=(next_job(1),))]
        store.run(store.settle([*endings, ending(claimed, State.COMPLETED, then=(next_job(2),))]))

        assert followers(store) == ["[1]"]

    @needs(Capability.ATOMIC)
    def test_a_thousand_endings_bring_a_thousand_follow_ups(self, store: Store) -> None:
        enqueue(store, *[job()] * 1000)
        claims = claim(store, 1000)
        endings = [ending(one, State.COMPLETED, keep=0, then=(next_job(n),)) for n, one in enumerate(claims)]

        assert set(store.run(store.settle(endings)).values()) == {Settled.ACCEPTED}
        assert followers(store) == [f"[{n}]" for n in range(1000)]

    @needs(Capability.ATOMIC | Capability.CANCEL_RUNNING | Capability.CANCEL)
    def test_a_cancelled_job_brings_them_with_whatever_ending_it_gets(self, store: Store) -> None:
        claimed = claim_one(store)
        store.run(store.cancel(only(claimed.id), 1))
        settle(store, claimed, State.AVAILABLE, then=(NEXT,))

        assert state_of(store, claimed.id) is State.CANCELLED
        assert followers(store) == [NEXT.args]

    # -- unique keys ---------------------------------------------------------------------------------------------------

    @needs(Capability.ATOMIC | Capability.UNIQUE)
    @pytest.mark.parametrize("policy", ["keep", "raise"])
    def test_a_taken_key_keeps_its_holder_and_the_ending_stands(self, store: Store, policy: str) -> None:
        enqueue_one(store, "next", "[0]", queue="after", unique=UniqueKey("k"))
        claimed = claim_one(store)
        key = UniqueKey("k", on_conflict=policy)  # type: ignore[arg-type]

        answer = settle(store, claimed, State.COMPLETED, then=(next_job(1, unique=key), next_job(2)))
        assert answer is Settled.ACCEPTED
        assert followers(store) == ["[0]", "[2]"]

    @needs(Capability.ATOMIC | Capability.UNIQUE)
    def test_a_key_is_free_again_for_what_follows_its_holder(self, store: Store) -> None:
        key = UniqueKey("k", ("scheduled", "available", "running", "retryable"))
        claimed = claim_one(store, unique=key)
        settle(store, claimed, State.COMPLETED, then=(next_job(1, unique=key), next_job(2, unique=key)))

        assert followers(store) == ["[1]"]

    @needs(Capability.ATOMIC | Capability.UNIQUE)
    def test_what_a_refused_ending_would_bring_takes_no_key(self, store: Store) -> None:
        enqueue(store, *[job()] * 2)
        lost, good = claim(store)
        refused = Settlement(lost.id, new_token(), State.COMPLETED, then=(next_job(1, unique=UniqueKey("k")),))
        store.run(store.settle([refused, ending(good, State.COMPLETED, then=(next_job(2, unique=UniqueKey("k")),))]))

        assert followers(store) == ["[2]"]

    @needs(Capability.ATOMIC | Capability.UNIQUE | Capability.SCHEDULE)
    def test_a_follow_up_may_replace_and_move_the_holder_of_its_key(self, store: Store, clock: FakeClock) -> None:
        enqueue_one(store, "next", "[0]", queue="after", unique=UniqueKey("a"))
        enqueue_one(store, "next", "[1]", queue="after", unique=UniqueKey("b"), due=Due(HOUR))
        claimed = claim_one(store)
        replacing = next_job(2, unique=UniqueKey("a", on_conflict="replace"))
        moving = next_job(3, unique=UniqueKey("b", on_conflict="reschedule"))
        settle(store, claimed, State.COMPLETED, then=(replacing, moving))

        assert followers(store) == ["[2]", "[1]"]
        assert len(claim(store, queues=["after"], names=["next"])) == 2

    # -- inside a caller's transaction ---------------------------------------------------------------------------------

    @needs(Capability.ATOMIC | Capability.TRANSACTIONS)
    @pytest.mark.parametrize("keep", [0, HOUR])
    def test_a_completion_in_a_transaction_brings_them_at_its_commit(
        self, store: Store, place: Place, keep: int
    ) -> None:
        if place.transaction is None:
            pytest.skip("the place offers no transaction to join")
        claimed = claim_one(store)
        jobs = (next_job(1), next_job(2))
        with place.transaction() as on:
            assert complete(store, claimed, on, keep=keep, then=jobs) is Settled.ACCEPTED
            assert followers(store) == []

        assert sorted(followers(store)) == ["[1]", "[2]"]

    @needs(Capability.ATOMIC | Capability.TRANSACTIONS | Capability.UNIQUE)
    def test_a_completion_in_a_transaction_brings_unique_follow_ups(self, store: Store, place: Place) -> None:
        if place.transaction is None:
            pytest.skip("the place offers no transaction to join")
        claimed = claim_one(store)
        jobs = (next_job(1, unique=UniqueKey("k")), next_job(2))
        with place.transaction() as on:
            assert complete(store, claimed, on, then=jobs) is Settled.ACCEPTED

        assert sorted(followers(store)) == ["[1]", "[2]"]

    @needs(Capability.ATOMIC | Capability.TRANSACTIONS)
    def test_a_completion_that_is_rolled_back_brings_nothing(self, store: Store, place: Place) -> None:
        if place.transaction is None:
            pytest.skip("the place offers no transaction to join")
        claimed = claim_one(store)
        with suppress(RollBackError), place.transaction() as on:
            complete(store, claimed, on, then=(NEXT,))
            raise RollBackError

        assert state_of(store, claimed.id) is State.RUNNING
        assert followers(store) == []

    @needs(Capability.ATOMIC | Capability.TRANSACTIONS)
    def test_a_completion_that_is_refused_brings_nothing(self, store: Store, place: Place, clock: FakeClock) -> None:
        if place.transaction is None:
            pytest.skip("the place offers no transaction to join")
        claimed = claim_one(store)
        clock.advance("31s")
        store.run(store.reclaim(10))
        with place.transaction() as on:
            assert complete(store, claimed, on, then=(NEXT,)) is Settled.LOST

        assert followers(store) == []
