"""Never early: delays, instants and promotion by the clock of the store."""

from __future__ import annotations

from stoker.core.capability import Capability
from stoker.core.duration import SECOND
from stoker.core.job import Due, State, new_call, new_token
from stoker.stores.base import Store
from stoker.testing.contract.base import (
    HOUR,
    LEASE,
    MINUTE,
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


class DueContract(ContractTests):
    @needs(Capability.SCHEDULE)
    def test_a_scheduled_job_does_not_run_before_its_time(self, store: Store, clock: FakeClock) -> None:
        enqueue_one(store, due=Due(MINUTE))
        clock.advance("59.999s")

        assert store.run(store.promote(10)).count == 0
        assert claim(store) == []

    @needs(Capability.SCHEDULE | Capability.PROMOTION)
    def test_a_scheduled_job_runs_at_its_time(self, store: Store, clock: FakeClock) -> None:
        scheduled = enqueue_one(store, due=Due(MINUTE))
        clock.advance("1m")

        assert store.run(store.promote(10)).count == 1
        assert [claimed.id for claimed in claim(store)] == [scheduled]

    @needs(Capability.SCHEDULE)
    def test_what_is_due_is_claimed_in_the_order_of_time(self, store: Store, clock: FakeClock) -> None:
        late, early = enqueue(store, *(job(due=Due(delay * SECOND)) for delay in (30, 10)))
        clock.advance("29s")
        store.run(store.promote(10))
        (first,) = claim(store)
        settle(store, first, State.RETRYABLE, due=Due(MINUTE), counts="failure")
        clock.advance("59s")
        store.run(store.promote(10))
        assert [claimed.id for claimed in claim(store)] == [late]

        clock.advance("1s")
        store.run(store.promote(10))
        assert [claimed.id for claimed in claim(store)] == [early] == [first.id]

    @needs(Capability.SCHEDULE)
    def test_a_claim_knows_the_time_its_job_was_due(self, store: Store, clock: FakeClock) -> None:
        due = clock.now() + MINUTE
        enqueue_one(store, due=Due(at=due))
        clock.advance("5m")
        store.run(store.promote(10))

        (claimed,) = claim(store)
        assert claimed.due == due

    def test_a_time_in_the_past_means_now(self, store: Store, clock: FakeClock) -> None:
        past = enqueue_one(store, due=Due(at=clock.now() - HOUR))

        assert [claimed.id for claimed in claim(store)] == [past]

    @needs(Capability.SCHEDULE)
    def test_a_delay_counts_from_the_enqueue(self, store: Store, clock: FakeClock) -> None:
        command = store.enqueue([job(due=Due(MINUTE))], new_call())
        clock.advance("10m")
        (answer,) = store.run(command)

        assert fetch(store, answer.id).run_at == clock.now() + MINUTE

    @needs(Capability.SCHEDULE | Capability.PROMOTION)
    def test_a_retry_does_not_run_before_its_time(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store)
        clock.advance("5s")
        settle(store, claimed, State.RETRYABLE, due=Due(MINUTE), counts="failure")
        clock.advance("59s")
        assert store.run(store.promote(10)).count == 0

        clock.advance("1s")
        assert store.run(store.promote(10)).count == 1
        assert [claim.id for claim in claim(store)] == [claimed.id]

    @needs(Capability.SCHEDULE | Capability.PROMOTION)
    def test_what_is_due_first_is_promoted_first(self, store: Store, clock: FakeClock) -> None:
        late, early, between = enqueue(store, *(job(due=Due(delay * SECOND)) for delay in (30, 10, 20)))
        clock.advance("1m")

        assert [store.run(store.promote(2)).count for _ in range(3)] == [2, 1, 0]
        assert [claimed.id for claimed in claim(store)] == [early, between, late]

    @needs(Capability.SCHEDULE | Capability.PROMOTION | Capability.CANCEL)
    def test_what_was_cancelled_leaves_the_times_of_the_others(self, store: Store, clock: FakeClock) -> None:
        ids = enqueue(store, *(job(due=Due((300 - number) * SECOND)) for number in range(300)))
        cancelled = [id for index, id in enumerate(ids) if index % 10]
        store.run(store.cancel(only(*cancelled), 1000))
        clock.advance("5m")

        assert store.run(store.promote(1000)).count == 30
        assert [claimed.id for claimed in claim(store, 300)] == ids[::10][::-1]

    @needs(Capability.SCHEDULE | Capability.PRIORITY)
    def test_promoted_jobs_keep_their_priority(self, store: Store, clock: FakeClock) -> None:
        normal, high = enqueue(store, job(), job(due=Due(SECOND), priority=5))
        clock.advance("1s")
        store.run(store.promote(10))

        assert [claimed.id for claimed in claim(store)] == [high, normal]

    @needs(Capability.SCHEDULE)
    def test_promotion_tells_what_is_due_next(self, store: Store, clock: FakeClock) -> None:
        start = clock.now()
        enqueue(store, job(due=Due(SECOND)), job(due=Due(HOUR)), job(due=Due(MINUTE)))
        clock.advance("1s")

        assert store.run(store.promote(10)).next_due == start + MINUTE

    def test_promotion_with_nothing_to_come_says_so(self, store: Store) -> None:
        enqueue_one(store)

        moved = store.run(store.promote(10))
        assert (moved.count, moved.next_due) == (0, None)

    @needs(Capability.SCHEDULE)
    def test_a_claim_tells_what_is_due_next(self, store: Store, clock: FakeClock) -> None:
        enqueue(store, job(due=Due(HOUR)), job(due=Due(MINUTE)))

        assert next_due(store) == clock.now() + MINUTE

    @needs(Capability.SCHEDULE)
    def test_a_claim_tells_when_a_retry_is_due(self, store: Store, clock: FakeClock) -> None:
        settle(store, claim_one(store), State.RETRYABLE, due=Due(MINUTE))

        assert next_due(store) == clock.now() + MINUTE

    @needs(Capability.SCHEDULE | Capability.CANCEL)
    def test_a_claim_does_not_tell_of_what_was_cancelled(self, store: Store, clock: FakeClock) -> None:
        soon, _ = enqueue(store, job(due=Due(MINUTE)), job(due=Due(HOUR)))
        store.run(store.cancel(only(soon), 10))

        assert next_due(store) == clock.now() + HOUR

    def test_a_claim_tells_when_nothing_is_to_come(self, store: Store) -> None:
        enqueue_one(store)

        assert next_due(store) is None

    @needs(Capability.SCHEDULE | Capability.RETRY)
    def test_by_hand_a_job_is_promoted_before_its_time(self, store: Store, clock: FakeClock) -> None:
        scheduled, other = enqueue(store, job(due=Due(HOUR)), job(due=Due(HOUR)))

        assert store.run(store.promote_now(only(scheduled), 10)).ids == (scheduled,)
        (claimed,) = claim(store)
        assert (claimed.id, claimed.due) == (scheduled, clock.now())
        assert state_of(store, other) is State.SCHEDULED

    @needs(Capability.SCHEDULE | Capability.RETRY)
    def test_what_was_promoted_by_hand_is_not_promoted_again_at_its_time(self, store: Store, clock: FakeClock) -> None:
        scheduled = enqueue_one(store, due=Due(MINUTE))
        store.run(store.promote_now(only(scheduled), 10))
        (claimed,) = claim(store, lease=HOUR)
        clock.advance("2m")

        assert store.run(store.promote(10)).count == 0
        assert state_of(store, claimed.id) is State.RUNNING


def next_due(store: Store) -> int | None:
    """Claim something, and give what the answer says of the time to come."""
    return store.run(store.claim({"default": 5}, ["work"], [""], new_token(), "w", LEASE)).next_due
