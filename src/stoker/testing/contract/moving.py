"""Moving jobs between stores: held in the one, taken in by the other, each once."""

from __future__ import annotations

import msgspec
import pytest

from stoker.core.batch import new_batch
from stoker.core.capability import Capability
from stoker.core.filters import EVERYTHING, Filter
from stoker.core.flow import Flow, write
from stoker.core.job import CallId, Due, JobId, State, StoredJob, Token, new_call, new_token
from stoker.core.limits import Gate, Rule
from stoker.core.settlement import Settled, Settlement
from stoker.core.unique import UniqueKey
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
    job_in,
    later,
    look_up,
    needs,
    settle,
    state_of,
)
from stoker.testing.fake_clock import FakeClock

AWAY = "move to elsewhere"
DAY = 24 * HOUR


def hold(store: Store, which: Filter = EVERYTHING, limit: int = 100, token: Token | None = None) -> list[StoredJob]:
    """Hold jobs, under a token of their own."""
    return store.run(store.hold(which, limit, token or new_token(), AWAY))


def let_go(store: Store, job: StoredJob, token: Token) -> Settled:
    """Say that a held job has arrived."""
    return store.run(store.settle([Settlement(job.id, token, State.COMPLETED, keep=0)]))[job.id]


def elsewhere(**fields: object) -> StoredJob:
    """Make a job as another store has it, with a past."""
    empty = StoredJob(
        id=JobId("other-1"),
        name="work",
        queue="default",
        state=State.RETRYABLE,
        args='{"n":1}',
        priority=0,
        max_attempts=9,
        starts=4,
        failures=2,
        crashes=1,
        snoozes=1,
        run_at=0,
        enqueued_at=7,
        started_at=None,
        finished_at=None,
        keep=None,
        keep_failed=None,
        result=None,
        worker=None,
    )
    return msgspec.structs.replace(empty, **fields)


