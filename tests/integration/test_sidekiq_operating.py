"""Operators of both sides: stoker's commands on Ruby's jobs, Sidekiq's buttons on Python's, the sets' own limits."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from click.testing import CliRunner

from stoker import Context, Discard, Stoker
from stoker.cli.program import program
from tests.rigs.ruby import Ruby
from tests.rigs.valkey import Valkey


class Desk:
    """An application, the commands on its store, and what lies in Redis."""

    def __init__(self, server: Valkey) -> None:
        self.url = f"sidekiq+{server.url}"
        self.app: Stoker[Any] = Stoker(self.url)
        self.redis = server.client()
        self.app.job(name="PyJob", queue="python")(self._works)
        self.app.job(name="PyFails", queue="python")(self._fails)
        self.app.job(name="PyGivesUp", queue="python")(self._gives_up)

    def _works(self, *_: Any) -> None: ...

    def _fails(self, *_: Any) -> None:
        raise ValueError("it broke")

    def _gives_up(self, *_: Any) -> None:
        raise Discard("no use")

    def work(self) -> None:
        self.app.work(until_empty=True)

    def say(self, *words: str, code: int = 0) -> str:
        done = CliRunner().invoke(program, ["--url", self.url, "--yes", *words], prog_name="stoker")
        assert done.exit_code == code, done.output
        return done.output

    def told(self, *words: str) -> Any:
        return json.loads(self.say(*words, "--json"))

    def only(self, key: str) -> dict[str, Any]:
        (text,) = self.redis.lrange(key, 0, -1) if key.startswith("queue:") else self.redis.zrange(key, 0, -1)
        job: dict[str, Any] = json.loads(text)
        return job

    def address(self, key: str) -> str:
        """Give an entry's name in the paths of the web interface."""
        ((text, score),) = self.redis.zrange(key, 0, -1, withscores=True)
        return f"{score!r}-{json.loads(text)['jid']}"


@pytest.fixture
def desk(own_redis: Valkey) -> Iterator[Desk]:
    made = Desk(own_redis)
    yield made
    made.app.close()
    made.redis.close()


# -- stoker's commands on Ruby's jobs ----------------------------------------------------------------------------------


def test_rubys_jobs_are_listed_shown_cancelled_and_deleted(desk: Desk, ruby: Ruby) -> None:
    waiting = ruby.push("RubyJob", {"user": 7}, tags=["blue"], queue="ruby")
    later = ruby.push("RubyJob", at=time.time() + 3600, queue="ruby")
    failing = ruby.push("PyFails", retry=3, backtrace=True)
    desk.work()

    listed = {job["id"]: (job["name"], job["queue"], job["state"]) for job in desk.told("jobs", "list")}
    assert listed == {
        waiting: ("RubyJob", "ruby", "available"),
        later: ("RubyJob", "ruby", "scheduled"),
        failing: ("PyFails", "python", "retryable"),
    }
    shown = desk.told("jobs", "show", failing)
    assert (shown["failures"], shown["max_attempts"], shown["errors"][0]["message"]) == (1, 4, "it broke")
    assert "test_sidekiq_operating.py" in shown["errors"][0]["trace"]
    assert [job["id"] for job in desk.told("jobs", "list", "--label", "blue", "--arg", "0.user=7")] == [waiting]

    desk.say("jobs", "cancel", waiting)
    desk.say("jobs", "delete", "--name", "RubyJob", "--state", "scheduled")
    assert ruby.run(
        "[Sidekiq::Queue.new('ruby').size, Sidekiq::ScheduledSet.new.size, Sidekiq::RetrySet.new.size]"
    ) == [*(0, 0, 1)]


def test_a_dead_job_of_rubys_is_retried_with_one_attempt_left_and_ruby_runs_it(desk: Desk, ruby: Ruby) -> None:
    jid = ruby.push("PyFails", retry=0, cattr={"tenant": 1}, queue="python")
    desk.work()
    assert desk.only("dead")["jid"] == jid

    desk.say("jobs", "retry", jid)
    job = desk.only("queue:python")
    assert (job["retry"], job["retry_count"], job["cattr"]) == (1, 0, {"tenant": 1})
    assert desk.redis.zcard("dead") == 0
    assert ruby.run("Sidekiq::Queue.new('python').map { |j| [j.jid, j.latency < 60] }") == [[jid, True]]
    desk.work()
    assert (desk.only("dead")["retry_count"], desk.redis.zcard("retry")) == (1, 0)

    desk.say("jobs", "replay", jid)
    assert desk.only("queue:python")["args"] == []
    desk.say("jobs", "delete", jid)
    assert desk.redis.zcard("dead") == 0


