"""Progress and checkpoints: what an attempt leaves with its job while it runs."""

from __future__ import annotations

import pytest

from stoker.core.capability import Capability
from stoker.core.job import Claim, JobId, State, new_token
from stoker.core.note import Note
from stoker.core.settlement import Settled
from stoker.stores.base import Store
from stoker.testing.contract.base import (
    HOUR,
    MINUTE,
    ContractTests,
    claim,
    claim_one,
    enqueue,
    enqueue_one,
    failure,
    fetch,
    job,
    later,
    look_up,
    needs,
    only,
    settle,
)
from stoker.testing.fake_clock import FakeClock

HALF = '{"fraction":0.5,"note":"rows"}'


def note(store: Store, claim: Claim, progress: str | None = None, checkpoint: str | None = None) -> bool:
    """Leave a note; tell whether the store took it."""
    return claim.id in store.run(store.note([Note.of(claim, progress, checkpoint)]))


def saved(store: Store, *ids: JobId) -> dict[JobId, str]:
    """Ask for checkpoints."""
    return store.run(store.saved(ids))


class NoteContract(ContractTests):
    @needs(Capability.NOTE)
    def test_progress_and_checkpoint_of_a_running_job_are_seen(self, store: Store) -> None:
        claimed = claim_one(store)

        assert note(store, claimed, HALF, "[1,2]")
        found = fetch(store, claimed.id)
        assert (found.state, found.progress, found.checkpoint) == (State.RUNNING, HALF, "[1,2]")
        assert saved(store, claimed.id) == {claimed.id: "[1,2]"}

    @needs(Capability.NOTE)
    def test_a_job_without_a_note_has_none(self, store: Store) -> None:
        claimed = claim_one(store)

        assert (fetch(store, claimed.id).progress, fetch(store, claimed.id).checkpoint) == (None, None)
        assert saved(store, claimed.id, JobId("987654321"), JobId("not an id")) == {}

    @needs(Capability.NOTE)
    def test_the_last_note_wins_and_leaves_what_it_does_not_say(self, store: Store) -> None:
        claimed = claim_one(store)
        note(store, claimed, "1", "1")
        note(store, claimed, "2")
        note(store, claimed, checkpoint="3")

        assert (fetch(store, claimed.id).progress, fetch(store, claimed.id).checkpoint) == ("2", "3")

    @needs(Capability.NOTE)
    def test_many_notes_travel_together_and_each_is_judged_by_itself(self, store: Store) -> None:
        enqueue(store, *[job()] * 5)
        claims = claim(store)
        settle(store, claims[2], State.COMPLETED)

        noted = store.run(store.note([Note.of(one, str(place), str(place)) for place, one in enumerate(claims)]))
        assert noted == {one.id for place, one in enumerate(claims) if place != 2}
        assert saved(store, *[one.id for one in claims]) == {
            one.id: str(place) for place, one in enumerate(claims) if place != 2
        }

    @needs(Capability.NOTE)
    def test_a_note_says_nothing_of_the_neighbours(self, store: Store) -> None:
        enqueue(store, *[job()] * 3)
        first, second, third = claim(store)
        note(store, second, HALF, "2")

        assert [fetch(store, one.id).progress for one in (first, second, third)] == [None, HALF, None]
        assert {settle(store, one, State.COMPLETED) for one in (first, second, third)} == {Settled.ACCEPTED}

    @needs(Capability.NOTE)
    @pytest.mark.parametrize(
        "text", ['"\\u0000 é 😀 \\" \\\\"', '"' + "x" * 100_000 + '"', "123456789012345678901", "[]"]
    )
    def test_a_checkpoint_is_kept_byte_for_byte(self, store: Store, text: str) -> None:
        claimed = claim_one(store)
        note(store, claimed, text, text)

        assert saved(store, claimed.id) == {claimed.id: text}
        assert fetch(store, claimed.id).progress == text

    # -- who may leave one ---------------------------------------------------------------------------------------------

    @needs(Capability.NOTE)
    def test_a_note_under_another_token_is_refused(self, store: Store) -> None:
        claimed = claim_one(store)

        assert store.run(store.note([Note(claimed.id, new_token(), "1", "1")])) == frozenset()
        assert saved(store, claimed.id) == {}

    @needs(Capability.NOTE)
    @pytest.mark.parametrize("id", ["987654321", "not an id"])
    def test_a_note_for_no_job_is_refused(self, store: Store, id: str) -> None:
        assert store.run(store.note([Note(JobId(id), new_token(), "1", "1")])) == frozenset()

    @needs(Capability.NOTE)
    @pytest.mark.parametrize("state", [State.COMPLETED, State.DISCARDED, State.RETRYABLE, State.AVAILABLE])
    def test_a_note_after_the_attempt_is_refused(self, store: Store, state: State) -> None:
        claimed = claim_one(store)
        note(store, claimed, "1", "1")
        settle(store, claimed, state)

        assert not note(store, claimed, "2", "2")
        assert fetch(store, claimed.id).progress == "1"

    @needs(Capability.NOTE | Capability.LEASE)
    def test_a_worker_that_lost_its_job_cannot_leave_a_note(self, store: Store, clock: FakeClock) -> None:
        lost = claim_one(store)
        clock.advance("31s")
        store.run(store.reclaim(10))
        assert not note(store, lost, "1", "1")

        (held,) = claim(store, worker="worker-2")
        assert not note(store, lost, "1", "1")
        assert note(store, held, "2", "2")
        assert saved(store, lost.id) == {lost.id: "2"}

    @needs(Capability.NOTE | Capability.LEASE)
    def test_an_ended_lease_that_nobody_took_back_may_leave_a_note(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store)
        clock.advance("2m")

        assert note(store, claimed, HALF)

    # -- how long it lasts ---------------------------------------------------------------------------------------------

    @needs(Capability.NOTE)
    @pytest.mark.parametrize("state", [State.RETRYABLE, State.SCHEDULED, State.AVAILABLE])
    def test_notes_survive_the_attempt(self, store: Store, clock: FakeClock, state: State) -> None:
        claimed = claim_one(store)
        note(store, claimed, HALF, "[1]")
        due = {} if state is State.AVAILABLE else {"due": later(MINUTE)}
        settle(store, claimed, state, counts="failure", error=failure(), **due)
        clock.advance("2m")
        store.run(store.promote(10))

        (again,) = claim(store)
        assert saved(store, again.id) == {again.id: "[1]"}
        assert fetch(store, again.id).progress == HALF
        assert note(store, again, checkpoint="[2]")
        assert (fetch(store, again.id).progress, fetch(store, again.id).checkpoint) == (HALF, "[2]")

    @needs(Capability.NOTE | Capability.LEASE)
    def test_notes_survive_the_worker(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store)
        note(store, claimed, HALF, "[1]")
        clock.advance("31s")
        store.run(store.reclaim(10))

        assert saved(store, claimed.id) == {claimed.id: "[1]"}

    @needs(Capability.NOTE)
    @pytest.mark.parametrize("state", [State.COMPLETED, State.CANCELLED, State.DISCARDED])
    def test_notes_are_kept_with_the_job_and_go_with_it(self, store: Store, clock: FakeClock, state: State) -> None:
        claimed = claim_one(store)
        note(store, claimed, HALF, "[1]")
        settle(store, claimed, state, keep=HOUR)
        assert fetch(store, claimed.id).progress == HALF

        clock.advance("61m")
        store.run(store.prune(10))
        assert look_up(store, claimed.id) is None
        assert saved(store, claimed.id) == {}

    @needs(Capability.NOTE)
    @pytest.mark.parametrize("count", [1, 3])
    def test_notes_go_with_a_job_that_is_not_kept(self, store: Store, count: int) -> None:
        enqueue(store, *[job()] * count)
        claims = claim(store)
        note(store, claims[0], HALF, "[1]")
        for one in claims:
            assert settle(store, one, State.COMPLETED, keep=0) is Settled.ACCEPTED

        assert saved(store, claims[0].id) == {}

    @needs(Capability.NOTE | Capability.RETRY)
    def test_a_job_that_is_retried_by_hand_keeps_its_notes(self, store: Store) -> None:
        claimed = claim_one(store)
        note(store, claimed, HALF, "[1]")
        settle(store, claimed, State.DISCARDED, keep=HOUR)
        store.run(store.retry(only(claimed.id), 10))

        assert saved(store, claimed.id) == {claimed.id: "[1]"}

    @needs(Capability.NOTE | Capability.CANCEL | Capability.CANCEL_RUNNING)
    def test_a_job_that_is_to_stop_may_leave_a_note_and_is_still_to_stop(self, store: Store) -> None:
        claimed = claim_one(store)
        store.run(store.cancel(only(claimed.id), 10))

        assert note(store, claimed, HALF)
        assert store.run(store.extend([claimed.token], MINUTE)).cancel == {claimed.id}
        settle(store, claimed, State.RETRYABLE)
        assert fetch(store, claimed.id).state is State.CANCELLED

    @needs(Capability.NOTE)
    def test_a_note_sent_twice_says_the_same(self, store: Store) -> None:
        claimed = claim_one(store)
        command = store.note([Note.of(claimed, HALF, "1")])

        assert store.run(command) == store.run(command) == {claimed.id}
        assert saved(store, claimed.id) == {claimed.id: "1"}

    @needs(Capability.NOTE)
    def test_a_note_for_nothing_is_answered_with_nothing(self, store: Store) -> None:
        enqueue_one(store)

        assert store.run(store.note([])) == frozenset()
        assert store.run(store.saved([])) == {}