class HoldContract(ContractTests):
    @needs(Capability.HOLD)
    def test_a_job_that_was_just_enqueued_is_held_and_nobody_can_claim_it(self, store: Store) -> None:
        enqueue(store, *[job(args=f'{{"n":{number}}}') for number in range(3)])

        held = hold(store)
        assert [one.args for one in held] == ['{"n":0}', '{"n":1}', '{"n":2}']
        assert claim(store) == []

    @needs(Capability.HOLD | Capability.SCHEDULE)
    @pytest.mark.parametrize("state", [State.SCHEDULED, State.AVAILABLE, State.RETRYABLE])
    def test_a_held_job_is_given_as_it_was(self, store: Store, clock: FakeClock, state: State) -> None:
        id, _ = job_in(store, state)
        now = clock.now()

        (held,) = hold(store)
        assert held.id == id
        assert held.run_at == (now if state is State.AVAILABLE else now + HOUR)
        tried = int(state is State.RETRYABLE)
        assert (held.starts, held.failures, held.crashes, held.worker) == (tried, tried, 0, None)

    @needs(Capability.HOLD | Capability.SCHEDULE)
    def test_a_held_job_does_not_become_due(self, store: Store, clock: FakeClock) -> None:
        enqueue_one(store, due=later())
        hold(store)
        clock.advance("2h")
        store.run(store.promote(10))

        assert claim(store) == []

    @needs(Capability.HOLD)
    def test_no_lease_ends_a_hold(self, store: Store, clock: FakeClock) -> None:
        enqueue_one(store)
        token = new_token()
        (held,) = hold(store, token=token)
        clock.advance("365d")
        store.run(store.reclaim(100))

        assert claim(store) == []
        assert let_go(store, held, token) is Settled.ACCEPTED

    @needs(Capability.HOLD)
    def test_a_repeat_answers_what_is_held_and_takes_nothing_new(self, store: Store) -> None:
        enqueue(store, job(), job())
        token = new_token()
        first = hold(store, limit=1, token=token)
        again = hold(store, limit=5, token=token)
        resumed = hold(store, limit=0, token=token)

        assert [one.id for one in again] == [one.id for one in resumed] == [first[0].id]
        assert len(claim(store)) == 1

    @needs(Capability.HOLD)
    def test_a_limit_of_nothing_takes_nothing(self, store: Store) -> None:
        enqueue_one(store)

        assert hold(store, limit=0) == []
        assert len(claim(store)) == 1

    @needs(Capability.HOLD)
    def test_what_runs_cannot_be_held(self, store: Store) -> None:
        claimed = claim_one(store)

        assert hold(store) == []
        assert settle(store, claimed, State.COMPLETED) is Settled.ACCEPTED

    @needs(Capability.HOLD | Capability.FIND)
    def test_what_has_ended_is_not_held(self, store: Store) -> None:
        for state in (State.COMPLETED, State.CANCELLED, State.DISCARDED):
            job_in(store, state)

        assert hold(store) == []

    @needs(Capability.HOLD)
    def test_only_what_a_filter_asks_for_is_held(self, store: Store) -> None:
        enqueue(store, job("a", queue="mail"), job("b", queue="mail"), job("a"))

        assert [(one.name, one.queue) for one in hold(store, Filter(names=("a",), queues=("mail",)))] == [("a", "mail")]
        assert len(claim(store, queues=["mail", "default"], names=["a", "b"])) == 2

    @needs(Capability.HOLD | Capability.SCHEDULE)
    def test_a_filter_tells_states_apart(self, store: Store) -> None:
        enqueue(store, job(), job(due=later()))

        assert len(hold(store, Filter(states=(State.SCHEDULED,)))) == 1
        assert len(claim(store)) == 1

    @needs(Capability.HOLD)
    def test_a_filter_finds_labels_and_arguments(self, store: Store) -> None:
        enqueue(store, job(labels=("bulk",)), job(args='{"user":{"id":42}}'), job())

        assert [one.labels for one in hold(store, Filter(labels=("bulk",)))] == [("bulk",)]
        assert [one.args for one in hold(store, Filter(args=(("user.id", "42"),)))] == ['{"user":{"id":42}}']

    @needs(Capability.HOLD)
    def test_a_job_that_is_let_go_is_gone(self, store: Store) -> None:
        enqueue_one(store)
        token = new_token()
        (held,) = hold(store, token=token)

        assert let_go(store, held, token) is Settled.ACCEPTED
        assert let_go(store, held, token) is not Settled.ACCEPTED
        assert store.run(store.holds()) == []
        assert [row for row in store.run(store.count()) if row.count] == []

    @needs(Capability.HOLD)
    def test_what_is_held_can_be_found_by_whoever_comes_next(self, store: Store, clock: FakeClock) -> None:
        enqueue(store, job(), job())
        claim(store, 1)
        token = new_token()
        hold(store, token=token)

        (found,) = store.run(store.holds())
        assert (found.token, found.target, found.jobs, found.at) == (token, "elsewhere", 1, clock.now())

    @needs(Capability.HOLD | Capability.BATCH)
    def test_members_of_batches_stay(self, store: Store) -> None:
        batch = new_batch()
        store.run(store.open_batch(batch, write(Flow(name="b")), [job(batch=batch)], new_call()))

        assert hold(store) == []
        assert len(claim(store)) == 1

    @needs(Capability.HOLD | Capability.UNIQUE)
    def test_a_held_job_tells_its_key_and_gives_it_up(self, store: Store) -> None:
        enqueue_one(store, unique=UniqueKey("k"))

        (held,) = hold(store)
        assert held.unique is not None
        assert (held.unique.key, set(held.unique.states)) == ("k", {"scheduled", "available", "retryable"})
        assert not store.run(store.enqueue([job(unique=UniqueKey("k"))], new_call()))[0].duplicate

    @needs(Capability.HOLD | Capability.LIMITS)
    @pytest.mark.parametrize("due", [Due(), Due(HOUR)])
    def test_a_job_at_a_gate_is_held_and_takes_nobody_s_place(self, store: Store, clock: FakeClock, due: Due) -> None:
        store.run(store.define([Rule("work", running=1)], replace=True))
        gates = (Gate("work"),)
        token = new_token()
        enqueue(store, *[job(gates=gates, due=due)] * 2)
        for held in hold(store, token=token):
            assert held.gates == gates
            assert let_go(store, held, token) is Settled.ACCEPTED
        stays = enqueue_one(store, gates=gates)
        clock.advance("2h")
        store.run(store.promote(10))
        store.run(store.admit(10))

        assert [one.id for one in claim(store)] == [stays]

    @needs(Capability.HOLD | Capability.SCHEDULE)
    def test_the_last_due_time_is_that_of_the_latest_scheduled_job(self, store: Store, clock: FakeClock) -> None:
        assert store.run(store.last_due()) is None
        now = clock.now()
        enqueue(store, job(due=Due(MINUTE)), job(due=Due(DAY)), job(due=Due(HOUR)), job())

        assert store.run(store.last_due()) == now + DAY