def test_what_lies_in_the_sets_is_promoted_as_it_is(desk: Desk, ruby: Ruby) -> None:
    jid = ruby.push("PyJob", 12345678901234567890, at=time.time() + 3600)
    desk.say("jobs", "promote", jid)

    job = desk.only("queue:python")
    assert (job["jid"], job["args"], "enqueued_at" in job) == (jid, [12345678901234567890], True)


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (("queues", "pause", "python"), "PAUSE"),
        (("names", "pause", "PyJob"), "PAUSE"),
        (("periodic", "list"), "TICK"),
        (("names", "override", "PyJob", "--max-attempts", "3"), "OVERRIDE"),
    ],
)
def test_what_the_format_has_no_place_for_is_refused_in_one_line(desk: Desk, words: tuple[str, ...], flag: str) -> None:
    (line,) = desk.say(*words, code=2).splitlines()

    assert line.startswith("stoker: ")
    assert line.endswith(f"it lacks {flag}")


def test_a_follow_up_that_the_format_cannot_keep_fails_the_attempt_that_asks_for_it(desk: Desk) -> None:
    @desk.app.job(name="PyAsks", queue="python", max_attempts=1)
    def asks(ctx: Context[Any]) -> None:
        ctx.then(desk.app.get("PyFails").using(priority=5).draft())

    asks.enqueue()
    desk.work()

    assert desk.only("dead")["error_class"] == "NotSupported"
    assert "PRIORITY" in desk.only("dead")["error_message"]


def test_status_and_queues_show_what_ruby_enqueued(desk: Desk, ruby: Ruby) -> None:
    ruby.push("RubyJob", queue="ruby")
    ruby.push("RubyJob", queue="ruby", at=time.time() + 3600)

    (store,) = desk.told("status")["stores"]
    (queue,) = store["queues"]
    assert (queue["name"], queue["states"]["available"], queue["states"]["scheduled"]) == ("ruby", 1, 1)
    assert "ruby" in desk.say("queues", "list")


# -- Sidekiq's web interface on Python's jobs --------------------------------------------------------------------------


def test_the_pages_and_buttons_of_the_retries_work_on_pythons_jobs(desk: Desk, ruby: Ruby) -> None:
    for _ in range(3):
        desk.app.enqueue_by_name("PyFails", ["x"])
        desk.work()
        path = f"/retries/{desk.address('retry')}"
        status, text = ruby.pages(path)[path]
        assert (status, "ValueError" in text, "it broke" in text) == (200, True, True)
        if desk.redis.zcard("dead") == 0:
            assert ruby.press(path, kill="Kill") == 302
            assert desk.only("dead")["class"] == "PyFails"
        elif desk.redis.zcard("seen") == 0:
            desk.redis.zadd("seen", {"x": 1})
            assert ruby.press(path, delete="Delete") == 302
        else:
            assert ruby.press(path, retry="Retry Now") == 302
            assert desk.only("queue:python")["retry_count"] == -1
    assert desk.redis.zcard("retry") == 0


def test_the_pages_and_buttons_of_the_dead_and_the_scheduled_work_on_pythons_jobs(desk: Desk, ruby: Ruby) -> None:
    desk.app.enqueue_by_name("PyGivesUp", [])
    desk.work()
    path = f"/morgue/{desk.address('dead')}"
    assert ruby.pages(path)[path][0] == 200
    assert ruby.press(path, retry="Retry Now") == 302
    assert (desk.redis.zcard("dead"), desk.only("queue:python")["class"]) == (0, "PyGivesUp")
    desk.work()
    assert ruby.press("/morgue/all/delete") == 302
    assert desk.redis.zcard("dead") == 0

    desk.app.enqueue_by_name("PyJob", [1], delay="1h")
    path = f"/scheduled/{desk.address('schedule')}"
    assert ruby.pages(path)[path][0] == 200
    assert ruby.press(path, add_to_queue="Add to queue") == 302
    assert desk.only("queue:python")["args"] == [1]
    (text,) = desk.redis.lrange("queue:python", 0, -1)
    assert ruby.press("/queues/python/delete", key_val=text.decode()) == 302
    desk.app.enqueue_by_name("PyJob", [2])
    assert ruby.press("/queues/python") == 302
    assert desk.redis.llen("queue:python") == 0


