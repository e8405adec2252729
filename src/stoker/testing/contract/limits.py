"""Limits (contract §3): what waits at its gates, what is let in, and when a place is free again."""

from __future__ import annotations

from typing import Any

from stoker.core.capability import Capability
from stoker.core.filters import Filter
from stoker.core.job import Due, JobId, State
from stoker.core.limits import Admitted, Gate, Rule
from stoker.core.unique import UniqueKey
from stoker.stores.base import Store
from stoker.testing.contract.base import (
    HOUR,
    LEASE,
    MINUTE,
    ContractTests,
    claim,
    enqueue,
    enqueue_one,
    failure,
    fetch,
    job,
    needs,
    only,
    settle,
    state_of,
)
from stoker.testing.fake_clock import FakeClock

LIMITS = Capability.LIMITS


def define(store: Store, *rules: Rule, replace: bool = True) -> None:
    """Say what rules let in."""
    store.run(store.define(rules, replace=replace))


def admit(store: Store, limit: int = 1000) -> Admitted:
    """Let in what may come in, in one call."""
    return store.run(store.admit(limit))


def gate(rule: str = "send", value: str = "", *, strict: bool = False) -> Gate:
    """Make a gate of a rule."""
    return Gate(f"{rule}={value}", strict)


def at(*gates: Gate) -> dict[str, Any]:
    """Give the field of a job with these gates."""
    return {"gates": gates}


def let_in(store: Store, limit: int = 100, **fields: Any) -> list[JobId]:
    """Admit, then claim; give the ids that came."""
    admit(store)
    return [claimed.id for claimed in claim(store, limit, **fields)]


def start(store: Store) -> list[JobId]:
    """Do the same as a worker does: it admits behind each claim too, so that starts are heard of at once."""
    ids = let_in(store)
    admit(store)
    return ids