class ReceiveContract(ContractTests):
    @needs(Capability.RECEIVE | Capability.FIND)
    def test_a_job_is_taken_in_as_it_stands(self, store: Store, clock: FakeClock) -> None:
        due = clock.now() + HOUR
        there = elsewhere(
            run_at=due,
            queue="mail",
            priority=7,
            route="gpu",
            labels=("a", "b"),
            meta='{"x":1}',
            checkpoint='"half"',
            errors=(failure("first"), failure("second")),
            parent="p",
            root="r",
        )
        (answer,) = store.run(store.receive([there], new_call()))

        found = fetch(store, answer.id)
        assert found == msgspec.structs.replace(there, id=answer.id, errors=found.errors)
        assert [error.message for error in found.errors] == ["first", "second"]

    @needs(Capability.RECEIVE)
    def test_what_is_due_is_available_and_its_attempts_are_counted_on(self, store: Store, clock: FakeClock) -> None:
        store.run(store.receive([elsewhere(run_at=clock.now() - MINUTE)], new_call()))

        (claimed,) = claim(store)
        assert (claimed.starts, claimed.failures, claimed.crashes, claimed.snoozes) == (5, 2, 1, 1)
        assert (claimed.enqueued_at, claimed.due, claimed.max_attempts) == (7, clock.now() - MINUTE, 9)

    @needs(Capability.RECEIVE)
    def test_what_is_not_due_waits_until_then(self, store: Store, clock: FakeClock) -> None:
        store.run(store.receive([elsewhere(run_at=clock.now() + HOUR)], new_call()))
        assert claim(store) == []
        clock.advance("2h")
        store.run(store.promote(10))

        assert len(claim(store)) == 1

    @needs(Capability.RECEIVE | Capability.FIND)
    def test_one_that_never_failed_is_scheduled(self, store: Store, clock: FakeClock) -> None:
        due = clock.now() + HOUR
        (answer,) = store.run(store.receive([elsewhere(run_at=due, failures=0, crashes=0)], new_call()))

        assert state_of(store, answer.id) is State.SCHEDULED

    @needs(Capability.RECEIVE)
    def test_a_repeat_stores_nothing_even_when_the_jobs_are_gone_for_a_year(
        self, store: Store, clock: FakeClock
    ) -> None:
        call = new_call()
        first = store.run(store.receive([elsewhere(), elsewhere()], call))
        for claimed in claim(store):
            settle(store, claimed, State.COMPLETED, keep=0)
        clock.advance("365d")
        for _ in range(3):
            store.run(store.prune(1000))

        assert store.run(store.receive([elsewhere(), elsewhere()], call)) == first
        assert claim(store) == []

    @needs(Capability.RECEIVE | Capability.FIND)
    def test_a_repeat_leaves_alone_what_became_of_the_jobs(self, store: Store) -> None:
        call = new_call()
        (answer,) = store.run(store.receive([elsewhere()], call))
        (claimed,) = claim(store)
        settle(store, claimed, State.RETRYABLE, due=later(), counts="failure", error=failure())
        store.run(store.receive([elsewhere()], call))

        found = fetch(store, answer.id)
        assert (found.state, found.starts, found.failures) == (State.RETRYABLE, 5, 3)

    @needs(Capability.RECEIVE | Capability.UNIQUE)
    def test_a_key_that_is_taken_here_makes_it_a_duplicate(self, store: Store) -> None:
        holder = enqueue_one(store, unique=UniqueKey("k"))
        twice = elsewhere(unique=UniqueKey("k", on_conflict="raise"))
        call = CallId(new_call())

        answers = store.run(store.receive([twice, elsewhere()], call))
        assert [(answers[0].id, answers[0].duplicate), answers[1].duplicate] == [(holder, True), False]
        assert len(claim(store)) == 2

    @needs(Capability.RECEIVE | Capability.UNIQUE)
    def test_a_key_that_is_free_is_taken_along(self, store: Store) -> None:
        (answer,) = store.run(store.receive([elsewhere(unique=UniqueKey("k"))], new_call()))

        assert store.run(store.enqueue([job(unique=UniqueKey("k"))], new_call()))[0].id == answer.id

    @needs(Capability.RECEIVE | Capability.HOLD | Capability.FIND)
    def test_what_one_gives_the_other_takes(self, store: Store, clock: FakeClock) -> None:
        enqueue(store, job(args='{"big":123456789012345678901234567890,"t":"ä☃"}', due=later(), labels=("l",)))
        token = new_token()
        (held,) = hold(store, token=token)
        (answer,) = store.run(store.receive([held], new_call()))
        let_go(store, held, token)

        assert fetch(store, answer.id) == msgspec.structs.replace(held, id=answer.id)
        assert look_up(store, held.id) is None
        clock.advance("2h")
        store.run(store.promote(1))
        assert [one.args for one in claim(store)] == [held.args]
