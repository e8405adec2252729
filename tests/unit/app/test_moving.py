"""Jobs are moved from one store to another: none is lost and none is there twice, wherever the mover dies."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TypeVar

import pytest

from stoker.app.moving import Moved, Mover, Place
from stoker.core.capability import Capability
from stoker.core.command import Command
from stoker.core.filters import EVERYTHING, Filter
from stoker.core.job import WAITING, Due, State, new_token
from stoker.core.moving import MOVING
from stoker.core.settlement import Settled, Settlement
from stoker.core.unique import UniqueKey
from stoker.errors import ConfigurationError, NotSupported
from stoker.stores.base import Store
from stoker.stores.memory import MemoryStore
from stoker.testing.contract.base import claim, enqueue, everything, failure, job, settle
from stoker.testing.fake_clock import FakeClock

T = TypeVar("T")
HOUR = 3600 * 1_000_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class Killed(BaseException):
    """The process is gone: nothing is tidied up."""


class Mortal(MemoryStore):
    """A store whose caller dies at a command: before it is carried out, or when it is, before the answer."""

    deaths: list[int]
    commands = itertools.count()

    def run(self, command: Command[T], on: object | None = None) -> T:
        number = next(self.commands)
        if 2 * number in self.deaths:
            raise Killed
        answer = super().run(command, on)
        if 2 * number + 1 in self.deaths:
            raise Killed
        return answer


def two(clock: FakeClock, *deaths: int) -> tuple[Mortal, Mortal]:
    source, target = Mortal(clock), Mortal(clock, "memory://new")
    source.deaths = target.deaths = list(deaths)
    source.commands = target.commands = itertools.count()
    return source, target


def mover(source: Store, target: Store) -> Mover:
    return Mover(Place(source, "legacy", "memory://old"), Place(target, "default", "memory://new"))


def alive(store: Mortal) -> None:
    store.deaths.clear()


def numbers(store: Store) -> Counter[str]:
    return Counter(one.args for one in everything(store) if one.state in WAITING)


def fill(source: Store, clock: FakeClock) -> Counter[str]:
    """Put jobs of all kinds into a store, one of them with a failed attempt behind it."""
    enqueue(source, job(args="0"))
    (tried,) = claim(source)
    settle(source, tried, State.RETRYABLE, due=Due(HOUR), counts="failure", error=failure())
    enqueue(source, *[job(args=str(number), due=Due(HOUR * (number % 2))) for number in range(1, 5)])
    return numbers(source)


def test_everything_that_waits_is_moved_as_it_stands(clock: FakeClock) -> None:
    source, target = two(clock)
    before = fill(source, clock)
    times = sorted(one.run_at for one in everything(source))

    assert mover(source, target).move(EVERYTHING, None) == Moved(5)
    assert everything(source) == []
    assert numbers(target) == before
    assert sorted(one.run_at for one in everything(target)) == times
    assert [(one.state, one.failures, one.starts) for one in everything(target) if one.args == "0"] == [
        (State.RETRYABLE, 1, 1)
    ]


@pytest.mark.parametrize("first", range(26))
def test_killed_at_any_command_and_run_again_nothing_is_lost_or_doubled(clock: FakeClock, first: int) -> None:
    for second in range(26):
        source, target = two(clock, first)
        before = fill_quietly(source, clock)
        for deaths in ([first], [second]):
            source.deaths[:] = deaths
            source.commands = target.commands = itertools.count()
            try:
                mover(source, target).move(EVERYTHING, None)
            except Killed:
                clock.advance("30d")  # nobody comes for a month, and the stores tidy up
                alive(source)
                for store in (source, target):
                    store.run(store.reclaim(100))
                    store.run(store.prune(1000))
        alive(source)
        mover(source, target).move(EVERYTHING, None)
        assert numbers(target) == before
        assert everything(source) == []


def fill_quietly(source: Mortal, clock: FakeClock) -> Counter[str]:
    deaths = list(source.deaths)
    alive(source)
    before = fill(source, clock)
    source.deaths[:] = deaths
    source.commands = itertools.count()
    return before


@pytest.mark.parametrize("death", range(8, 18))
def test_workers_on_both_sides_perform_each_job_once_wherever_the_mover_dies(clock: FakeClock, death: int) -> None:
    source, target = two(clock)
    enqueue(source, *[job(args=str(number)) for number in range(6)])
    performed: Counter[str] = Counter()

    def work() -> None:
        for store in (source, target):
            for claimed in claim(store, 1):
                performed[claimed.args] += 1
                assert settle(store, claimed, State.COMPLETED, keep=0) is Settled.ACCEPTED

    work()
    source.commands = target.commands = itertools.count()
    source.deaths[:] = [death]
    with pytest.raises(Killed):
        mover(source, target).move(EVERYTHING, None)
    alive(source)
    for _ in range(10):
        work()
    mover(source, target).move(EVERYTHING, None)
    for _ in range(10):
        work()
    assert performed == Counter(str(number) for number in range(6))


def test_two_movers_at_once_move_each_job_once(clock: FakeClock) -> None:
    source, target = two(clock)
    before = fill(source, clock)
    token = new_token()
    held = source.run(source.hold(EVERYTHING, 3, token, f"{MOVING}memory://new"))
    (hold,) = source.run(source.holds())
    assert mover(source, target).move(EVERYTHING, None).resumed == len(held)

    mover(source, target)._deliver(hold, held, Moved(), resumed=False)
    assert numbers(target) == before


def test_a_hold_that_arrives_again_when_another_mover_has_finished_it_loses_nothing(clock: FakeClock) -> None:
    class Repeating(Mortal):
        def run(self, command: Command[T], on: object | None = None) -> T:
            answer = super().run(command, on)
            if command.name == "hold" and not done:
                done.append(True)
                mover(self, target).move(Filter(names=("nothing",)), None)
                clock.advance("1s")
                enqueue(self, job(args="6"), job(args="7"))
                return super().run(command, on)
            return answer

    done: list[bool] = []
    _, target = two(clock)
    source = Repeating(clock)
    source.deaths, source.commands = [], itertools.count()
    before = fill_quietly(source, clock)

    mover(source, target).move(EVERYTHING, None)
    assert numbers(target) == before + Counter(["6", "7"])
    assert everything(source) == []


def test_only_what_a_filter_asks_for_moves_and_no_more_than_a_limit(clock: FakeClock) -> None:
    source, target = two(clock)
    enqueue(source, *[job(queue="mail")] * 5, job())

    assert mover(source, target).move(Filter(queues=("mail",)), 3).moved == 3
    assert [len(everything(store)) for store in (source, target)] == [3, 3]


def test_a_move_to_another_store_than_that_of_the_unfinished_one_is_refused(clock: FakeClock) -> None:
    source, target = two(clock)
    enqueue(source, job())
    source.run(source.hold(EVERYTHING, 1, new_token(), f"{MOVING}sqlite:///other.db"))

    with pytest.raises(ConfigurationError, match=r"1 jobs are on their way from legacy to sqlite:///other.db"):
        mover(source, target).move(EVERYTHING, None)


def test_two_urls_of_one_store_are_told_apart_before_anything_moves(clock: FakeClock) -> None:
    source, _ = two(clock)
    enqueue(source, job())

    with pytest.raises(ConfigurationError, match="legacy and default are the same store"):
        mover(source, source)
    other = MemoryStore(clock)
    other._contents, other._lock = source._contents, source._lock
    with pytest.raises(ConfigurationError, match="legacy and default are the same store"):
        mover(source, other).move(EVERYTHING, None)
    assert len(claim(source)) == 1


@pytest.mark.parametrize(("end", "flag"), [("legacy", Capability.HOLD), ("default", Capability.RECEIVE)])
def test_what_a_store_lacks_is_named_before_anything_moves(clock: FakeClock, end: str, flag: Capability) -> None:
    class Lacking(MemoryStore):
        capabilities = MemoryStore.capabilities & ~flag

    places = {"legacy": MemoryStore(clock), "default": MemoryStore(clock)} | {end: Lacking(clock)}
    with pytest.raises(NotSupported, match=rf"{end} .* lacks {flag.name}; let workers empty it"):
        mover(places["legacy"], places["default"])


def test_a_key_that_the_new_store_has_is_counted(clock: FakeClock) -> None:
    source, target = two(clock)
    for store in (source, target):
        enqueue(store, job(unique=UniqueKey("k")))

    done = mover(source, target).move(EVERYTHING, None)
    assert (done.moved, done.duplicates) == (1, 1)
    assert len(everything(target)) == 1


def test_what_is_taken_back_by_force_is_said(clock: FakeClock) -> None:
    source, target = two(clock)
    enqueue(source, job(), job())
    token = new_token()
    first, _ = source.run(source.hold(EVERYTHING, 2, token, f"{MOVING}memory://new"))
    moving = mover(source, target)
    target_run = target.run

    def take_back(command: Command[T], on: object | None = None) -> T:
        if command.name == "receive":
            source.run(source.requeue(Filter(ids=(first.id,)), 1, force=True))
        return target_run(command, on)

    target.run = take_back  # type: ignore[method-assign]
    done = moving.move(Filter(names=("none",)), None)
    assert (done.moved, done.taken_back) == (1, 1)


def test_arguments_too_large_for_one_call_move_job_by_job(clock: FakeClock) -> None:
    source, target = two(clock)
    for _ in range(3):
        enqueue(source, *[job(args=f'"{"x" * 4_000_000}"')] * 2)

    assert mover(source, target).move(EVERYTHING, None).moved == 6
    assert len(everything(target)) == 6


def test_a_hold_that_was_let_go_in_part_is_finished(clock: FakeClock) -> None:
    source, target = two(clock)
    enqueue(source, job(args="1"), job(args="2"))
    token = new_token()
    first, _ = source.run(source.hold(EVERYTHING, 2, token, f"{MOVING}memory://new"))
    source.run(source.settle([Settlement(first.id, token, State.COMPLETED, keep=0)]))

    assert mover(source, target).move(EVERYTHING, None).moved == 1
    assert numbers(target) == Counter({"2": 1})
