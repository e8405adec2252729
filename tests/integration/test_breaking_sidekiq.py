"""What nobody should put into Sidekiq's keys, and workers and servers that die, between any two steps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stoker import Stoker
from stoker.core.command import Command, Retry
from stoker.core.duration import SECOND
from stoker.core.filters import Filter
from stoker.core.job import AttemptFailure, Claim, Due, NewJob, State, new_call, new_token
from stoker.core.settlement import Settled, Settlement
from stoker.errors import StoreUnavailable
from stoker.stores.sidekiq import SidekiqStore
from stoker.stores.walks import Walk
from stoker.testing.fake_clock import FakeClock
from tests.rigs.processes import processes, until
from tests.rigs.valkey import Valkey

LEASE = 30 * SECOND
NO_JOBS = {
    "nothing": b"",
    "no JSON": b"{not json",
    "no text": b"\xff\xfe\x00",
    "a text": b'"PyJob"',
    "a list": b"[]",
    "null": b"null",
    "no arguments": b'{"class":"PyJob","jid":"1"}',
    "no class": b'{"args":[],"jid":"2"}',
    "a class that is a number": b'{"class":7,"args":[],"jid":"3"}',
    "arguments that are a hash": b'{"class":"PyJob","args":{"n":1},"jid":"4"}',
    "a jid that is a number": b'{"class":"PyJob","args":[],"jid":5}',
    "times that are words": b'{"class":"PyJob","args":[],"jid":"6","created_at":"now"}',
    "our own key as a number": b'{"class":"PyJob","args":[],"jid":"7","stoker":1}',
    "half of a job of ours": b'{"class":"PyJob","jid":"8","queue":"python","args":[',
    "deeper than anybody reads": b'{"class":"PyJob","args":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@pytest.fixture
def performed() -> list[Any]:
    return []


@pytest.fixture
def app(own_redis: Valkey, performed: list[Any]) -> Iterator[Stoker[Any]]:
    made: Stoker[Any] = Stoker(f"sidekiq+{own_redis.url}")
    made.job(name="PyJob", queue="python")(lambda n=0: performed.append(n))
    made.job(name="PyFails", queue="python")(broken)
    yield made
    made.close()


def broken(*_: Any) -> None:
    raise ValueError("it broke")


# -- what is no job ----------------------------------------------------------------------------------------------------


def test_what_is_no_job_is_buried_as_it_is_and_the_jobs_around_it_run(
    app: Stoker[Any], own_redis: Valkey, performed: list[Any]
) -> None:
    with own_redis.client() as client:
        client.sadd("queues", "python")
        app.enqueue_by_name("PyJob", [1])
        client.lpush("queue:python", *NO_JOBS.values())
        app.enqueue_by_name("PyJob", [2])
        app.work(until_empty=True)

        assert sorted(performed) == [1, 2]
        assert set(client.zrange("dead", 0, -1)) == set(NO_JOBS.values())
        assert (client.llen("queue:python"), client.keys("stoker:held:*"), client.zcard("stoker:leases")) == (0, [], 0)


@pytest.mark.parametrize("place", ["schedule", "retry"])
def test_what_is_no_job_does_not_stop_what_is_due_behind_it(
    app: Stoker[Any], own_redis: Valkey, performed: list[Any], place: str
) -> None:
    with own_redis.client() as client:
        client.zadd(place, {text: 1 + n for n, text in enumerate(NO_JOBS.values())})
        client.zadd(place, {'{"class":"PyJob","args":[3],"queue":"python","jid":"a"}': 1000})
        app.store().run(app.store().promote(100))
        app.work(until_empty=True)

        assert performed == [3]
        assert set(client.zrange("dead", 0, -1)) == set(NO_JOBS.values())


def test_what_is_no_job_can_be_looked_at_and_deleted(app: Stoker[Any], own_redis: Valkey) -> None:
    operations = app.operations()
    with own_redis.client() as client:
        client.sadd("queues", "python")
        client.lpush("queue:python", *NO_JOBS.values())
        client.zadd("dead", {b"{torn": 1})
        found = operations.find(Filter(), 100)

        assert len(found) == len(NO_JOBS) + 1
        assert "{torn" in {json.loads(job.args) for job in found if not job.name}
        assert [count.state for count in operations.counts()].count(State.DISCARDED) == 1
        assert operations.delete(Filter(ids=tuple(job.id for job in found))) == len(found)
        assert (client.llen("queue:python"), client.zcard("dead")) == (0, 0)


def test_a_job_of_five_megabytes_runs_and_may_fail(app: Stoker[Any], own_redis: Valkey, performed: list[Any]) -> None:
    with own_redis.client() as client:
        client.sadd("queues", "python")
        huge = "x" * 5_000_000
        client.lpush("queue:python", json.dumps({"class": "PyJob", "args": [huge], "jid": "huge", "retry": 3}))
        client.lpush("queue:python", json.dumps({"class": "PyFails", "args": [huge], "jid": "two", "retry": 0}))
        app.work(until_empty=True)

        assert [len(n) for n in performed] == [5_000_000]
        (dead,) = client.zrange("dead", 0, -1)
        assert (json.loads(dead)["jid"], json.loads(dead)["args"]) == ("two", [huge])


def test_a_job_that_is_there_twice_runs_twice(app: Stoker[Any], own_redis: Valkey, performed: list[Any]) -> None:
    with own_redis.client() as client:
        client.sadd("queues", "python")
        client.lpush("queue:python", *['{"class":"PyJob","args":[4],"jid":"same"}'] * 2)
        app.work(until_empty=True)

    assert performed == [4, 4]


# -- killed between any two steps --------------------------------------------------------------------------------------


class Bench:
    """A store under a clock that stands still, with one job at a time."""

    def __init__(self, url: str) -> None:
        self.clock = FakeClock()
        self.store = SidekiqStore(url, clock=self.clock)

    def enqueue(self, **fields: Any) -> None:
        self.store.run(self.store.enqueue([NewJob("work", "[1]", **fields)], new_call()))

    def claim(self) -> list[Claim]:
        return self.store.run(self.store.claim({"default": 9}, ["work"], [""], new_token(), "w", LEASE)).claims

    def cut(self, command: Command[Any], after: int) -> bool:
        """Die after so many scripts of a command; tell whether it had more."""
        assert isinstance(command, Walk)
        assert command.course is not None
        course = command.course()
        try:
            script = next(course)
            for _ in range(after):
                script = course.send(self.store._driver.run(script, command.retry, command.name))
        except StopIteration:
            return False
        course.close()
        return True

    def copies(self) -> int:
        """Count how often the job lies anywhere."""
        return len(self.store.run(self.store.find(Filter(), 100)))

    def recover(self) -> list[Claim]:
        """Let everything lapse and come due, and take what is there."""
        self.clock.advance("2h")
        for _ in range(2):
            self.store.run(self.store.reclaim(100))
            self.store.run(self.store.promote(100))
        return self.claim()


@pytest.fixture
def bench(sidekiq_url: str) -> Iterator[Bench]:
    made = Bench(sidekiq_url)
    yield made
    made.store.close()


def _settled(bench: Bench, state: State) -> Command[Any]:
    (claim,) = bench.claim()
    error = AttemptFailure(1, 0, "OSError", "no route")
    ending = Settlement(claim.id, claim.token, state, due=Due(LEASE), counts="failure", error=error)
    return bench.store.settle([ending])


def _lapsed(bench: Bench) -> Command[Any]:
    bench.claim()
    bench.clock.advance("31s")
    return bench.store.reclaim(10)


def _due(bench: Bench) -> Command[Any]:
    store = bench.store
    store.run(_settled(bench, State.RETRYABLE))
    bench.clock.advance("31s")
    return store.promote(10)


def _for_later(bench: Bench, verb: str) -> Command[Any]:
    bench.store.run(_settled(bench, State.RETRYABLE))
    command: Command[Any] = getattr(bench.store, verb)(Filter(), 10)
    return command


def _requeued(bench: Bench) -> Command[Any]:
    bench.claim()
    return bench.store.requeue(Filter(), 10, force=True)


PHASES: dict[str, Callable[[Bench], Command[Any]]] = {
    "retryable": lambda bench: _settled(bench, State.RETRYABLE),
    "given back": lambda bench: _settled(bench, State.AVAILABLE),
    "reclaim": _lapsed,
    "promote": _due,
    "retry": lambda bench: _for_later(bench, "retry"),
    "promote_now": lambda bench: _for_later(bench, "promote_now"),
    "requeue": _requeued,
}


@pytest.mark.parametrize("phase", PHASES)
def test_whoever_dies_between_two_steps_leaves_the_job_in_one_place(bench: Bench, phase: str) -> None:
    steps = 0
    went_on = True
    while went_on:
        bench.enqueue()
        went_on = bench.cut(PHASES[phase](bench), steps)
        assert bench.copies() == 1, f"after {steps} steps"
        (claim,) = bench.recover()
        bench.store.run(bench.store.settle([Settlement(claim.id, claim.token, State.COMPLETED)]))
        assert bench.copies() == 0
        steps += 1
    assert steps > 2


def test_of_two_that_recover_the_same_orphan_one_does(bench: Bench) -> None:
    bench.enqueue()
    bench.claim()
    bench.clock.advance("31s")
    courses = [command.course() for command in (bench.store.reclaim(10), bench.store.reclaim(10))]  # type: ignore[attr-defined]
    scripts = [next(course) for course in courses]
    answers: list[Any] = [None, None]
    while None in answers:
        for place, course in enumerate(courses):
            if answers[place] is None:
                try:
                    scripts[place] = course.send(bench.store._driver.run(scripts[place], Retry.SAFE, "reclaim"))
                except StopIteration as end:
                    answers[place] = end.value

    assert sorted(len(answer.available) for answer in answers) == [0, 1]
    (claim,) = bench.claim()
    assert (claim.crashes, bench.copies()) == (1, 1)


def test_a_frozen_worker_that_comes_back_has_lost_its_jobs(bench: Bench) -> None:
    bench.enqueue()
    (lost,) = bench.claim()
    bench.clock.advance("31s")
    bench.store.run(bench.store.reclaim(10))
    (held,) = bench.claim()

    def end(claim: Claim) -> Settled:
        return bench.store.run(bench.store.settle([Settlement(claim.id, claim.token, State.COMPLETED)]))[claim.id]

    assert (end(lost), end(held), bench.copies()) == (Settled.LOST, Settled.ACCEPTED, 0)


# -- workers and servers that die --------------------------------------------------------------------------------------


@pytest.mark.timeout(120)
def test_killed_workers_and_a_killed_server_lose_no_job(tmp_path: Path) -> None:
    server = Valkey(appendonly="yes", appendfsync="always").start()
    url, ledger = f"sidekiq+{server.url}", tmp_path / "ledger"
    store = SidekiqStore(url)

    def reached() -> int:
        return len(ledger.read_text().splitlines()) if ledger.exists() else 0

    def finished() -> bool:
        try:
            return store.run(store.count()) == []
        except StoreUnavailable:
            return False

    try:
        with processes(tmp_path, LEDGER_URL=url, LEDGER=str(ledger)) as started:
            jobs = [NewJob("note", f'{{"n":{n}}}', max_attempts=1) for n in range(1000)]
            store.run(store.enqueue(jobs, new_call()))
            first = started.start("tests.integration.apps.ledger")
            until(lambda: reached() > 100, 30)
            first.kill()
            started.start("tests.integration.apps.ledger")
            goal = reached() + 100
            until(lambda: reached() > goal, 30)
            server.kill()
            server.start()
            until(finished, 60, "all jobs ended")
        assert {int(line) for line in ledger.read_text().splitlines()} == set(range(1000))
        with server.client() as client:
            assert (client.zcard("dead"), client.keys("stoker:held:*"), client.hlen("stoker:busy")) == (0, [], 0)
    finally:
        store.close()
        server.remove()


@pytest.mark.timeout(60)
def test_jobs_are_deleted_from_the_middle_of_a_list_while_others_push_and_take(sidekiq_url: str) -> None:
    store, other = SidekiqStore(sidekiq_url), SidekiqStore(sidekiq_url)
    taken: list[str] = []

    def stir(command: Command[Any]) -> Any:
        """Run a command, and between any two of its scripts enqueue a job and take another away."""
        assert isinstance(command, Walk)
        assert command.course is not None
        course = command.course()
        try:
            script = next(course)
            while True:
                answer = store._driver.run(script, command.retry, command.name)
                other.run(other.enqueue([NewJob("new", "[0]")], new_call()))
                claims = other.run(other.claim({"default": 1}, ["stays", "goes"], [""], new_token(), "w", LEASE)).claims
                taken.extend(claim.name for claim in claims)
                script = course.send(answer)
        except StopIteration as end:
            return end.value

    names = ["goes" if n % 3 else "stays" for n in range(900)]
    store.run(store.enqueue([NewJob(name, f"[{n}]") for n, name in enumerate(names)], new_call()))
    deleted, more = 0, True
    while more:
        changed = stir(store.delete(Filter(names=("goes",)), 100))
        deleted, more = deleted + changed.count, changed.more

    left = [job.name for job in store.run(store.find(Filter(states=(State.AVAILABLE,)), 5000))]
    assert left.count("goes") == 0
    assert deleted == 600 - taken.count("goes")
    assert left.count("stays") == 300 - taken.count("stays")
    store.close()
    other.close()


def test_the_next_batch_also_sees_what_came_before_the_place_where_the_last_one_ended(bench: Bench) -> None:
    store = bench.store
    store.run(store.enqueue([NewJob("work", f"[{n}]") for n in range(5)], new_call()))
    assert store.run(store.delete(Filter(), 3)).more
    store.run(store.enqueue([NewJob("work", "[5]")], new_call()))
    last = store.run(store.delete(Filter(), 3))

    assert (last.count, last.more, bench.copies()) == (3, False, 0)
