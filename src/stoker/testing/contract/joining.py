"""Callers' transactions: what is enqueued or completed inside one happens at its commit, or never."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import TypeAlias

import pytest

from stoker.core.capability import Capability
from stoker.core.job import Claim, Reclaimed, State, new_call
from stoker.core.settlement import Settled
from stoker.core.unique import UniqueKey
from stoker.stores.base import Store
from stoker.testing.contract.base import (
    MINUTE,
    ContractTests,
    Place,
    claim,
    claim_one,
    ending,
    enqueue_one,
    fetch,
    job,
    look_up,
    needs,
    only,
    settle,
    state_of,
)
from stoker.testing.fake_clock import FakeClock

Begin: TypeAlias = Callable[[], AbstractContextManager[object]]


def complete(store: Store, claimed: Claim, on: object, **fields: object) -> Settled:
    """Complete a claimed job in a caller's transaction."""
    return store.run(store.complete(ending(claimed, State.COMPLETED, **fields)), on=on)


class RollBackError(Exception):
    """Ends a transaction without a commit."""


class JoiningContract(ContractTests):
    @pytest.fixture
    def begin(self, place: Place) -> Begin:
        if place.transaction is None:
            pytest.skip("the place offers no transaction to join")
        return place.transaction

    @needs(Capability.TRANSACTIONS)
    def test_a_joined_enqueue_is_there_after_the_commit(self, store: Store, begin: Begin) -> None:
        with begin() as on:
            (answer,) = store.run(store.enqueue([job()], new_call()), on=on)
            assert look_up(store, answer.id) is None

        assert [claimed.id for claimed in claim(store)] == [answer.id]

    @needs(Capability.TRANSACTIONS)
    def test_a_joined_enqueue_is_never_there_after_a_rollback(self, store: Store, begin: Begin) -> None:
        with suppress(RollBackError), begin() as on:
            store.run(store.enqueue([job(), job()], new_call()), on=on)
            raise RollBackError

        assert claim(store) == []

    @needs(Capability.TRANSACTIONS | Capability.UNIQUE)
    def test_a_key_that_is_asked_for_in_a_transaction_is_free_after_a_rollback(
        self, store: Store, begin: Begin
    ) -> None:
        with suppress(RollBackError), begin() as on:
            store.run(store.enqueue([job(), job(unique=UniqueKey("key"))], new_call()), on=on)
            raise RollBackError

        assert claim(store) == []
        assert enqueue_one(store, unique=UniqueKey("key"))

    @needs(Capability.TRANSACTIONS)
    def test_a_job_completes_with_the_transaction(self, store: Store, begin: Begin) -> None:
        claimed = claim_one(store)
        with begin() as on:
            assert complete(store, claimed, on, keep=MINUTE, result='"é\\u0000"') is Settled.ACCEPTED
            assert state_of(store, claimed.id) is State.RUNNING

        found = fetch(store, claimed.id)
        assert (found.state, found.result, found.keep) == (State.COMPLETED, '"é\\u0000"', MINUTE)
        assert (found.starts, found.failures, found.worker) == (1, 0, "worker-1")

    @needs(Capability.TRANSACTIONS)
    @pytest.mark.parametrize("keep", [0, MINUTE, None])
    def test_what_the_worker_says_of_a_completed_job_changes_nothing(
        self, store: Store, begin: Begin, clock: FakeClock, keep: int | None
    ) -> None:
        claimed = claim_one(store)
        with begin() as on:
            complete(store, claimed, on, keep=keep)

        said = settle(store, claimed, State.RETRYABLE, counts="failure")
        assert said in ((Settled.REPEATED, Settled.GONE) if keep == 0 else (Settled.REPEATED,))
        store.run(store.prune(10))
        assert state_of(store, claimed.id) is (None if keep == 0 else State.COMPLETED)
        clock.advance("10m")
        assert store.run(store.reclaim(10)) == Reclaimed()
        assert claim(store) == []

    @needs(Capability.TRANSACTIONS)
    @pytest.mark.parametrize("keep", [0, None])
    def test_a_rollback_leaves_the_job_running(self, store: Store, begin: Begin, keep: int | None) -> None:
        claimed = claim_one(store)
        with suppress(RollBackError), begin() as on:
            assert complete(store, claimed, on, keep=keep) is Settled.ACCEPTED
            raise RollBackError

        assert state_of(store, claimed.id) is State.RUNNING
        assert settle(store, claimed, State.AVAILABLE) is Settled.ACCEPTED
        assert [again.id for again in claim(store)] == [claimed.id]

    @needs(Capability.TRANSACTIONS)
    @pytest.mark.parametrize("keep", [0, None])
    def test_a_job_that_was_taken_back_is_not_completed(self, store: Store, begin: Begin, keep: int | None) -> None:
        claimed = claim_one(store)
        store.run(store.reclaim(10, [claimed.token]))
        with begin() as on:
            assert complete(store, claimed, on, keep=keep) is Settled.LOST

        (again,) = claim(store)
        with begin() as on:
            assert complete(store, claimed, on, keep=keep) is Settled.LOST
        assert state_of(store, claimed.id) is State.RUNNING
        assert settle(store, again, State.COMPLETED) is Settled.ACCEPTED

    @needs(Capability.TRANSACTIONS)
    def test_a_job_is_completed_once(self, store: Store, begin: Begin) -> None:
        claimed, gone = claim_one(store), claim_one(store)
        settle(store, gone, State.COMPLETED, keep=0)
        with begin() as on:
            assert complete(store, claimed, on) is Settled.ACCEPTED
            assert complete(store, claimed, on) is Settled.REPEATED
            assert complete(store, gone, on) is Settled.GONE

        assert fetch(store, claimed.id).starts == 1

    @needs(Capability.TRANSACTIONS | Capability.CANCEL)
    def test_a_job_that_was_asked_to_stop_may_still_complete(self, store: Store, begin: Begin) -> None:
        claimed = claim_one(store)
        store.run(store.cancel(only(claimed.id), 1))
        with begin() as on:
            assert complete(store, claimed, on) is Settled.ACCEPTED

        assert state_of(store, claimed.id) is State.COMPLETED

    @needs(Capability.TRANSACTIONS | Capability.UNIQUE)
    @pytest.mark.parametrize("keep", [0, None])
    def test_a_completed_job_gives_its_key_up(self, store: Store, begin: Begin, keep: int | None) -> None:
        unique = UniqueKey("key", ("scheduled", "available", "retryable", "running"))
        claimed = claim_one(store, unique=unique)
        with begin() as on:
            complete(store, claimed, on, keep=keep)

        assert enqueue_one(store, unique=unique) != claimed.id