# -- curve and limits --------------------------------------------------------------------------------------------------


def test_twenty_five_retries_wait_as_long_as_rubys_and_then_the_job_is_dead(desk: Desk, ruby: Ruby) -> None:
    curve = ruby.run("(0..24).map { |c| (c**4) + 15 }")
    rubys = ruby.run(
        'require "sidekiq/job_retry"; '
        "(0..24).map { |c| 40.times.map { Sidekiq::JobRetry.allocate.send(:delay_for, nil, c, nil) }.minmax }"
    )
    desk.app.enqueue_by_name("PyFails", [])
    for count, least in enumerate(curve):
        began = time.time()
        desk.work()
        ((member, score),) = desk.redis.zrange("retry", 0, -1, withscores=True)
        assert json.loads(member)["retry_count"] == count
        assert least <= rubys[count][0] <= rubys[count][1] <= least + 9 * (count + 1)
        assert began + least - 0.01 <= score <= time.time() + least + 9 * (count + 1)
        desk.redis.zadd("retry", {member: began - 1})
    desk.work()

    assert (desk.only("dead")["retry_count"], desk.redis.zcard("retry")) == (25, 0)


def test_the_dead_set_forgets_by_age_and_number_as_rubys_does(desk: Desk, ruby: Ruby) -> None:
    now, half_a_year = time.time(), 180 * 86_400

    def left(bury: Callable[[], None]) -> int:
        desk.redis.delete("dead")
        desk.redis.zadd("dead", {f'{{"n":{n}}}': now - n / 1000 for n in range(10_050)})
        desk.redis.zadd("dead", {'{"old":1}': now - half_a_year - 60})
        bury()
        assert desk.redis.zscore("dead", '{"old":1}') is None
        count: int = desk.redis.zcard("dead")
        return count

    def in_ruby() -> None:
        ruby.run('Sidekiq::DeadSet.new.kill(\'{"class":"A","args":[],"jid":"1"}\', notify_failure: false); nil')

    def in_python() -> None:
        desk.app.enqueue_by_name("PyGivesUp", [])
        desk.work()

    assert (left(in_ruby), left(in_python)) == (9_999, 9_999)


# -- the order of queues -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "first_ten"),
    [
        ({"workers": {"strict_order": True}}, {"high": 10, "low": 0}),
        ({"queue": {"queues": {"high": {"weight": 4}, "low": {"weight": 1}}}}, {"high": 8, "low": 2}),
        ({}, {"high": 5, "low": 5}),
    ],
    ids=["strict", "weighted", "in turn"],
)
def test_queues_are_served_strictly_by_weight_or_side_by_side(
    own_redis: Valkey, settings: dict[str, Any], first_ten: dict[str, int]
) -> None:
    order: list[str] = []
    workers = {"concurrency": 1, **settings.get("workers", {})}
    queues = {"queues": {"high": {}, "low": {}}, **settings.get("queue", {})}
    app: Stoker[Any] = Stoker(f"sidekiq+{own_redis.url}", settings={"workers": workers, "queue": queues})
    for queue in ("high", "low"):
        app.job(name=queue, queue=queue)(partial(perform, order, queue))
        app.enqueue_many([app.get(queue).draft() for _ in range(12)])
    app.work(until_empty=True)
    app.close()

    served = {queue: order[:10].count(queue) for queue in ("high", "low")}
    assert all(abs(served[queue] - wanted) <= 1 for queue, wanted in first_ten.items()), order
    assert sorted(order) == ["high"] * 12 + ["low"] * 12


def perform(order: list[str], queue: str) -> None:
    """Take long enough for the worker to claim a few jobs at a time only."""
    order.append(queue)
    time.sleep(0.04)
