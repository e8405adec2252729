"""Ruby's Sidekiq and stoker on the same Redis: each performs what the other enqueues, and sees what became of it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stoker import Context, Discard, Snooze, Stoker, fixed
from tests.rigs.processes import Processes, processes, until
from tests.rigs.ruby import Ruby
from tests.rigs.valkey import Valkey


class Shared:
    """An application on the server that Ruby uses, and what its jobs were called with."""

    def __init__(self, server: Valkey) -> None:
        self.app: Stoker[Any] = Stoker(f"sidekiq+{server.url}")
        self.redis = server.client()
        self.calls: list[Any] = []
        self.app.job(name="PyJob", queue="python")(self._pyjob)
        self.app.job(name="PyMeta", queue="python")(self._pymeta)
        self.app.job(name="PyFails", queue="python", backoff=fixed("1h"))(self._pyfails)
        self.app.job(name="PyLater", queue="python")(self._pylater)
        self.app.job(name="PyGivesUp", queue="python")(self._pygivesup)

    def _pyjob(self, n: int, options: dict[str, Any] | None = None, *rest: Any) -> None:
        self.calls.append((n, options, *rest))

    def _pymeta(self, ctx: Context[Any]) -> None:
        self.calls.append((dict(ctx.meta), ctx.attempt, ctx.max_attempts))

    def _pyfails(self, *_: Any) -> None:
        raise ValueError("it broke: ü")

    def _pylater(self) -> None:
        raise Snooze("1h")

    def _pygivesup(self) -> None:
        raise Discard("no use")

    def work(self) -> None:
        self.app.work(until_empty=True)

    def waiting(self, key: str) -> list[Any]:
        return [json.loads(text) for text in self.redis.lrange(key, 0, -1)]

    def parked(self, key: str) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.redis.zrange(key, 0, -1)]


@pytest.fixture
def shared(own_redis: Valkey, ruby: Ruby) -> Iterator[Shared]:
    scene = Shared(own_redis)
    yield scene
    scene.app.close()
    scene.redis.close()


# -- from Ruby to Python -----------------------------------------------------------------------------------------------


def test_python_performs_what_ruby_enqueues_with_arguments_by_position(shared: Shared, ruby: Ruby) -> None:
    ruby.push("PyJob", 123456789012345678901234567890, {"k": ["ü", None, 1.0]}, [], retry=2)
    shared.work()

    assert shared.calls == [(123456789012345678901234567890, {"k": ["ü", None, 1.0]}, [])]
    assert ruby.run("[Sidekiq::Queue.new('python').size, Sidekiq::Stats.new.processed]") == [0, 1]
    assert ruby.run("Sidekiq::Stats::History.new(1).then { |day| [day.processed.values, day.failed.values] }") == [
        [1],
        [0],
    ]


def test_a_job_that_ruby_schedules_runs_when_it_is_due_and_not_earlier(shared: Shared, ruby: Ruby) -> None:
    ruby.push("PyJob", 1, at=time.time() + 3600)
    shared.work()
    assert shared.calls == []
    (job,) = shared.redis.zrange("schedule", 0, -1)
    shared.redis.zadd("schedule", {job: time.time()})
    shared.app.store().run(shared.app.store().promote(10))
    shared.work()

    assert shared.calls == [(1, None)]


def test_what_stoker_does_not_know_of_a_job_arrives_as_meta(shared: Shared, ruby: Ruby) -> None:
    ruby.push("PyMeta", retry=4, cattr={"tenant": 7}, locale="de")
    shared.work()

    assert shared.calls == [({"sidekiq": {"cattr": {"tenant": 7}, "locale": "de"}}, 1, 5)]


def test_a_failure_is_put_down_as_sidekiq_does_and_other_keys_stay_as_they_were(shared: Shared, ruby: Ruby) -> None:
    jid = ruby.push("PyFails", 12345678901234567890, retry=3, backtrace=2, cattr={"b": 1, "a": []}, retry_queue="low")
    shared.work()

    (job,) = shared.parked("retry")
    assert (job["jid"], job["args"], job["cattr"]) == (jid, [12345678901234567890], {"b": 1, "a": []})
    assert (job["queue"], job["retry"], job["retry_count"]) == ("low", 3, 0)
    assert (job["error_class"], job["error_message"]) == ("ValueError", "it broke: ü")
    (seen,) = ruby.run(
        "Sidekiq::RetrySet.new.map { |j| [j.klass, j.error_backtrace.size, (j.at - Time.now).between?(3500, 4000)] }"
    )
    assert seen == ["PyFails", 2, True]
    assert ruby.run("s = Sidekiq::Stats.new; [s.processed, s.failed, s.retry_size]") == [1, 1, 1]


def test_ruby_retries_by_hand_until_the_job_is_dead(shared: Shared, ruby: Ruby) -> None:
    ruby.push("PyFails", retry=1)
    shared.work()
    ruby.run("Sidekiq::RetrySet.new.each(&:retry)")
    shared.work()
    assert [job["retry_count"] for job in shared.parked("retry")] == [0]
    shared.redis.zadd("retry", {shared.redis.zrange("retry", 0, 0)[0]: 1.5})
    shared.work()

    (job,) = shared.parked("dead")
    assert (job["retry_count"], shared.parked("retry")) == (1, [])
    assert ruby.run("Sidekiq::DeadSet.new.map { |j| [j.klass, j['error_class']] }") == [["PyFails", "ValueError"]]


@pytest.mark.parametrize(
    ("options", "dead"), [({"retry": 0}, 1), ({"retry": False}, 0), ({"retry": 0, "dead": False}, 0)]
)
def test_retry_and_dead_decide_where_a_job_ends(shared: Shared, ruby: Ruby, options: dict[str, Any], dead: int) -> None:
    ruby.push("PyFails", **options)
    shared.work()

    assert (len(shared.parked("retry")), len(shared.parked("dead"))) == (0, dead)


def test_a_class_that_python_does_not_know_comes_back_as_it_is(shared: Shared, ruby: Ruby) -> None:
    ruby.push("Unheard", {"b": 1, "a": 1.50})
    (before,) = shared.redis.lrange("queue:python", 0, -1)
    shared.work()

    ((after, score),) = shared.redis.zrange("schedule", 0, -1, withscores=True)
    assert after == before
    assert 0 < score - time.time() <= 60


def test_what_is_no_job_goes_to_the_dead_set_as_it_is(shared: Shared, ruby: Ruby) -> None:
    shared.redis.lpush("queue:python", b"{not json", '{"class":"PyJob","args":{},"jid":"1"}')
    shared.work()

    assert set(shared.redis.zrange("dead", 0, -1)) == {b"{not json", b'{"class":"PyJob","args":{},"jid":"1"}'}
    assert ruby.pages("/morgue")["/morgue"][0] == 200


# -- from Python to Ruby -----------------------------------------------------------------------------------------------


def test_ruby_performs_what_python_enqueues(shared: Shared, ruby: Ruby) -> None:
    @shared.app.remote(name="RubyJob", queue="ruby")
    def ruby_job(word: str, n: int = 2, *, loud: bool = False) -> None: ...

    worker = ruby.work()
    ruby_job.enqueue("from Python", 1)
    ruby_job.enqueue("its default")
    ruby_job.using(delay="1s").enqueue("later")
    ruby_job.enqueue("by name", loud=True)
    until(lambda: len(shared.waiting("out:ruby")) == 4, 40)
    worker.stop(signal.SIGTERM)

    assert ["from Python", 1] in shared.waiting("out:ruby")
    assert ["its default"] in shared.waiting("out:ruby")
    assert shared.waiting("out:ruby")[-1] == ["later"]
    assert [{"word": "by name", "loud": True}] in shared.waiting("out:ruby")


def test_ruby_retries_what_python_enqueued_by_the_options_in_its_payload(shared: Shared, ruby: Ruby) -> None:
    @shared.app.remote(name="RubyBoom", queue="ruby")
    def boom(word: str) -> None: ...

    worker = ruby.work()
    boom.using(max_attempts=2, labels=["blue"], meta={"sidekiq": {"backtrace": 3}}).enqueue("x")
    until(lambda: shared.parked("dead"), 40)
    worker.stop(signal.SIGTERM)

    (job,) = shared.parked("dead")
    assert (job["error_class"], job["retry_count"], job["tags"]) == ("ArgumentError", 1, ["blue"])
    assert ruby.run("Sidekiq::DeadSet.new.map { |j| j.error_backtrace.size }") == [3]


def test_rubys_api_and_pages_show_what_python_enqueued(shared: Shared, ruby: Ruby) -> None:
    shared.app.enqueue_by_name("PyJob", [1, {"a": 2}])
    shared.app.enqueue_by_name("PyJob", [2], delay="1h")

    assert ruby.run("Sidekiq::Queue.new('python').map { |j| [j.klass, j.args, j.latency < 60] }") == [
        ["PyJob", [1, {"a": 2}], True]
    ]
    ((late, created),) = ruby.run("Sidekiq::ScheduledSet.new.map { |j| [j.at - Time.now, Time.now - j.created_at] }")
    assert (round(late, -2), created < 60) == (3600, True)
    pages = ruby.pages(
        "/", "/busy", "/queues", "/queues/python", "/retries", "/scheduled", "/morgue", "/stats", "/stats/queues"
    )
    assert {path: status for path, (status, _) in pages.items()} == dict.fromkeys(pages, 200)
    assert "PyJob" in pages["/queues/python"][1]


def test_a_snooze_waits_in_the_schedule_and_a_discard_in_the_dead_set(shared: Shared, ruby: Ruby) -> None:
    shared.app.enqueue_by_name("PyLater", [])
    shared.app.enqueue_by_name("PyGivesUp", [])
    shared.work()

    ((klass, late),) = ruby.run("Sidekiq::ScheduledSet.new.map { |j| [j.klass, j.at - Time.now] }")
    assert (klass, round(late, -2)) == ("PyLater", 3600)
    assert ruby.run("Sidekiq::DeadSet.new.map { |j| [j.klass, j['error_message']] }") == [["PyGivesUp", "no use"]]


# -- Python's workers in Ruby's eyes -----------------------------------------------------------------------------------

WORKER = "tests.integration.apps.beside_ruby"


@pytest.fixture
def crew(own_redis: Valkey, tmp_path: Path) -> Iterator[Processes]:
    with processes(tmp_path, BESIDE_URL=own_redis.url, STOKER_WORKERS__LEASE="2s") as started:
        yield started


def test_rubys_api_and_pages_show_a_python_worker_its_work_and_that_it_was_quieted(
    shared: Shared, ruby: Ruby, crew: Processes
) -> None:
    process = crew.start(WORKER)
    ruby.push("PyLong", 1)
    until(lambda: shared.redis.keys("*:workers"), 30)

    ((name, busy, queues, quiet),) = ruby.run(
        "Sidekiq::ProcessSet.new.map { |x| [x['identity'], x['busy'], x['queues'], x.stopping?] }"
    )
    assert (busy, queues, quiet) == (1, ["python"], False)
    assert shared.redis.exists(f"{name}:work", f"{name}:workers") == 2
    work = ruby.run("Sidekiq::Workers.new.map { |pid, tid, w| [pid, w['queue'], w['payload']['class']] }")
    assert work == [[name, "python", "PyLong"]]
    page = ruby.pages("/busy")["/busy"]
    assert (page[0], "PyLong" in page[1], str(process.pid) in page[1]) == (200, True, True)
    (worker,) = shared.app.store().run(shared.app.store().workers())
    assert (worker.pid, worker.queues) == (process.pid, ("python",))

    ruby.run("Sidekiq::ProcessSet.new.each { |x| x.dump_threads; x.quiet! }; nil")
    until(lambda: "was told: quiet" in crew.output(), 30)
    assert "beside_ruby.py" in crew.output()
    ruby.push("PyLong", 2)
    shared.redis.set("go", 1)
    until(lambda: shared.redis.llen("ended"), 20)
    until(lambda: ruby.run("Sidekiq::ProcessSet.new.map(&:stopping?)") == [True], 20)
    assert (process.poll(), shared.redis.llen("queue:python")) == (None, 1)

    ruby.run("Sidekiq::ProcessSet.new.each(&:stop!); nil")
    assert process.wait(30) == 0
    assert (shared.redis.lrange("began", 0, -1), ruby.run("Sidekiq::ProcessSet.new.size")) == ([b"1"], 0)


def test_no_job_is_lost_with_a_killed_worker(shared: Shared, ruby: Ruby, crew: Processes) -> None:
    first = crew.start(WORKER)
    ruby.run("5.times { |n| Sidekiq::Client.push('class' => 'PyLong', 'queue' => 'python', 'args' => [n]) }; nil")
    until(lambda: shared.redis.llen("began") == 5, 30)
    first.kill()
    shared.redis.set("go", 1)
    crew.start(WORKER)
    until(lambda: shared.redis.llen("ended") == 5, 40)

    assert sorted(shared.redis.lrange("ended", 0, -1)) == [b"%d" % n for n in range(5)]
    assert (shared.redis.llen("queue:python"), shared.redis.zcard("dead")) == (0, 0)
