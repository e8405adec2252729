"""Log lines of attempts: they travel with notes, and stay and go with their job."""

from __future__ import annotations

import pytest

from stoker.core.capability import Capability
from stoker.core.job import Claim, JobId, State, new_token
from stoker.core.note import Note
from stoker.core.settlement import Settled
from stoker.stores.base import Store
from stoker.testing.contract.base import (
    HOUR,
    ContractTests,
    claim,
    claim_one,
    enqueue,
    enqueue_one,
    failure,
    fetch,
    job,
    look_up,
    needs,
    only,
    settle,
)
from stoker.testing.fake_clock import FakeClock


def keep(store: Store, claim: Claim, lines: str) -> bool:
    """Leave log lines; tell whether the store took them."""
    return claim.id in store.run(store.note([Note(claim.id, claim.token, lines=lines)]))


def logged(store: Store, *ids: JobId) -> dict[JobId, str]:
    """Ask for log lines."""
    return store.run(store.logged(ids))


class LinesContract(ContractTests):
    @needs(Capability.NOTE)
    def test_what_an_attempt_logged_is_kept_and_the_last_note_wins(self, store: Store) -> None:
        claimed = claim_one(store)

        assert logged(store, claimed.id) == {}
        assert keep(store, claimed, "[1]")
        assert keep(store, claimed, "[1,2]")
        assert logged(store, claimed.id, JobId("987654321"), JobId("not an id")) == {claimed.id: "[1,2]"}

    @needs(Capability.NOTE)
    def test_log_lines_and_what_else_is_noted_leave_each_other_alone(self, store: Store) -> None:
        claimed = claim_one(store)
        store.run(store.note([Note(claimed.id, claimed.token, "1", "2", "[3]")]))
        store.run(store.note([Note(claimed.id, claimed.token, "4")]))
        keep(store, claimed, "[5]")

        assert (fetch(store, claimed.id).progress, fetch(store, claimed.id).checkpoint) == ("4", "2")
        assert logged(store, claimed.id) == {claimed.id: "[5]"}

    @needs(Capability.NOTE)
    def test_each_job_has_its_own_lines(self, store: Store) -> None:
        enqueue(store, *[job()] * 3)
        first, second, third = claim(store)
        store.run(store.note([Note(first.id, first.token, lines="[1]"), Note(third.id, third.token, lines="[3]")]))

        assert logged(store, third.id, second.id, first.id) == {first.id: "[1]", third.id: "[3]"}

    @needs(Capability.NOTE)
    @pytest.mark.parametrize("text", ['["\\u0000 é 😀 \\" \\\\"]', '["' + "x" * 300_000 + '"]'])
    def test_lines_are_kept_byte_for_byte(self, store: Store, text: str) -> None:
        claimed = claim_one(store)
        keep(store, claimed, text)

        assert logged(store, claimed.id) == {claimed.id: text}

    @needs(Capability.NOTE)
    def test_lines_under_another_token_or_after_the_attempt_are_refused(self, store: Store) -> None:
        claimed = claim_one(store)
        assert store.run(store.note([Note(claimed.id, new_token(), lines="[1]")])) == frozenset()
        settle(store, claimed, State.RETRYABLE, counts="failure", error=failure())

        assert not keep(store, claimed, "[2]")
        assert logged(store, claimed.id) == {}

    @needs(Capability.NOTE | Capability.RETRY)
    def test_lines_survive_attempts_and_a_retry_by_hand(self, store: Store) -> None:
        claimed = claim_one(store)
        keep(store, claimed, "[1]")
        settle(store, claimed, State.DISCARDED, keep=HOUR)
        store.run(store.retry(only(claimed.id), 10))
        (again,) = claim(store)

        assert logged(store, again.id) == {again.id: "[1]"}
        assert keep(store, again, "[1,2]")
        assert logged(store, again.id) == {again.id: "[1,2]"}

    @needs(Capability.NOTE)
    @pytest.mark.parametrize("state", [State.COMPLETED, State.CANCELLED, State.DISCARDED])
    def test_lines_are_kept_with_the_job_and_go_with_it(self, store: Store, clock: FakeClock, state: State) -> None:
        claimed = claim_one(store)
        keep(store, claimed, "[1]")
        settle(store, claimed, state, keep=HOUR)
        assert logged(store, claimed.id) == {claimed.id: "[1]"}

        clock.advance("61m")
        store.run(store.prune(10))
        assert look_up(store, claimed.id) is None
        assert logged(store, claimed.id) == {}

    @needs(Capability.NOTE)
    @pytest.mark.parametrize("count", [1, 3])
    def test_lines_go_with_a_job_that_is_not_kept(self, store: Store, count: int) -> None:
        enqueue(store, *[job()] * count)
        claims = claim(store)
        keep(store, claims[0], "[1]")
        for one in claims:
            assert settle(store, one, State.COMPLETED, keep=0) is Settled.ACCEPTED

        assert logged(store, claims[0].id) == {}

    @needs(Capability.NOTE | Capability.DELETE)
    def test_lines_go_with_a_job_that_is_deleted(self, store: Store) -> None:
        claimed = claim_one(store)
        keep(store, claimed, "[1]")
        settle(store, claimed, State.RETRYABLE)
        store.run(store.delete(only(claimed.id), 10))

        assert logged(store, claimed.id) == {}

    @needs(Capability.NOTE)
    def test_nothing_is_answered_for_nothing(self, store: Store) -> None:
        enqueue_one(store)

        assert store.run(store.logged([])) == {}
