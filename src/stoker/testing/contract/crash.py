"""Crashes: who is counted when a worker falls silent, and where it ends."""

from __future__ import annotations

from stoker.core.capability import Capability
from stoker.core.job import Claim, JobId, State
from stoker.core.settlement import Settled
from stoker.stores.base import Store
from stoker.testing.contract.base import (
    HOUR,
    LEASE,
    ContractTests,
    claim,
    claim_one,
    enqueue,
    fetch,
    job,
    look_up,
    needs,
    only,
    settle,
    state_of,
)
from stoker.testing.fake_clock import FakeClock


class CrashContract(ContractTests):
    @needs(Capability.LEASE | Capability.HISTORY)
    def test_a_crash_is_counted_and_written_down(self, store: Store, clock: FakeClock) -> None:
        (id,) = enqueue(store, job())
        claim(store, worker="crew-7")
        clock.advance("31s")
        store.run(store.reclaim(10))

        found = fetch(store, id)
        assert (found.crashes, found.failures, found.starts) == (1, 0, 1)
        (error,) = found.errors
        assert (error.type, error.at, error.attempt, error.worker) == ("LeaseExpired", clock.now(), 1, "crew-7")
        assert "crew-7" in error.message

    @needs(Capability.LEASE)
    def test_the_next_claim_knows_its_job_for_a_suspect(self, store: Store, clock: FakeClock) -> None:
        claim_one(store)
        crash(store, clock)

        (again,) = claim(store)
        assert (again.crashes, again.suspect, again.attempt) == (1, True, 2)

    @needs(Capability.LEASE | Capability.HISTORY)
    def test_a_job_that_kills_its_worker_three_times_is_discarded(self, store: Store, clock: FakeClock) -> None:
        id = claim_one(store).id
        crash(store, clock)
        for _ in range(2):
            assert state_of(store, id) is State.AVAILABLE
            start(store, claim(store)[0])
            crash(store, clock)

        found = fetch(store, id)
        assert (found.state, found.crashes, found.starts, found.finished_at) == (State.DISCARDED, 3, 3, clock.now())
        assert [error.type for error in found.errors] == ["LeaseExpired"] * 3
        assert "3" in found.errors[-1].message

    @needs(Capability.LEASE)
    def test_the_answer_names_who_was_discarded(self, store: Store, clock: FakeClock) -> None:
        enqueue(store, job(crash_limit=1), job())
        fatal, harmless = claim(store)
        clock.advance("31s")

        reclaimed = store.run(store.reclaim(10))
        assert (reclaimed.discarded, reclaimed.available) == ((fatal.id,), (harmless.id,))

    @needs(Capability.LEASE)
    def test_the_neighbours_of_a_culprit_are_counted_once(self, store: Store, clock: FakeClock) -> None:
        culprit, *innocents = enqueue(store, *[job()] * 4)
        claim(store)
        crash(store, clock)
        for _ in range(2):
            claims = claim(store)
            assert len(claims) == 4
            start(store, next(claim for claim in claims if claim.id == culprit))
            crash(store, clock)

        assert state_of(store, culprit) is State.DISCARDED
        found = [fetch(store, id) for id in innocents]
        assert [(one.state, one.crashes) for one in found] == [(State.AVAILABLE, 1)] * 3

    @needs(Capability.LEASE | Capability.HISTORY)
    def test_a_suspect_that_did_not_start_goes_back_uncounted(self, store: Store, clock: FakeClock) -> None:
        id = claim_one(store).id
        crash(store, clock)
        claim(store)
        crash(store, clock)

        found = fetch(store, id)
        assert (found.state, found.crashes, len(found.errors)) == (State.AVAILABLE, 1, 1)

    @needs(Capability.LEASE)
    def test_a_suspects_start_counts_in_its_own_claim_only(self, store: Store, clock: FakeClock) -> None:
        claim_one(store)
        crash(store, clock)
        (suspect,) = claim(store)
        start(store, suspect)
        settle(store, suspect, State.AVAILABLE)
        claim(store)
        crash(store, clock)

        assert fetch(store, suspect.id).crashes == 1

    @needs(Capability.LEASE)
    def test_a_start_reported_under_another_lease_marks_nothing(self, store: Store, clock: FakeClock) -> None:
        suspect = claim_one(store).id
        crash(store, clock)
        claim(store)
        other = claim_one(store)
        store.run(store.extend([other.token], LEASE, started=[suspect]))
        crash(store, clock)

        assert fetch(store, suspect).crashes == 1

    @needs(Capability.LEASE)
    def test_jobs_of_a_stopping_worker_go_back_uncounted(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store)
        store.run(store.extend([claimed.token], LEASE, stopping=True))
        crash(store, clock)

        found = fetch(store, claimed.id)
        assert (found.state, found.crashes, found.errors) == (State.AVAILABLE, 0, ())
        assert settle(store, claimed, State.COMPLETED) is Settled.LOST

    @needs(Capability.LEASE)
    def test_a_worker_that_is_stopping_stays_so(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store)
        store.run(store.extend([claimed.token], LEASE, stopping=True))
        store.run(store.extend([claimed.token], LEASE))
        crash(store, clock)

        assert fetch(store, claimed.id).crashes == 0

    @needs(Capability.LEASE)
    def test_one_lease_that_stops_says_nothing_of_the_others(self, store: Store, clock: FakeClock) -> None:
        enqueue(store, job(), job())
        (stopping,), (silent,) = claim(store, 1), claim(store, 1)
        store.run(store.extend([stopping.token], LEASE, stopping=True))
        crash(store, clock)

        assert (fetch(store, stopping.id).crashes, fetch(store, silent.id).crashes) == (0, 1)

    @needs(Capability.LEASE)
    def test_a_crash_is_no_failure(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store, max_attempts=1)
        crash(store, clock)

        assert state_of(store, claimed.id) is State.AVAILABLE

    @needs(Capability.LEASE)
    def test_a_supervised_crash_counts_like_any_other(self, store: Store) -> None:
        enqueue(store, job(), job(crash_limit=1))
        claims = claim(store)
        reclaimed = store.run(store.reclaim(10, [claims[0].token]))

        assert (reclaimed.available, reclaimed.discarded) == ((claims[0].id,), (claims[1].id,))
        assert fetch(store, claims[0].id).crashes == 1

    @needs(Capability.LEASE | Capability.CANCEL | Capability.CANCEL_RUNNING)
    def test_a_flagged_job_of_a_silent_worker_is_cancelled(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store)
        store.run(store.cancel(only(claimed.id), 10))
        clock.advance("31s")

        assert store.run(store.reclaim(10)).cancelled == (claimed.id,)
        found = fetch(store, claimed.id)
        assert (found.state, found.crashes, found.finished_at) == (State.CANCELLED, 0, clock.now())

    @needs(Capability.LEASE | Capability.HISTORY)
    def test_a_discarded_job_is_kept_as_long_as_failed_ones(self, store: Store, clock: FakeClock) -> None:
        id = claim_one(store, crash_limit=1, keep=0, keep_failed=HOUR).id
        crash(store, clock)
        clock.advance("59m")
        store.run(store.prune(10))
        assert state_of(store, id) is State.DISCARDED

        clock.advance("2m")
        store.run(store.prune(10))
        assert look_up(store, id) is None

    @needs(Capability.LEASE)
    def test_a_discarded_job_that_is_not_kept_is_gone_and_named(self, store: Store, clock: FakeClock) -> None:
        id: JobId = claim_one(store, crash_limit=1, keep_failed=0).id
        clock.advance("31s")

        assert store.run(store.reclaim(10)).discarded == (id,)
        assert look_up(store, id) is None


def start(store: Store, suspect: Claim) -> None:
    """Mark a suspect as begun, as a worker does before it performs it."""
    store.run(store.extend([suspect.token], LEASE, started=[suspect.id]))


def crash(store: Store, clock: FakeClock) -> None:
    """Let all workers fall silent, and take back their jobs."""
    clock.advance("31s")
    store.run(store.reclaim(100))
