"""The archive: finished jobs are found by what they were and how they ended, and can be done again."""

from __future__ import annotations

import pytest

from stoker.app.operations import Operations
from stoker.app.replaying import replayed
from stoker.core.capability import Capability
from stoker.core.filters import Filter
from stoker.core.job import JobId, State, new_call
from stoker.core.unique import UniqueKey
from stoker.errors import EnqueueError
from stoker.stores.base import Store
from stoker.telemetry.board import Events
from stoker.testing.contract.base import (
    HOUR,
    ContractTests,
    claim,
    ending,
    enqueue,
    failure,
    fetch,
    job,
    job_in,
    kept,
    needs,
    settle,
    state_of,
)
from stoker.testing.fake_clock import FakeClock

WORTH_COMPARING = ("name", "args", "queue", "route", "priority", "max_attempts", "labels", "meta", "version")


class ReplayContract(ContractTests):
    @needs(Capability.FIND)
    @pytest.mark.parametrize("state", [State.COMPLETED, State.CANCELLED, State.DISCARDED])
    def test_a_finished_job_is_replayed_as_a_new_one_that_names_the_old(self, store: Store, state: State) -> None:
        priority = 7 if store.supports(Capability.PRIORITY) else 0
        said = {"args": '{"n":[1,"ü"]}', "queue": "mail", "priority": priority, "labels": ("a",), "meta": '{"k":1}'}
        old, _ = job_in(store, state, **said, max_attempts=3, keep=HOUR)
        if not kept(store, state):
            pytest.skip(f"what was {state.value} is gone: the store lacks HISTORY")
        before = fetch(store, old)
        (new,) = operations(store).replay(Filter(ids=(old,)))

        made = fetch(store, new)
        assert (made.origin, made.state, made.failures, made.errors) == (old, State.AVAILABLE, 0, ())
        assert [getattr(made, field) for field in WORTH_COMPARING] == [
            getattr(before, field) for field in WORTH_COMPARING
        ]
        assert fetch(store, old) == before

    @needs(Capability.FIND | Capability.HISTORY)
    def test_a_replayed_job_runs_and_can_be_replayed_in_its_turn(self, store: Store) -> None:
        old, _ = job_in(store, State.DISCARDED)
        (second,) = operations(store).replay(Filter(ids=(old,)))
        (claimed,) = claim(store)
        settle(store, claimed, State.COMPLETED)
        (third,) = operations(store).replay(Filter(ids=(second,)))

        assert fetch(store, third).origin == second

    @needs(Capability.FIND)
    def test_what_has_not_ended_is_not_replayed(self, store: Store) -> None:
        for state in (State.SCHEDULED, State.AVAILABLE, State.RUNNING, State.RETRYABLE):
            waiting, _ = job_in(store, state, queue=state.value)
            assert operations(store).replay(Filter(ids=(waiting,))) == []
            with pytest.raises(EnqueueError, match=f"is {state.value}: only a finished job"):
                replayed(fetch(store, waiting))

    @needs(Capability.FIND | Capability.UNIQUE)
    def test_a_replay_asks_for_no_unique_key(self, store: Store) -> None:
        old, _ = job_in(store, State.COMPLETED, unique=UniqueKey("key"))
        (holder,) = enqueue(store, job(unique=UniqueKey("key"), queue="other"))
        (new,) = operations(store).replay(Filter(ids=(old,)))

        assert state_of(store, new) is State.AVAILABLE
        answer = store.run(store.enqueue([job(unique=UniqueKey("key"))], new_call()))
        assert answer[0].id == holder

    @needs(Capability.FIND | Capability.HISTORY)
    def test_the_archive_is_searched_by_state_name_and_time(self, store: Store, clock: FakeClock) -> None:
        early, _ = job_in(store, State.COMPLETED)
        clock.advance("1h")
        since = clock.now()
        late, _ = job_in(store, State.COMPLETED)
        failed, _ = job_in(store, State.DISCARDED)
        other, _ = job_in(store, State.COMPLETED, name="other")
        enqueue(store, job())

        def found(**fields: object) -> set[JobId]:
            return {one.id for one in operations(store).find(Filter(**fields))}  # type: ignore[arg-type]

        assert found(states=(State.COMPLETED,)) == {early, late, other}
        assert found(states=(State.COMPLETED,), names=("work",), finished_since=since) == {late}
        assert found(finished_before=since) == {early}
        assert found(error="no route") == {failed}

    @needs(Capability.FIND)
    def test_many_are_replayed_in_the_order_of_the_old_ones_and_each_once(self, store: Store) -> None:
        ids = enqueue(store, *(job(args=f"[{number}]") for number in range(1200)))
        claims = [claimed for _ in range(12) for claimed in claim(store, 100)]
        store.run(store.settle([ending(claimed, State.DISCARDED, error=failure()) for claimed in claims]))
        made = operations(store).replay(Filter(states=(State.DISCARDED,)))

        assert len(made) == 1200
        again = [claimed for _ in range(12) for claimed in claim(store, 100)]
        assert sorted(claimed.args for claimed in again) == sorted(f"[{number}]" for number in range(1200))
        assert {fetch(store, made[place]).origin for place in (0, 700, 1199)} < set(ids)


def operations(store: Store) -> Operations:
    """Give the operator's verbs on a store."""
    return Operations(store, "default", lambda: 0, Events())
