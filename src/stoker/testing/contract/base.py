"""What the contract tests stand on: where the store is, a clock to turn, and short words for the verbs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

import msgspec
import pytest

from stoker.core.capability import Capability
from stoker.core.duration import SECOND
from stoker.core.filters import Filter
from stoker.core.job import (
    AttemptFailure,
    Claim,
    Due,
    JobId,
    NewJob,
    State,
    StoredJob,
    Token,
    new_call,
    new_token,
)
from stoker.core.settlement import Settled, Settlement
from stoker.stores.base import Store
from stoker.testing.fake_clock import FakeClock

Test = TypeVar("Test", bound=Callable[..., object])
LEASE: Final = 30 * SECOND
MINUTE: Final = 60 * SECOND
HOUR: Final = 3600 * SECOND


Connect: TypeAlias = Callable[..., Store]
"""Called as ``connect(clock=…)``: opens a handle on the jobs, with the store's time taken from that clock. Each call
gives another handle on the same jobs, or the same one where there is only one (in memory)."""
NOTHING: Final = Capability(0)


@dataclass(frozen=True)
class Place:
    """Where the store under test keeps its jobs: empty when a test begins."""

    connect: Connect
    between_processes: bool = False
    """Other processes reach the same jobs by ``connect``, which can be pickled."""
    losing_a_reply: Callable[[Store], AbstractContextManager[None]] | None = None
    """A fault, if there is one to offer: inside it the handle's next command is carried out, its answer is lost, and
    the driver sends it again."""
    transaction: Callable[[], AbstractContextManager[object]] | None = None
    """Of a store that joins transactions: begins one on a connection of a caller's own and gives it as ``on=`` takes
    it; commits at the end of the block, and rolls back where the block raises."""


Another: TypeAlias = Callable[[], Store]


class ContractTests:
    """The fixtures of all contract tests; a subclass, or its module, has a fixture ``place``."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    @pytest.fixture
    def another(self, place: Place, clock: FakeClock) -> Iterator[Another]:
        """Open further handles on the same jobs."""
        opened: list[Store] = []

        def open_one() -> Store:
            opened.append(place.connect(clock=clock))
            return opened[-1]

        yield open_one
        for store in opened:
            store.close()

    @pytest.fixture
    def store(self, another: Another, request: pytest.FixtureRequest) -> Store:
        """Give the store under test; skip what it says it cannot do, which `RefusalContract` tests."""
        store = another()
        needed: Capability = getattr(request.function, "needs", NOTHING)
        if missing := needed & ~store.capabilities:
            pytest.skip(f"the store lacks {missing.name}")
        store.migrate()
        return store


def needs(capability: Capability) -> Callable[[Test], Test]:
    """Say that a test is about something that a store may lack."""

    def mark(test: Test) -> Test:
        vars(test)["needs"] = capability
        return test

    return mark


# -- short words -------------------------------------------------------------------------------------------------------


def job(name: str = "work", args: str = '{"n":1}', **fields: Any) -> NewJob:
    """Make a job that is kept for ever unless told otherwise."""
    kept: dict[str, Any] = {"keep": None, "keep_failed": None}
    return NewJob(name, args, **(kept | fields))


def later(delay: int = HOUR) -> Due:
    """Give a due that is not yet."""
    return Due(delay)


def enqueue(store: Store, *jobs: NewJob) -> list[JobId]:
    """Enqueue in one call; give the ids."""
    return [answer.id for answer in store.run(store.enqueue(jobs, new_call()))]


def enqueue_one(store: Store, name: str = "work", args: str = '{"n":1}', **fields: Any) -> JobId:
    """Enqueue a job; give its id."""
    return enqueue(store, job(name, args, **fields))[0]


def claim(
    store: Store,
    limit: int = 100,
    *,
    queues: Sequence[str] = ("default",),
    names: Sequence[str] = ("work",),
    routes: Sequence[str] = ("",),
    token: Token | None = None,
    worker: str = "worker-1",
    lease: int = LEASE,
) -> list[Claim]:
    """Claim up to ``limit`` jobs of each queue, under a token of their own."""
    demand = dict.fromkeys(queues, limit)
    return store.run(store.claim(demand, names, routes, token or new_token(), worker, lease)).claims


def claim_one(store: Store, **fields: Any) -> Claim:
    """Enqueue a job and claim it; there must be no other available."""
    enqueued = enqueue_one(store, **fields)
    (claimed,) = claim(store, queues=[fields.get("queue", "default")], names=[fields.get("name", "work")])
    assert claimed.id == enqueued
    return claimed


def ending(claim: Claim, state: State, **fields: Any) -> Settlement:
    """Make the settlement of a claim."""
    return Settlement(claim.id, claim.token, state, **fields)


def settle(store: Store, claim: Claim, state: State, **fields: Any) -> Settled:
    """Settle one claim."""
    return store.run(store.settle([ending(claim, state, **fields)]))[claim.id]


def failure(message: str = "no route to host", kind: str = "OSError") -> AttemptFailure:
    """Make the failure of an attempt."""
    return AttemptFailure(1, 0, kind, message, "Traceback …", "worker-1")


def fetch(store: Store, id: JobId) -> StoredJob:
    """Look at a job, which must be there."""
    found = look_up(store, id)
    assert found is not None, f"job {id} is gone"
    return found


def look_up(store: Store, id: JobId) -> StoredJob | None:
    """Look at a job, if it is there; skips the test where the store does not let anybody look."""
    if not store.supports(Capability.FIND):
        pytest.skip("the store lacks FIND, so the test cannot see what happened")
    found = store.run(store.find(Filter(ids=(id,)), 1))
    return found[0] if found else None


def state_of(store: Store, id: JobId) -> State | None:
    """Give a job's state, None when it is gone."""
    found = look_up(store, id)
    return None if found is None else found.state


def kept(store: Store, state: State) -> State | None:
    """Give what is to be seen of a job in a state: without HISTORY nothing of what was completed or cancelled."""
    gone = state in (State.COMPLETED, State.CANCELLED) and not store.supports(Capability.HISTORY)
    return None if gone else state


def job_in(store: Store, state: State, **fields: Any) -> tuple[JobId, Token]:
    """Bring a job into a state; give its id and the token of its last claim, or a fresh one if it had none.

    Its queue must have no available job. Scheduled and retryable ones are due in an hour.
    """
    if state is State.SCHEDULED:
        return enqueue_one(store, due=later(), **fields), new_token()
    if state is State.AVAILABLE:
        return enqueue_one(store, **fields), new_token()
    claimed = claim_one(store, **fields)
    if state is State.RETRYABLE:
        assert settle(store, claimed, state, due=later(), counts="failure", error=failure()) is Settled.ACCEPTED
    elif state is State.COMPLETED:
        assert settle(store, claimed, state, keep=claimed.keep, result="42") is Settled.ACCEPTED
    elif state is not State.RUNNING:
        assert settle(store, claimed, state, keep=claimed.keep_failed, error=failure()) is Settled.ACCEPTED
    return claimed.id, claimed.token


def only(*ids: JobId) -> Filter:
    """Make the filter for some jobs."""
    return Filter(ids=ids)


def everything(store: Store) -> list[StoredJob]:
    """Give all jobs, oldest first."""
    if not store.supports(Capability.FIND):
        pytest.skip("the store lacks FIND, so the test cannot see what happened")
    return store.run(store.find(Filter(), 100_000))[::-1]


def changed(job: NewJob, **fields: Any) -> NewJob:
    """Give a job with other fields."""
    return msgspec.structs.replace(job, **fields)
