"""Jobs that must start in time: cancelled while they wait, told to whoever claims them too late."""

from __future__ import annotations

import pytest

from stoker.core.capability import Capability
from stoker.core.expiry import MESSAGE, TYPE, with_expiry, without_expiry
from stoker.core.job import Due, JobId, State, new_call
from stoker.core.limits import Gate, Rule
from stoker.core.settlement import Settled
from stoker.core.unique import UniqueKey
from stoker.stores.base import Store
from stoker.testing.contract.base import (
    HOUR,
    LEASE,
    MINUTE,
    Another,
    ContractTests,
    claim,
    claim_one,
    enqueue,
    enqueue_one,
    everything,
    failure,
    fetch,
    job,
    look_up,
    needs,
    settle,
    state_of,
)
from stoker.testing.fake_clock import FakeClock

SOON = Due(MINUTE)


def expire(store: Store, limit: int = 100) -> tuple[JobId, ...]:
    """Expire; give the ids."""
    return store.run(store.expire(limit)).ids


class ExpiryContract(ContractTests):
    @needs(Capability.EXPIRY)
    @pytest.mark.parametrize("due", [Due(), Due(HOUR)])
    def test_what_was_not_started_in_time_ends_cancelled_with_the_reason(
        self, store: Store, clock: FakeClock, due: Due
    ) -> None:
        late = enqueue_one(store, expires=SOON, due=due)
        clock.advance("59s")
        assert expire(store) == ()
        assert fetch(store, late).expires == clock.now() + 1_000_000

        clock.advance("1s")
        assert expire(store) == (late,)
        found = fetch(store, late)
        assert (found.state, found.finished_at, found.starts) == (State.CANCELLED, clock.now(), 0)
        assert [(error.type, error.message, error.at) for error in found.errors] == [(TYPE, MESSAGE, clock.now())]
        assert claim(store) == []
        assert expire(store) == ()

    @needs(Capability.EXPIRY)
    def test_it_may_be_an_instant_too(self, store: Store, clock: FakeClock) -> None:
        late, later = enqueue(
            store, job(expires=Due(at=clock.now() + MINUTE)), job(expires=Due(at=clock.now() + HOUR), args="[2]")
        )
        clock.advance("2m")

        assert expire(store) == (late,)
        assert state_of(store, later) is State.AVAILABLE

    @needs(Capability.EXPIRY)
    def test_jobs_of_one_call_expire_each_at_its_own_time(self, store: Store, clock: FakeClock) -> None:
        jobs = [
            job(args="[1]"),
            job(args="[2]", expires=SOON),
            job("other", expires=Due(HOUR)),
            job(args="[4]", expires=SOON, unique=UniqueKey("key")),
            job(args="[5]", expires=SOON, priority=3),
        ]
        ids = enqueue(store, *jobs)
        clock.advance("2m")

        assert sorted(expire(store), key=int) == [ids[1], ids[3], ids[4]]
        assert [found.args for found in everything(store)] == [one.args for one in jobs]

    @needs(Capability.EXPIRY)
    def test_a_claim_tells_the_instant_inside_the_meta(self, store: Store, clock: FakeClock) -> None:
        at = clock.now() + MINUTE
        for meta in ("{}", '{"k":"ü\\"","l":[1]}'):
            claimed = claim_one(store, expires=SOON, meta=meta)
            assert claimed.meta == with_expiry(meta, at)
            assert without_expiry(claimed.meta) == (meta, at)
            assert (fetch(store, claimed.id).meta, fetch(store, claimed.id).expires) == (meta, at)

    @needs(Capability.EXPIRY)
    def test_what_runs_does_not_expire_and_what_goes_back_untried_does(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store, expires=SOON)
        clock.advance("2m")
        store.run(store.extend([claimed.token], LEASE))
        assert expire(store) == ()
        assert state_of(store, claimed.id) is State.RUNNING

        assert settle(store, claimed, State.AVAILABLE) is Settled.ACCEPTED
        (again,) = claim(store)
        assert without_expiry(again.meta)[1] == clock.now() - MINUTE

    @needs(Capability.EXPIRY)
    def test_what_was_tried_in_time_is_tried_again(self, store: Store, clock: FakeClock) -> None:
        claimed = claim_one(store, expires=SOON)
        settle(store, claimed, State.RETRYABLE, due=Due(HOUR), counts="failure", error=failure())
        clock.advance("2m")

        assert expire(store) == ()
        assert state_of(store, claimed.id) is State.RETRYABLE

    @needs(Capability.EXPIRY)
    def test_an_expired_job_is_kept_like_a_failure(self, store: Store, clock: FakeClock) -> None:
        gone, kept = enqueue(store, job(expires=SOON, keep_failed=0), job(expires=SOON, keep_failed=HOUR))
        clock.advance("1m")

        assert set(expire(store)) == {gone, kept}
        assert look_up(store, gone) is None
        clock.advance("61m")
        store.run(store.prune(10))
        assert look_up(store, kept) is None

    @needs(Capability.EXPIRY | Capability.UNIQUE)
    def test_an_expired_job_gives_its_key_up_and_a_duplicate_brings_no_instant(
        self, store: Store, clock: FakeClock
    ) -> None:
        holder = enqueue_one(store, unique=UniqueKey("key"))
        (again,) = store.run(store.enqueue([job(unique=UniqueKey("key"), expires=SOON)], new_call()))
        assert again.duplicate
        other = enqueue_one(store, unique=UniqueKey("other"), expires=SOON)
        clock.advance("2m")

        assert expire(store) == (other,)
        assert fetch(store, holder).expires is None
        (new,) = store.run(store.enqueue([job(unique=UniqueKey("other"))], new_call()))
        assert not new.duplicate

    @needs(Capability.EXPIRY)
    def test_expiring_takes_so_many_and_tells_whether_there_are_more(self, store: Store, clock: FakeClock) -> None:
        enqueue(store, *[job(expires=SOON)] * 5)
        clock.advance("2m")

        rounds = [store.run(store.expire(2)) for _ in range(3)]
        assert [(changed.count, changed.more) for changed in rounds] == [(2, True), (2, True), (1, False)]

    @needs(Capability.EXPIRY)
    def test_it_is_counted_from_the_enqueue_by_the_clock_of_the_store(
        self, store: Store, another: Another, clock: FakeClock
    ) -> None:
        call = new_call()
        command = store.enqueue([job(expires=SOON)], call)
        (first,) = store.run(command)
        clock.advance("30s")
        (again,) = another().run(command)

        assert again == first
        assert fetch(store, first.id).expires == clock.now() + MINUTE // 2

    @needs(Capability.EXPIRY | Capability.ATOMIC)
    def test_follow_ups_expire_too(self, store: Store, clock: FakeClock) -> None:
        settle(store, claim_one(store), State.COMPLETED, keep=0, then=(job(expires=SOON),))
        clock.advance("2m")

        assert len(expire(store)) == 1

    @needs(Capability.EXPIRY | Capability.LIMITS)
    def test_a_job_that_waits_at_a_gate_expires_and_leaves_its_turn_to_the_next(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.run(store.define([Rule("one", running=1)], replace=True))
        holder, late, patient = enqueue(
            store, *[job(gates=(Gate("one="),), expires=expires) for expires in (None, SOON, None)]
        )
        store.run(store.admit(10))
        (claimed,) = claim(store)
        clock.advance("61s")
        assert (claimed.id, expire(store)) == (holder, (late,))
        assert (state_of(store, late), state_of(store, patient)) == (State.CANCELLED, State.AVAILABLE)

        assert store.run(store.admit(10)).count == 0
        settle(store, claimed, State.COMPLETED)
        assert store.run(store.admit(10)).count == 1
        assert [one.id for one in claim(store)] == [patient]

    @needs(Capability.EXPIRY | Capability.LIMITS)
    def test_a_job_that_was_let_in_and_expires_gives_its_place_back(self, store: Store, clock: FakeClock) -> None:
        store.run(store.define([Rule("one", running=1)], replace=True))
        late, patient = enqueue(store, *[job(gates=(Gate("one="),), expires=expires) for expires in (SOON, None)])
        store.run(store.admit(10))
        clock.advance("61s")

        assert expire(store) == (late,)
        store.run(store.admit(10))
        assert [one.id for one in claim(store)] == [patient]