class GateContract(ContractTests):
    @needs(LIMITS)
    def test_a_job_with_a_gate_is_available_but_cannot_be_claimed_before_it_is_admitted(self, store: Store) -> None:
        define(store, Rule("send", running=1))
        waiting = enqueue_one(store, **at(gate()))

        assert claim(store) == []
        found = fetch(store, waiting)
        assert (found.state, found.gated, found.gates) == (State.AVAILABLE, True, (gate(),))
        assert admit(store).count == 1
        assert fetch(store, waiting).gated is False
        assert [claimed.id for claimed in claim(store)] == [waiting]

    @needs(LIMITS)
    def test_no_more_are_let_in_than_the_limit_says_and_in_order(self, store: Store) -> None:
        define(store, Rule("send", running=3))
        jobs = enqueue(store, *[job(**at(gate()))] * 5)

        assert let_in(store) == jobs[:3]
        assert let_in(store) == []

    @needs(LIMITS)
    def test_admitted_jobs_count_as_those_that_run(self, store: Store) -> None:
        define(store, Rule("send", running=2))
        enqueue(store, *[job(**at(gate()))] * 5)

        assert [admit(store).count, admit(store).count] == [2, 0]

    @needs(LIMITS)
    def test_every_value_of_a_key_has_a_count_of_its_own(self, store: Store) -> None:
        define(store, Rule("send", running=1))
        first, _, other = enqueue(
            store, *(job(**at(gate(value=tenant))) for tenant in ('["acme"]', '["acme"]', '["zoo"]'))
        )

        assert let_in(store) == [first, other]

    @needs(LIMITS)
    def test_higher_priority_is_let_in_first(self, store: Store) -> None:
        define(store, Rule("send", running=1))
        _, high = enqueue(store, job(**at(gate())), job(priority=5, **at(gate())))

        assert let_in(store) == [high]

    @needs(LIMITS)
    def test_jobs_without_a_gate_are_claimed_past_those_that_wait(self, store: Store) -> None:
        define(store, Rule("send", running=1))
        enqueue(store, *[job(**at(gate()))] * 3)
        admit(store)
        free = enqueue_one(store)

        assert free in [claimed.id for claimed in claim(store, 2)]

    @needs(LIMITS)
    def test_a_place_is_free_again_when_its_job_has_ended(self, store: Store) -> None:
        define(store, Rule("send", running=1))
        jobs = enqueue(store, *[job(**at(gate()))] * 4)
        admit(store)
        for place, (state, keep) in enumerate(
            ((State.COMPLETED, 0), (State.COMPLETED, HOUR), (State.DISCARDED, None), (State.CANCELLED, 0))
        ):
            (claimed,) = claim(store)
            assert claimed.id == jobs[place]
            assert admit(store).count == 0
            settle(store, claimed, state, keep=keep)
            assert admit(store).count == (1 if place < 3 else 0)

    @needs(LIMITS)
    def test_a_job_that_fails_gives_its_place_up_until_it_is_tried_again(self, store: Store, clock: FakeClock) -> None:
        define(store, Rule("send", running=1))
        first, second = enqueue(store, *[job(**at(gate()))] * 2)
        admit(store)
        (claimed,) = claim(store)
        settle(store, claimed, State.RETRYABLE, due=Due(MINUTE), counts="failure", error=failure())

        assert let_in(store) == [second]
        clock.advance("2m")
        store.run(store.promote(10))
        assert (state_of(store, first), fetch(store, first).gated) == (State.AVAILABLE, True)
        assert let_in(store) == []

    @needs(LIMITS)
    def test_a_job_that_is_given_back_waits_at_its_gates_again(self, store: Store) -> None:
        define(store, Rule("send", running=1))
        first, second = enqueue(store, *[job(**at(gate()))] * 2)
        admit(store)
        (claimed,) = claim(store)
        settle(store, claimed, State.AVAILABLE)

        assert fetch(store, first).gated
        assert let_in(store) == [second]

    @needs(LIMITS)
    def test_a_crashed_holder_gives_its_place_back_when_its_lease_is_reclaimed(
        self, store: Store, clock: FakeClock
    ) -> None:
        define(store, Rule("send", running=1))
        first, second = enqueue(store, *[job(**at(gate()))] * 2)
        admit(store)
        claim(store)
        clock.advance(LEASE // 1_000_000 + 1)
        assert admit(store).count == 0

        assert store.run(store.reclaim(10)).available == (first,)
        assert fetch(store, first).gated
        assert let_in(store) == [second]

    @needs(LIMITS)
    def test_a_scheduled_job_comes_to_its_gates_when_it_is_due(self, store: Store, clock: FakeClock) -> None:
        define(store, Rule("send", running=1))
        scheduled = enqueue_one(store, due=Due(MINUTE), **at(gate()))
        assert (admit(store).count, fetch(store, scheduled).gated) == (0, False)

        clock.advance("2m")
        store.run(store.promote(10))
        assert claim(store) == []
        assert let_in(store) == [scheduled]

    @needs(LIMITS)
    def test_jobs_of_several_gates_are_let_in_only_if_all_allow_it(self, store: Store) -> None:
        define(store, Rule("all", running=3), Rule("tenant", running=1))

        def of(tenant: str) -> tuple[Gate, ...]:
            return (gate("tenant", tenant), gate("all"))

        jobs = enqueue(store, *(job(gates=of(tenant)) for tenant in "aaabbcd"))
        admit(store)
        first, second, third = claim(store)
        assert [first.id, second.id, third.id] == [jobs[0], jobs[3], jobs[5]]

        settle(store, second, State.COMPLETED, keep=0)
        assert let_in(store) == [jobs[4]]
        settle(store, first, State.COMPLETED, keep=0)
        settle(store, third, State.COMPLETED, keep=0)
        assert let_in(store) == [jobs[1], jobs[6]]

    @needs(LIMITS)
    def test_what_one_gate_holds_up_takes_no_place_at_another(self, store: Store) -> None:
        define(store, Rule("slow", running=1), Rule("tenant", running=2))
        slow = enqueue(store, *[job(**at(gate("slow"), gate("tenant")))] * 5)
        quick = enqueue_one(store, **at(gate("tenant")))

        assert let_in(store) == [slow[0], quick]

    @needs(LIMITS)
    def test_jobs_of_a_paused_queue_or_name_are_not_admitted_and_hold_nobody_up(self, store: Store) -> None:
        define(store, Rule("all", running=1))
        mail = enqueue_one(store, queue="mail", **at(gate("all")))
        named = enqueue_one(store, "report", **at(gate("all")))
        other = enqueue_one(store, **at(gate("all")))
        store.run(store.pause("queue", ["mail"], True))
        store.run(store.pause("name", ["report"], True))

        every: dict[str, Any] = {"queues": ("mail", "default"), "names": ("work", "report")}
        admit(store)
        (claimed,) = claim(store, **every)
        assert claimed.id == other
        store.run(store.pause("queue", ["mail"], False))
        assert let_in(store, **every) == []
        settle(store, claimed, State.COMPLETED, keep=0)
        admit(store)
        (claimed,) = claim(store, **every)
        assert claimed.id == mail
        settle(store, claimed, State.COMPLETED, keep=0)
        assert let_in(store, **every) == []
        store.run(store.pause("name", ["report"], False))
        assert let_in(store, **every) == [named]

    @needs(LIMITS)
    def test_a_call_lets_in_so_many_at_most_and_says_that_there_are_more(self, store: Store) -> None:
        define(store, Rule("send", running=10))
        enqueue(store, *[job(**at(gate()))] * 5)

        first, second, third = admit(store, 2), admit(store, 2), admit(store, 2)
        assert [(one.count, one.more) for one in (first, second)] == [(2, True), (2, True)]
        assert third.count == 1
        assert not admit(store).more

    @needs(LIMITS)
    def test_a_raised_limit_lets_more_in_and_a_lowered_one_takes_nobody_back(self, store: Store) -> None:
        define(store, Rule("send", running=1))
        enqueue(store, *[job(**at(gate()))] * 6)
        assert len(let_in(store)) == 1
        define(store, Rule("send", running=3))
        assert len(let_in(store)) == 2
        define(store, Rule("send", running=2))
        assert len(let_in(store)) == 0

    @needs(LIMITS)
    def test_a_rule_that_stands_is_replaced_only_where_that_is_asked_for(self, store: Store) -> None:
        define(store, Rule("send", running=1))
        define(store, Rule("send", running=5), replace=False)
        enqueue(store, *[job(**at(gate()))] * 3)

        assert admit(store).count == 1

    @needs(LIMITS)
    def test_a_gate_that_nobody_has_defined_holds_nothing_up(self, store: Store) -> None:
        jobs = enqueue(store, *[job(**at(gate("unheard-of")))] * 3)

        assert let_in(store) == jobs

    @needs(LIMITS | Capability.UNIQUE)
    def test_a_waiting_job_holds_its_unique_key(self, store: Store) -> None:
        define(store, Rule("send", running=1))
        twice = job(unique=UniqueKey("a"), **at(gate()))
        first, second = enqueue(store, twice), enqueue(store, twice)

        assert first == second
        assert let_in(store) == first

    @needs(LIMITS | Capability.UNIQUE)
    def test_a_waiting_job_can_be_replaced_and_rescheduled(self, store: Store, clock: FakeClock) -> None:
        define(store, Rule("send", running=1))
        (waiting,) = enqueue(store, job(unique=UniqueKey("a"), **at(gate())))
        enqueue(store, job(args="[2]", unique=UniqueKey("a", on_conflict="replace"), **at(gate())))
        assert (fetch(store, waiting).args, fetch(store, waiting).gated) == ("[2]", True)
        enqueue(store, job(due=Due(MINUTE), unique=UniqueKey("a", on_conflict="reschedule"), **at(gate())))
        assert (state_of(store, waiting), fetch(store, waiting).gated) == (State.SCHEDULED, False)
        assert let_in(store) == []
        clock.advance("2m")
        store.run(store.promote(1))
        assert let_in(store) == [waiting]


class GatedControlContract(ContractTests):
    @needs(LIMITS | Capability.CANCEL | Capability.DELETE)
    def test_a_waiting_job_can_be_cancelled_and_deleted(self, store: Store) -> None:
        define(store, Rule("send", running=1))
        cancelled, deleted, third = enqueue(store, *[job(**at(gate()))] * 3)

        assert store.run(store.cancel(only(cancelled), 10)).ids == (cancelled,)
        assert store.run(store.delete(only(deleted), 10)).ids == (deleted,)
        assert (state_of(store, cancelled), state_of(store, deleted)) == (State.CANCELLED, None)
        assert let_in(store) == [third]

    @needs(LIMITS | Capability.CANCEL | Capability.DELETE)
    def test_an_admitted_job_that_is_cancelled_or_deleted_gives_its_place_up(self, store: Store) -> None:
        define(store, Rule("send", running=1))
        first, second, third = enqueue(store, *[job(**at(gate()))] * 3)
        admit(store)
        store.run(store.cancel(only(first), 10))
        admit(store)
        store.run(store.delete(only(second), 10))

        assert let_in(store) == [third]

    @needs(LIMITS | Capability.CANCEL | Capability.RETRY)
    def test_a_retried_job_waits_at_its_gates(self, store: Store) -> None:
        define(store, Rule("send", running=1))
        first, second = enqueue(store, *[job(**at(gate()))] * 2)
        store.run(store.cancel(only(first), 10))
        assert let_in(store) == [second]

        assert store.run(store.retry(only(first), 10)).ids == (first,)
        assert (state_of(store, first), fetch(store, first).gated) == (State.AVAILABLE, True)
        assert store.run(store.retry(only(first), 10)).ids == ()
        assert let_in(store) == []

    @needs(LIMITS | Capability.RETRY)
    def test_a_promoted_job_waits_at_its_gates_and_a_requeued_one_does_too(self, store: Store) -> None:
        define(store, Rule("send", running=1))
        running = enqueue_one(store, **at(gate()))
        assert let_in(store) == [running]
        scheduled = enqueue_one(store, due=Due(HOUR), **at(gate()))
        assert store.run(store.promote_now(only(scheduled), 10)).ids == (scheduled,)
        assert fetch(store, scheduled).gated
        assert let_in(store) == []

        assert store.run(store.requeue(only(running), 10, force=True)).ids == (running,)
        assert fetch(store, running).gated
        assert let_in(store) == [scheduled]

    @needs(LIMITS)
    def test_waiting_jobs_are_counted_as_available_and_apart(self, store: Store) -> None:
        define(store, Rule("send", running=1))
        enqueue(store, *[job(**at(gate()))] * 3, job())
        admit(store)

        (row,) = [row for row in store.run(store.count()) if row.state is State.AVAILABLE]
        assert (row.count, row.gated) == (4, 2)

    @needs(LIMITS)
    def test_a_waiting_job_is_work(self, store: Store) -> None:
        define(store, Rule("send", running=1))
        enqueue_one(store, **at(gate()))

        assert store.run(store.any(["default"], ["work"], [""]))
        assert not store.run(store.any(["default"], ["other"], [""]))
        assert not store.run(store.any(["mail"], ["work"], [""]))

    @needs(LIMITS | Capability.FIND)
    def test_waiting_jobs_are_found_by_state(self, store: Store) -> None:
        define(store, Rule("send", running=1))
        jobs = enqueue(store, *[job(**at(gate()))] * 2)
        let_in(store)

        found = store.run(store.find(Filter(states=(State.AVAILABLE,)), 10))
        assert [one.id for one in found] == [jobs[1]]
        found = store.run(store.find(Filter(states=(State.RUNNING,)), 10))
        assert [one.id for one in found] == [jobs[0]]


class RateContract(ContractTests):
    @needs(LIMITS)
    def test_a_rate_lets_one_period_in_at_once_and_then_so_many_in_each(self, store: Store, clock: FakeClock) -> None:
        define(store, Rule("send", starts=6, per=MINUTE))
        jobs = enqueue(store, *[job(**at(gate()))] * 20)

        assert start(store) == jobs[:6]
        clock.advance("9s")
        assert start(store) == []
        clock.advance("1s")
        assert start(store) == jobs[6:7]
        clock.advance("25s")
        assert start(store) == jobs[7:9]
        clock.advance("5s")
        assert start(store) == jobs[9:10]

    @needs(LIMITS)
    def test_an_admit_says_when_the_next_token_comes(self, store: Store, clock: FakeClock) -> None:
        define(store, Rule("send", starts=6, per=MINUTE))
        enqueue(store, *[job(**at(gate()))] * 8)
        start(store)
        told = admit(store)
        assert told.next_at is not None
        assert told.next_at - clock.now() <= MINUTE // 6

        clock.advance((told.next_at - clock.now()) / 1_000_000)
        assert admit(store).count == 1

    @needs(LIMITS)
    def test_tokens_are_not_saved_beyond_one_period(self, store: Store, clock: FakeClock) -> None:
        define(store, Rule("send", starts=3, per=MINUTE))
        enqueue(store, *[job(**at(gate()))] * 20)
        assert len(start(store)) == 3
        clock.advance("1h")

        assert len(start(store)) == 3

    @needs(LIMITS)
    def test_jobs_that_were_admitted_and_not_started_are_unspent_tokens(self, store: Store, clock: FakeClock) -> None:
        define(store, Rule("send", starts=3, per=MINUTE))
        enqueue(store, *[job(**at(gate()))] * 20)
        assert admit(store).count == 3
        clock.advance("1h")
        assert admit(store).count == 0

        assert len(claim(store)) == 3
        assert admit(store).count == 0
        clock.advance("19s")
        assert start(store) == []
        clock.advance("1s")
        assert len(start(store)) == 1

    @needs(LIMITS)
    def test_a_burst_that_was_left_lying_is_not_followed_by_another(self, store: Store, clock: FakeClock) -> None:
        define(store, Rule("send", starts=3, per=MINUTE))
        enqueue(store, *[job(**at(gate()))] * 3)
        admit(store)
        clock.advance("1h")
        for claimed in claim(store):
            settle(store, claimed, State.COMPLETED, keep=0)
        enqueue(store, *[job(**at(gate()))] * 3)

        assert start(store) == []
        clock.advance("20s")
        assert len(start(store)) == 1

    @needs(LIMITS)
    def test_a_start_is_never_refunded(self, store: Store) -> None:
        define(store, Rule("send", starts=1, per=MINUTE))
        enqueue(store, *[job(**at(gate()))] * 3)
        admit(store)
        (claimed,) = claim(store)
        settle(store, claimed, State.COMPLETED, keep=0)

        assert start(store) == []

    @needs(LIMITS)
    def test_each_value_has_a_rate_of_its_own(self, store: Store) -> None:
        define(store, Rule("send", starts=1, per=MINUTE))
        enqueue(store, *(job(**at(gate(value=tenant))) for tenant in "aabbc"))

        assert len(start(store)) == 3

    @needs(LIMITS)
    def test_a_limit_and_a_rate_go_together(self, store: Store, clock: FakeClock) -> None:
        define(store, Rule("limit", running=2), Rule("rate", starts=3, per=MINUTE))
        enqueue(store, *[job(**at(gate("limit"), gate("rate")))] * 9)
        admit(store)
        running = claim(store)
        assert len(running) == 2
        for claimed in running:
            settle(store, claimed, State.COMPLETED, keep=0)
        assert len(start(store)) == 1
        clock.advance("1m")
        assert len(start(store)) == 1


class SequenceContract(ContractTests):
    @needs(LIMITS)
    def test_a_limit_of_one_keeps_the_order_of_enqueueing(self, store: Store) -> None:
        define(store, Rule("send", running=1))
        jobs = [enqueue_one(store, **at(gate())) for _ in range(4)]
        seen: list[JobId] = []
        for _ in jobs:
            admit(store)
            (claimed,) = claim(store)
            seen.append(claimed.id)
            settle(store, claimed, State.COMPLETED, keep=0)

        assert seen == jobs

    @needs(LIMITS)
    def test_in_a_strict_sequence_a_job_that_is_retried_keeps_its_place(self, store: Store, clock: FakeClock) -> None:
        define(store, Rule("send", running=1))
        first, second = enqueue(store, *[job(**at(gate(strict=True)))] * 2)
        admit(store)
        (claimed,) = claim(store)
        settle(store, claimed, State.RETRYABLE, due=Due(MINUTE), counts="failure", error=failure())
        assert let_in(store) == []

        clock.advance("2m")
        store.run(store.promote(10))
        admit(store)
        (claimed,) = claim(store)
        assert claimed.id == first
        settle(store, claimed, State.COMPLETED, keep=0)
        assert let_in(store) == [second]

    @needs(LIMITS)
    def test_in_a_strict_sequence_a_crashed_job_is_first_again(self, store: Store, clock: FakeClock) -> None:
        define(store, Rule("send", running=1))
        first, _ = enqueue(store, *[job(**at(gate(strict=True)))] * 2)
        let_in(store)
        clock.advance(LEASE // 1_000_000 + 1)
        store.run(store.reclaim(10))

        assert let_in(store) == [first]

    @needs(LIMITS | Capability.CANCEL)
    def test_a_strict_sequence_goes_on_when_the_retryable_job_is_cancelled(self, store: Store) -> None:
        define(store, Rule("send", running=1))
        first, second = enqueue(store, *[job(**at(gate(strict=True)))] * 2)
        admit(store)
        (claimed,) = claim(store)
        settle(store, claimed, State.RETRYABLE, due=Due(MINUTE), counts="failure", error=failure())
        store.run(store.cancel(only(first), 10))

        assert let_in(store) == [second]
