"""gocraft's commands and stoker on one Redis: each performs what the other enqueues, and sees what became of it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from stoker import Context, Discard, Snooze, Stoker, Unique, fixed
from stoker.app.moving import Mover, Place
from stoker.core.command import Command, Retry
from stoker.core.filters import EVERYTHING, Filter
from stoker.core.job import State, StoredJob, Token, new_token
from stoker.core.moving import MOVING
from stoker.core.settlement import Settled, Settlement
from stoker.jobs.options import Defaults
from stoker.stores.base import Store
from stoker.stores.memory import MemoryStore
from stoker.stores.walks import Walk
from tests.rigs.gopher import Gopher
from tests.rigs.processes import Processes, processes, until

ONCE = Unique(states=("scheduled", "available"))
MINUTE = 60_000_000


class Shared:
    """An application in the namespace of a Go service, and what its jobs were called with."""

    def __init__(self, url: str, namespace: str) -> None:
        self.app: Stoker[Any] = Stoker(f"gocraft+{url}?namespace={namespace}")
        self.calls: list[Any] = []
        self.go = Gopher(url, namespace, "send", "boom")
        self.app.job(name="send")(self._send)
        self.app.job(name="boom", backoff=fixed("1h"))(self._boom)
        self.app.job(name="curve")(self._curve)
        self.app.job(name="once", max_attempts=1)(self._curve)
        self.app.job(name="later")(self._later)
        self.app.job(name="gives_up")(self._gives_up)

    @property
    def store(self) -> Store:
        return self.app.store()

    def _send(self, ctx: Context[Any], to: str = "", n: int = 0) -> None:
        self.calls.append((to, n, ctx.attempt, ctx.max_attempts))

    def _boom(self, n: int = 0) -> None:
        raise ValueError("it broke: <ü>")

    def _curve(self) -> None:
        raise ValueError("it broke")

    def _later(self) -> None:
        raise Snooze("1h")

    def _gives_up(self) -> None:
        raise Discard("no use")

    def work(self) -> None:
        self.app.work(until_empty=True)


@pytest.fixture
def shared(gocraft_url: str) -> Iterator[Shared]:
    url, _, namespace = gocraft_url.removeprefix("gocraft+").partition("?namespace=")
    scene = Shared(url, namespace)
    yield scene
    scene.app.close()
    scene.go.redis.close()


# -- from Go to Python -------------------------------------------------------------------------------------------------


def test_python_performs_what_go_enqueues_with_its_arguments_by_name(shared: Shared) -> None:
    shared.go.enqueue("send", {"to": "<a@b>", "n": 1234567890123456789})
    shared.go.enqueue("send")
    shared.work()

    assert sorted(shared.calls) == [("", 0, 1, 4), ("<a@b>", 1234567890123456789, 1, 4)]
    assert shared.go.lock("send") == (0, {})
    assert shared.go.in_progress() == []


def test_a_job_that_go_schedules_keeps_its_large_numbers_where_python_moves_it(shared: Shared) -> None:
    shared.go.enqueue_in("send", 0, {"n": 1234567890123456789, "to": "x"})
    shared.store.run(shared.store.promote(10))

    (waiting,) = shared.go.waiting("send")
    assert waiting["args"] == {"n": 1234567890123456789, "to": "x"}
    shared.work()
    assert shared.calls == [("x", 1234567890123456789, 1, 4)]


def test_a_failure_is_put_down_as_gocraft_does(shared: Shared) -> None:
    id = shared.go.enqueue("boom", {"n": 7})
    shared.work()

    ((job, score),) = shared.go.parked("retry")
    assert (job["id"], job["args"], job["fails"], job["err"]) == (id, {"n": 7}, 1, "ValueError: it broke: <ü>")
    assert abs(job["failed_at"] - time.time()) < 30
    assert 3500 < score - time.time() < 4100


def test_without_a_backoff_of_its_own_a_job_waits_on_gocrafts_curve(shared: Shared) -> None:
    shared.go.enqueue("curve")
    before = time.time()
    shared.work()

    ((_, score),) = shared.go.parked("retry")
    assert 16 <= score - before <= 16 + 58 + 30


def test_who_performs_a_job_says_how_often(shared: Shared) -> None:
    shared.go.enqueue("once")
    shared.app.enqueue_by_name("once", {}, max_attempts=2)
    shared.work()

    assert [job["fails"] for which in ("retry", "dead") for job, _ in shared.go.parked(which)] == [1, 1]


def test_go_and_python_count_the_same_failures(shared: Shared) -> None:
    shared.go.enqueue("send", {"to": "a"})
    assert shared.go.fetch()
    shared.go.finish("connection refused")
    assert shared.go.requeue("retry") == "ok"
    shared.work()

    assert shared.calls == [("a", 0, 2, 4)]


def test_a_snooze_waits_in_the_schedule_and_a_discard_among_the_dead(shared: Shared) -> None:
    shared.go.enqueue("later")
    shared.go.enqueue("gives_up")
    shared.work()

    ((later, score),) = shared.go.parked("scheduled")
    assert (later["name"], round(score - time.time(), -2)) == ("later", 3600)
    ((dead, _),) = shared.go.parked("dead")
    assert (dead["name"], dead["err"]) == ("gives_up", "Discard: no use")


def test_what_is_no_job_goes_among_the_dead_as_it_is(shared: Shared) -> None:
    shared.go.redis.lpush(shared.go.key("jobs:send"), "{not json")
    shared.work()

    assert shared.go.redis.zrange(shared.go.key("dead"), 0, -1) == ["{not json"]
    assert shared.go.lock("send")[0] == 0


# -- from Python to Go -------------------------------------------------------------------------------------------------


def test_go_performs_what_python_enqueues(shared: Shared) -> None:
    @shared.app.remote(name="remote", queue="default")
    def remote(to: str, n: int = 2) -> None: ...

    shared.go.names = ("remote",)
    handle = remote.using(max_attempts=4).enqueue("x")
    raw = shared.go.redis.lrange(shared.go.key("jobs:remote"), 0, 0)[0]
    job = shared.go.fetch()

    assert job is not None
    assert raw == f'{{"name":"remote","id":"{handle.id}","t":{job["t"]},"args":{{"to":"x"}}}}'
    assert shared.go.redis.smembers(shared.go.key("known_jobs")) == {"remote"}
    shared.go.finish()
    assert (shared.go.lock("remote")[0], shared.go.in_progress()) == (0, [])


def test_a_delay_ends_at_a_whole_second_never_before_its_time(shared: Shared) -> None:
    before = time.time()
    shared.app.enqueue_by_name("send", {"to": "soon"}, delay="0.3s")
    ((_, score),) = shared.go.parked("scheduled")

    assert before + 0.3 <= score <= time.time() + 1.3
    until(lambda: shared.go.requeue() == "ok")
    job = shared.go.fetch()
    assert job is not None
    assert (job["args"], time.time() >= score) == ({"to": "soon"}, True)


def test_go_fails_a_job_of_python_and_python_goes_on(shared: Shared) -> None:
    shared.app.enqueue_by_name("send", {"to": "a"}, max_attempts=9)
    assert shared.go.fetch()
    shared.go.finish("no")
    shared.store.run(shared.store.promote(10))
    shared.work()

    assert shared.calls == [("a", 0, 2, 4)]


# -- unique jobs -------------------------------------------------------------------------------------------------------


def test_a_unique_job_of_one_side_keeps_out_that_of_the_other(shared: Shared) -> None:
    send = shared.app.performable["send"]
    assert shared.go.enqueue_unique("send", {"to": "<a>", "n": 1})
    held = shared.app.enqueue_by_name("send", {"n": 1, "to": "<a>"}, unique=ONCE)
    other = shared.app.enqueue_by_name("send", {"n": 2, "to": "<a>"}, unique=ONCE)
    assert (held.duplicate, other.duplicate, send.name) == (True, False, "send")
    assert not shared.go.enqueue_unique("send", {"n": 2, "to": "<a>"})
    shared.work()

    assert sorted(shared.calls) == [("<a>", 1, 1, 4), ("<a>", 2, 1, 4)]
    assert shared.go.redis.keys(shared.go.key("unique:*")) == []


def test_go_performs_a_unique_job_of_python_and_frees_its_key(shared: Shared) -> None:
    shared.app.enqueue_by_name("send", {"to": "a"}, unique=ONCE)
    assert shared.go.fetch()
    shared.go.finish()

    assert shared.go.in_progress() == []
    assert not shared.app.enqueue_by_name("send", {"to": "a"}, unique=ONCE).duplicate


def test_python_performs_the_newest_arguments_that_go_gave_a_key_and_leaves_nothing_in_progress(shared: Shared) -> None:
    assert shared.go.enqueue_unique("send", {"to": "a", "n": 1}, by={"to": "a"})
    assert not shared.go.enqueue_unique("send", {"to": "a", "n": 2}, by={"to": "a"})
    shared.work()

    assert shared.calls == [("a", 2, 1, 4)]
    assert shared.go.in_progress() == []


def test_a_unique_job_tried_again_does_not_free_the_key_of_a_newer_one(shared: Shared) -> None:
    shared.go.enqueue_unique("boom", {"n": 1})
    shared.work()
    shared.go.enqueue_unique("boom", {"n": 1})
    ((job, _),) = shared.go.parked("retry")

    assert "unique" not in job
    assert len(shared.go.redis.keys(shared.go.key("unique:*"))) == 1


# -- who may perform ---------------------------------------------------------------------------------------------------


def test_what_go_pauses_python_leaves_alone_and_the_other_way_round(shared: Shared) -> None:
    shared.go.enqueue("send")
    shared.go.redis.set(shared.go.key("jobs:send:paused"), "1")
    shared.work()
    assert (shared.calls, [one.value for one in shared.store.run(shared.store.paused())]) == ([], ["send"])

    assert shared.store.run(shared.store.pause("name", ["send"], False)).count == 1
    shared.store.run(shared.store.pause("name", ["send"], True))
    assert shared.go.fetch() is None
    shared.store.run(shared.store.pause("name", ["send"], False))
    assert shared.go.fetch()


def test_no_more_run_at_once_than_go_allows_over_both(shared: Shared) -> None:
    for _ in range(5):
        shared.go.enqueue("send")
    shared.go.redis.set(shared.go.key("jobs:send:max_concurrency"), "3")
    assert shared.go.fetch()
    claims = claim(shared.store)
    assert len(claims) == 2
    assert (shared.go.fetch(), claim(shared.store)) == (None, [])

    settle(shared.store, claims[:1])
    assert len(claim(shared.store)) == 1
    assert shared.go.lock("send")[0] == 3


# -- who died ----------------------------------------------------------------------------------------------------------


def test_python_puts_back_what_a_dead_go_pool_performed_once(shared: Shared) -> None:
    shared.go.beat(ago=120)
    id = shared.go.enqueue("send", {"to": "left"})
    assert shared.go.fetch()
    reaping = [threading.Thread(target=lambda: shared.store.run(shared.store.reclaim(10))) for _ in range(4)]
    for one in reaping:
        one.start()
    for one in reaping:
        one.join()

    assert [job["id"] for job in shared.go.waiting("send")] == [id]
    assert (shared.go.lock("send"), shared.go.pools()) == ((0, {}), [])


def test_python_leaves_a_living_go_pool_alone(shared: Shared) -> None:
    shared.go.beat()
    shared.go.enqueue("send")
    assert shared.go.fetch()
    shared.store.run(shared.store.reclaim(10))

    assert (shared.go.waiting("send"), shared.go.lock("send")[0], len(shared.go.pools())) == ([], 1, 1)


def test_what_go_took_back_from_a_frozen_worker_is_ended_by_who_performs_it_now(shared: Shared) -> None:
    shared.go.enqueue("send")
    (frozen,) = claim(shared.store)
    (pool,) = shared.go.redis.smembers(shared.go.key("worker_pools"))
    shared.go.redis.hset(shared.go.key(f"worker_pools:{pool}"), "heartbeat_at", 1)
    assert shared.go.reap() == [pool]
    assert shared.go.fetch()

    assert settle(shared.store, [frozen]) == [Settled.LOST]
    assert (shared.go.lock("send")[0], len(shared.go.in_progress())) == (1, 1)


def test_the_doctor_names_a_pool_that_would_bury_jobs_of_python(shared: Shared) -> None:
    shared.app.enqueue_by_name("curve", {})
    assert [found.level for found in shared.store.examine() if "Go pool" in found.subject] == ["ok"]
    shared.go.beat()

    (found,) = [found for found in shared.store.examine() if found.subject == "Go pool"]
    assert (found.level, shared.go.pool in found.text, "curve" in found.text) == ("warn", True, True)
    shared.app.enqueue_by_name("curve", {}, delay="0.001s")
    until(lambda: shared.go.requeue() == "dead")
    assert shared.go.parked("dead")[0][0]["err"] == "unknown job when requeueing"


# -- moving away -------------------------------------------------------------------------------------------------------


def test_what_waits_in_go_leaves_for_another_store_and_frees_its_keys(shared: Shared) -> None:
    shared.go.redis.set(shared.go.key("jobs:send:max_concurrency"), "1")
    shared.go.enqueue("send", {"to": "a", "n": 1234567890123456789})
    shared.go.enqueue_in("send", 3600, {"to": "b"})
    assert shared.go.enqueue_unique("send", {"to": "c", "n": 1}, by={"to": "c"})
    assert not shared.go.enqueue_unique("send", {"to": "c", "n": 2}, by={"to": "c"})
    token = new_token()
    hold = shared.store.hold(Filter(), 10, token, f"{MOVING}elsewhere")
    held = shared.store.run(hold)

    assert [json.loads(one.args)["n"] for one in held if one.name == "send" and "n" in one.args] == [
        1234567890123456789,
        2,
    ]
    assert {one.state for one in held} == {State.AVAILABLE, State.SCHEDULED}
    assert shared.go.redis.keys(shared.go.key("unique:*")) == []
    assert (shared.go.fetch(), shared.go.reap(), shared.store.run(hold)) == (None, [], held)
    assert [one.jobs for one in shared.store.run(shared.store.holds())] == [3]

    endings = [Settlement(one.id, token, State.COMPLETED, keep=0) for one in held]
    assert set(shared.store.run(shared.store.settle(endings)).values()) == {Settled.ACCEPTED}
    assert (shared.store.run(shared.store.holds()), shared.go.in_progress(), shared.go.lock("send")[0]) == ([], [], 0)


def test_a_hold_whose_answer_is_lost_has_freed_its_keys_and_shows_the_newest_arguments(shared: Shared) -> None:
    assert shared.go.enqueue_unique("send", {"to": "c", "n": 1}, by={"to": "c"})
    assert not shared.go.enqueue_unique("send", {"to": "c", "n": 2}, by={"to": "c"})
    token = new_token()
    hold = shared.store.hold(Filter(), 10, token, f"{MOVING}elsewhere")
    killed_after(hold, "hold", shared.store)

    assert shared.go.redis.keys(shared.go.key("unique:*")) == []
    (held,) = shared.store.run(hold)
    assert json.loads(held.args) == {"to": "c", "n": 2}
    assert let_go(shared.store, held, token) is Settled.ACCEPTED
    assert shared.go.in_progress() == []


def test_going_on_with_a_hold_leaves_alone_the_key_that_a_newer_job_took(shared: Shared) -> None:
    shared.go.enqueue_unique("send", {"to": "c", "n": 1}, by={"to": "c"})
    hold = shared.store.hold(Filter(), 10, new_token(), f"{MOVING}elsewhere")
    first = shared.store.run(hold)
    assert shared.go.enqueue_unique("send", {"to": "c", "n": 2}, by={"to": "c"})
    shared.go.enqueue_unique("send", {"to": "c", "n": 3}, by={"to": "c"})

    assert shared.store.run(hold) == first
    performed = shared.go.fetch()
    assert performed is not None
    assert performed["args"]["n"] == 3


def test_a_hold_sent_again_after_another_mover_finished_it_takes_nothing(shared: Shared) -> None:
    shared.go.enqueue("send", {"to": "a"})
    token = new_token()
    hold = shared.store.hold(Filter(), 10, token, f"{MOVING}elsewhere")
    (held,) = shared.store.run(hold)
    assert let_go(shared.store, held, token) is Settled.ACCEPTED
    shared.go.enqueue("send", {"to": "b"})

    assert shared.store.run(hold) == []
    assert [job["args"]["to"] for job in shared.go.waiting("send")] == ["b"]


@pytest.mark.parametrize(
    ("name", "failures", "attempts"), [("curve", 5, 20), ("once", 0, 1), ("once", 3, 4), ("gone", 0, 4), ("gone", 7, 8)]
)
def test_who_moves_a_job_of_go_says_how_often_and_at_least_once_more(
    shared: Shared, name: str, failures: int, attempts: int
) -> None:
    job = {"name": name, "id": "a", "t": 1_700_000_000, "args": {}, "fails": failures}
    shared.go.redis.zadd(shared.go.key("retry"), {json.dumps(job): 4_000_000_000})
    new = MemoryStore()
    old = Place(shared.store, "legacy", "gocraft")
    Mover(old, Place(new, "default", "memory"), shared.app.performable, Defaults(attempts_in={"legacy": 4})).move(
        EVERYTHING, None
    )

    (moved,) = new.run(new.find(EVERYTHING, 10))
    assert (moved.failures, moved.max_attempts) == (failures, attempts)


def killed_after(command: Command[Any], script: str, store: Store) -> None:
    """Carry out the scripts of a command up to one, whose answer nobody hears."""
    begin = cast("Walk[Any]", command).course
    assert begin is not None
    course = begin()
    step = next(course)
    while True:
        answer = store.run(Command("step", (step,), lambda reply: reply, Retry.SAFE))
        if step.name == script:
            return
        step = course.send(answer)


def let_go(store: Store, held: StoredJob, token: Token) -> Settled:
    """Say that a held job has arrived."""
    return store.run(store.settle([Settlement(held.id, token, State.COMPLETED, keep=0)]))[held.id]


# -- who is there ------------------------------------------------------------------------------------------------------

WORKER = "tests.integration.apps.beside_go"


@pytest.fixture
def crew(gocraft_url: str, tmp_path: Path) -> Iterator[Processes]:
    with processes(tmp_path, BESIDE_URL=gocraft_url, STOKER_WORKERS__LEASE="2s") as started:
        yield started


def test_go_sees_a_python_worker_and_its_work_and_no_job_is_lost_when_it_is_killed(
    shared: Shared, crew: Processes
) -> None:
    go = shared.go
    first = crew.start(WORKER)
    for n in range(3):
        go.enqueue("long", {"n": n})
    until(lambda: go.redis.llen(go.key("began")) == 3, 30)
    until(lambda: len(go.observations()) == 3, 20)
    (said,) = go.pools()
    assert (said["job_names"], said["pid"]) == ("long", str(first.pid))
    assert sorted(json.loads(seen["args"])["n"] for seen in go.observations()) == [0, 1, 2]
    assert {seen["job_name"] for seen in go.observations()} == {"long"}
    go.names = ("other",)
    go.beat()
    known = {worker.host: worker.names for worker in shared.store.run(shared.store.workers())}
    assert known.pop("go") == ("other",)
    assert list(known.values()) == [("long",)]

    first.kill()
    go.redis.set(go.key("go"), 1)
    second = crew.start(WORKER)
    until(lambda: go.redis.llen(go.key("ended")) == 3, 40)
    assert sorted(go.redis.lrange(go.key("ended"), 0, -1)) == ["0", "1", "2"]
    until(lambda: go.lock("long")[0] == 0, 20)
    second.terminate()
    assert second.wait(30) == 0
    assert (go.waiting("long"), go.in_progress()) == ([], [])


def claim(store: Store) -> list[Any]:
    return store.run(store.claim({"default": 10}, ["send"], [""], new_token(), "host-1-a", MINUTE)).claims


def settle(store: Store, claims: list[Any]) -> list[Settled]:
    endings = [Settlement(one.id, one.token, State.COMPLETED) for one in claims]
    return list(store.run(store.settle(endings)).values())
