"""The table of states: each move that it has, and no other.

One job stands in each state; a verb is let loose on all of them; those move that the table says, the others stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import pytest

from stoker.core.capability import Capability
from stoker.core.filters import Filter
from stoker.core.job import Due, JobId, NewJob, State, Token, new_call, new_token
from stoker.core.settlement import Settled, Settlement
from stoker.stores.base import Store
from stoker.testing.contract.base import HOUR, LEASE, NOTHING, ContractTests, claim, job_in, kept, state_of
from stoker.testing.fake_clock import FakeClock

S: Final = State


@dataclass(frozen=True)
class Crew:
    """One job in each state, and the token of each one's latest claim; each stands in a queue named after its state."""

    ids: Mapping[State, JobId]
    tokens: Mapping[State, Token]


@dataclass(frozen=True)
class Row:
    """A row of the table: what a verb makes of a job in each state; a state not named stays. None is gone."""

    moves: Mapping[State, State | None]
    act: Callable[[Store, FakeClock, Crew], object]
    needs: Capability = NOTHING
    hours_pass: bool = False
    """What is scheduled becomes due meanwhile: a store without PROMOTION has it available then."""


def ended(state: State, due: Due) -> Callable[[Store, FakeClock, Crew], object]:
    """Settle every job under its latest token."""

    def act(store: Store, _clock: FakeClock, crew: Crew) -> None:
        endings = [Settlement(crew.ids[at], crew.tokens[at], state, due=due) for at in State]
        answers = store.run(store.settle(endings))
        accepted = {crew.ids[at] for at in State if answers[crew.ids[at]] is Settled.ACCEPTED}
        assert accepted == (set() if state is S.RUNNING else {crew.ids[S.RUNNING]})

    return act


def promoted(store: Store, clock: FakeClock, _crew: Crew) -> object:
    clock.advance("2h")
    return store.run(store.promote(100))


def claimed(store: Store, _clock: FakeClock, _crew: Crew) -> object:
    return claim(store, queues=[state.value for state in State], lease=24 * HOUR)


def reclaimed(store: Store, clock: FakeClock, _crew: Crew) -> object:
    clock.advance("2h")
    return store.run(store.reclaim(100))


def pruned(store: Store, clock: FakeClock, _crew: Crew) -> object:
    clock.advance("2h")
    return store.run(store.prune(100))


LATER: Final = Due(HOUR)
TABLE: Final[Mapping[str, Row]] = {
    "promote": Row({S.SCHEDULED: S.AVAILABLE, S.RETRYABLE: S.AVAILABLE}, promoted, Capability.SCHEDULE),
    "promote by hand": Row(
        {S.SCHEDULED: S.AVAILABLE, S.RETRYABLE: S.AVAILABLE},
        lambda store, _, __: store.run(store.promote_now(Filter(), 100)),
        Capability.RETRY,
    ),
    "claim": Row({S.AVAILABLE: S.RUNNING}, claimed),
    "settle completed": Row({S.RUNNING: S.COMPLETED}, ended(S.COMPLETED, Due())),
    "settle retryable": Row({S.RUNNING: S.RETRYABLE}, ended(S.RETRYABLE, LATER)),
    "settle scheduled": Row({S.RUNNING: S.SCHEDULED}, ended(S.SCHEDULED, LATER)),
    "settle available": Row({S.RUNNING: S.AVAILABLE}, ended(S.AVAILABLE, Due())),
    "settle available for later": Row({S.RUNNING: S.SCHEDULED}, ended(S.AVAILABLE, LATER)),
    "settle cancelled": Row({S.RUNNING: S.CANCELLED}, ended(S.CANCELLED, Due())),
    "settle discarded": Row({S.RUNNING: S.DISCARDED}, ended(S.DISCARDED, Due())),
    "settle running": Row({}, ended(S.RUNNING, Due())),
    "reclaim": Row({S.RUNNING: S.AVAILABLE}, reclaimed, Capability.LEASE, hours_pass=True),
    "extend": Row({}, lambda store, _, crew: store.run(store.extend(list(crew.tokens.values()), LEASE))),
    "cancel": Row(
        {S.SCHEDULED: S.CANCELLED, S.AVAILABLE: S.CANCELLED, S.RETRYABLE: S.CANCELLED},
        lambda store, _, __: store.run(store.cancel(Filter(), 100)),
        Capability.CANCEL,
    ),
    "retry": Row(
        dict.fromkeys((S.CANCELLED, S.DISCARDED, S.RETRYABLE, S.SCHEDULED), S.AVAILABLE),
        lambda store, _, __: store.run(store.retry(Filter(), 100)),
        Capability.RETRY,
    ),
    "requeue": Row(
        {S.RUNNING: S.AVAILABLE},
        lambda store, _, __: store.run(store.requeue(Filter(), 100, force=True)),
        Capability.RETRY,
    ),
    "delete": Row(
        {state: None for state in S if state is not S.RUNNING},
        lambda store, _, __: store.run(store.delete(Filter(), 100)),
        Capability.DELETE,
    ),
    "prune": Row(dict.fromkeys((S.COMPLETED, S.CANCELLED, S.DISCARDED)), pruned, Capability.HISTORY, hours_pass=True),
    "pause": Row(
        {},
        lambda store, _, __: store.run(store.pause("queue", [state.value for state in S], True)),
        Capability.PAUSE,
    ),
}


class TransitionContract(ContractTests):
    @pytest.mark.parametrize("verb", TABLE)
    def test_a_verb_makes_the_moves_of_the_table_and_no_other(self, store: Store, clock: FakeClock, verb: str) -> None:
        row = TABLE[verb]
        if missing := row.needs & ~store.capabilities:
            pytest.skip(f"the store lacks {missing.name}")
        crew = one_in_each_state(store)
        row.act(store, clock, crew)

        reached = {state: state_of(store, crew.ids[state]) for state in State}
        assert reached == {state: _end_of(store, row, state) for state in State}

    def test_an_enqueued_job_is_available_or_scheduled(self, store: Store) -> None:
        new = [NewJob("work", "{}"), NewJob("work", "{}", due=LATER)]
        answers = store.run(store.enqueue(new, new_call()))

        assert [state_of(store, answer.id) for answer in answers] == [S.AVAILABLE, S.SCHEDULED]

    @pytest.mark.parametrize("state", [state for state in State if state is not S.RUNNING])
    def test_without_the_token_nothing_leaves_running(self, store: Store, state: State) -> None:
        id, _ = job_in(store, S.RUNNING)
        store.run(store.settle([Settlement(id, new_token(), state)]))

        assert state_of(store, id) is S.RUNNING


def _end_of(store: Store, row: Row, state: State) -> State | None:
    """Give where a row takes a job, as far as the store shows it."""
    by_time = row.hours_pass and not store.supports(Capability.PROMOTION) and state in (S.SCHEDULED, S.RETRYABLE)
    end = row.moves.get(state, S.AVAILABLE if by_time else state) if kept(store, state) else None
    return None if end is None else kept(store, end)


def one_in_each_state(store: Store) -> Crew:
    """Enqueue a job into each state; what has ended is kept for an hour."""
    made = {state: job_in(store, state, queue=state.value, keep=HOUR, keep_failed=HOUR) for state in State}
    return Crew({state: id for state, (id, _) in made.items()}, {state: token for state, (_, token) in made.items()})
