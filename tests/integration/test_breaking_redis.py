"""Workers on Redis whose server restarts, forgets, fails over, moves, fills up, and whose network loses answers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stoker.core.filters import Filter
from stoker.core.job import JobId, NewJob, State, StoredJob, new_call, new_token
from stoker.core.settlement import Settled, Settlement
from stoker.drivers import redis_listener
from stoker.errors import StoreUnavailable
from stoker.stores.redis import RedisStore
from tests.rigs.processes import Processes, processes, until
from tests.rigs.proxy import Proxy
from tests.rigs.valkey import Valkey
from tests.rigs.valkey_groups import ValkeyCluster, ValkeySentinel

WORKER = "tests.integration.apps.ledger"
LEASE = 30_000_000


class Scene:
    """One store, its ledger and its workers."""

    def __init__(self, url: str, folder: Path, started: Processes) -> None:
        self.store = RedisStore(url)
        self.ledger = folder / "ledger"
        self.processes = started

    def worker(self) -> subprocess.Popen[bytes]:
        """Start a worker."""
        return self.processes.start(WORKER)

    def notes(self, first: int, last: int) -> list[JobId]:
        """Enqueue jobs that write their numbers down."""
        jobs = [NewJob("note", f'{{"n":{n}}}', max_attempts=1, keep=None) for n in range(first, last)]
        return [answer.id for answer in self.store.run(self.store.enqueue(jobs, new_call()))]

    def lines(self, kind: str = "") -> list[str]:
        """Give the lines of the ledger."""
        path = Path(str(self.ledger) + kind)
        return path.read_text().splitlines() if path.exists() else []

    def jobs(self) -> list[StoredJob]:
        """Give all jobs."""
        return self.store.run(self.store.find(Filter(), 100_000))

    def unfinished(self) -> int:
        """Count the jobs that are not in a final state."""
        return sum(row.count for row in self.store.run(self.store.count()) if not row.state.final)

    def assert_all_done(self, total: int) -> None:
        """Wait until all is done, then see that all was done, and each ending stored once."""
        until(self.is_finished, 60, "all jobs ended")
        assert {int(line) for line in self.lines()} == set(range(total))
        assert {job.state for job in self.jobs()} == {State.COMPLETED}
        ended = Counter(line for line in self.lines(".settled") if line.endswith(" completed"))
        assert set(ended.values()) == {1}

    def is_finished(self) -> bool:
        """Tell whether all jobs ended; False while nobody answers."""
        with contextlib.suppress(StoreUnavailable):
            return self.unfinished() == 0
        return False


@contextlib.contextmanager
def scene_on(url: str, folder: Path) -> Iterator[Scene]:
    """Give a scene for the length of a block."""
    environment = {"LEDGER_URL": url, "LEDGER": str(folder / "ledger")}
    with processes(folder, **environment) as started:
        scene = Scene(url, folder, started)
        try:
            yield scene
        finally:
            scene.store.close()


@pytest.fixture
def durable() -> Iterator[Valkey]:
    """A server that loses nothing that it has answered."""
    server = Valkey(appendonly="yes", appendfsync="always").start()
    try:
        yield server
    finally:
        server.remove()


@pytest.mark.timeout(120)
def test_workers_that_are_killed_lose_no_job_and_settle_none_twice(redis_url: str, tmp_path: Path) -> None:
    with scene_on(redis_url, tmp_path) as scene:
        scene.notes(0, 4000)
        workers = [scene.worker() for _ in range(2)]
        for turn in range(4):
            reached = len(scene.lines())
            until(lambda goal=reached + 300: len(scene.lines()) > goal, what="work goes on")  # type: ignore[misc]
            workers[turn % 2].kill()
            workers[turn % 2] = scene.worker()
        scene.assert_all_done(4000)
        crashed = [job for job in scene.jobs() if job.crashes]
        assert crashed, "no kill hit a running job: the test has proven nothing"
        assert all(job.crashes + 1 <= job.starts for job in crashed)


@pytest.mark.timeout(120)
def test_a_server_that_restarts_under_a_worker_loses_nothing(durable: Valkey, tmp_path: Path) -> None:
    with scene_on(durable.url, tmp_path) as scene:
        scene.notes(0, 2000)
        scene.worker()
        for _ in range(2):
            reached = len(scene.lines())
            until(lambda goal=reached + 100: len(scene.lines()) > goal, what="work goes on")  # type: ignore[misc]
            durable.kill()
            time.sleep(0.3)
            durable.start()
        scene.assert_all_done(2000)


@pytest.mark.timeout(60)
def test_a_server_that_forgets_its_scripts_is_told_them_again(own_redis: Valkey, tmp_path: Path) -> None:
    with scene_on(own_redis.url, tmp_path) as scene, own_redis.client() as client:
        scene.notes(0, 1500)
        scene.worker()
        until(lambda: len(scene.lines()) > 50, what="first effects")
        for _ in range(20):
            client.script_flush()
            time.sleep(0.02)
        scene.assert_all_done(1500)


@pytest.mark.timeout(120)
def test_a_failover_by_sentinels_is_followed(redis_sentinel: ValkeySentinel, tmp_path: Path) -> None:
    with scene_on(redis_sentinel.url, tmp_path) as scene:
        scene.notes(0, 2000)
        scene.worker()
        until(lambda: len(scene.lines()) > 100, what="first effects")
        redis_sentinel.fail_over()
        scene.notes(2000, 2100)
        until(scene.is_finished, 60, "all jobs ended")
        # Replication is behind by moments, so an ending may be lost: its job then runs again, but none is missing.
        assert {int(line) for line in scene.lines()} == set(range(2100))


@pytest.mark.timeout(120)
def test_a_slot_that_moves_to_another_node_is_followed(redis_cluster: ValkeyCluster, tmp_path: Path) -> None:
    with scene_on(redis_cluster.url, tmp_path) as scene:
        scene.notes(0, 3000)
        scene.worker()
        slot = redis_cluster.slot_of("{stoker}:meta")
        for _ in range(3):
            reached = len(scene.lines())
            until(lambda goal=reached + 100: len(scene.lines()) > goal, what="work goes on")  # type: ignore[misc]
            redis_cluster.move_slot(slot)
        scene.assert_all_done(3000)


def test_while_a_slot_is_half_moved_a_script_waits_and_then_runs_whole(redis_cluster: ValkeyCluster) -> None:
    store = RedisStore(f"{redis_cluster.url}?timeout=5s")
    with contextlib.closing(store):
        store.run(store.enqueue([NewJob("note", "1"), NewJob("note", "2")], new_call()))
        slot = redis_cluster.slot_of("{stoker}:meta")
        owner = redis_cluster.owner_of(slot)
        target = redis_cluster.other_than(owner)
        redis_cluster.begin_move(slot, target)
        redis_cluster.move_keys(slot, target, 2)
        impatient = RedisStore(f"{redis_cluster.url}?timeout=300ms")
        with contextlib.closing(impatient), pytest.raises(StoreUnavailable, match="slot of the cluster is being moved"):
            impatient.run(impatient.enqueue([NewJob("note", "3")], new_call()))
        redis_cluster.move_keys(slot, target)
        redis_cluster.end_move(slot, target)
        store.run(store.enqueue([NewJob("note", "4")], new_call()))
        assert [job.args for job in store.run(store.find(Filter(), 10))] == ["4", "2", "1"]


def test_an_ending_whose_answer_is_lost_is_sent_again_and_counted_once(redis_url: str) -> None:
    with Proxy(redis_url) as proxy, contextlib.closing(RedisStore(proxy.url)) as store:
        (enqueued,) = store.run(store.enqueue([NewJob("note", "1", keep=None)], new_call()))
        claimed = store.run(store.claim({"default": 1}, ["note"], [""], new_token(), "w", LEASE)).claims[0]
        lost = proxy.lose_reply(claimed.token.encode())
        ending = Settlement(claimed.id, claimed.token, State.RETRYABLE, counts="failure")
        answers = store.run(store.settle([ending]))
        lost.wait()
        assert answers == {enqueued.id: Settled.REPEATED}
        (found,) = store.run(store.find(Filter(), 10))
        assert (found.state, found.failures) == (State.RETRYABLE, 1)


def test_an_enqueue_whose_answer_is_lost_is_sent_again_and_stored_once(redis_url: str) -> None:
    with Proxy(redis_url) as proxy, contextlib.closing(RedisStore(proxy.url)) as store:
        store.run(store.count())
        lost = proxy.lose_reply(b"the only one")
        jobs = [NewJob("note", '"the only one"')] * 3
        answers = store.run(store.enqueue(jobs, new_call()))
        lost.wait()
        found = store.run(store.find(Filter(), 10))
        assert [job.id for job in found] == [answer.id for answer in answers][::-1]


def test_a_server_that_does_not_answer_leaves_it_uncertain_what_it_did(redis_url: str) -> None:
    with Proxy(redis_url) as proxy, contextlib.closing(RedisStore(f"{proxy.url}&timeout=300ms")) as store:
        call = new_call()
        store.run(store.count())
        proxy.stall("replies")
        with pytest.raises(StoreUnavailable) as raised:
            store.run(store.enqueue([NewJob("note", "1")], call))
        assert raised.value.uncertain
        proxy.cut()
        proxy.resume()
        store.run(store.enqueue([NewJob("note", "1")], call))
        assert len(store.run(store.find(Filter(), 10))) == 1


def test_a_server_that_is_not_there_is_unavailable_and_nothing_uncertain(own_redis: Valkey) -> None:
    own_redis.kill()
    with contextlib.closing(RedisStore(f"{own_redis.url}?timeout=300ms")) as store:
        with pytest.raises(StoreUnavailable) as raised:
            store.run(store.count())
        assert not raised.value.uncertain
        own_redis.start()
        assert store.run(store.count()) == []


def test_a_sleeper_whose_connection_went_silent_hears_again(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_listener, "QUIET", 0.2)

    async def sleep_and_hear(proxy: Proxy, through: RedisStore, direct: RedisStore) -> bool:
        await through.wait(["default"], 0)
        proxy.stall()
        await asyncio.sleep(0.1)
        sleeper = asyncio.create_task(through.wait(["default"], 20))
        await asyncio.sleep(0.6)  # longer than two spells of quiet
        proxy.resume()
        await asyncio.to_thread(direct.run, direct.enqueue([NewJob("note", "1")], new_call()))
        return await asyncio.wait_for(sleeper, 10)

    with Proxy(redis_url) as proxy:
        through, direct = RedisStore(proxy.url), RedisStore(redis_url)
        with contextlib.closing(through), contextlib.closing(direct):
            assert asyncio.run(sleep_and_hear(proxy, through, direct))


def test_a_server_whose_memory_is_full_refuses_jobs_whole_and_lets_the_others_be_worked_off(own_redis: Valkey) -> None:
    with contextlib.closing(RedisStore(own_redis.url)) as store, own_redis.client() as client:
        store.run(store.enqueue([NewJob("note", "1"), NewJob("note", "2")], new_call()))
        before: dict[bytes, Any] = {key: client.dump(key) for key in client.scan_iter()}
        client.config_set("maxmemory", "1")
        with pytest.raises(StoreUnavailable, match="memory is full"):
            store.run(store.enqueue([NewJob("note", "3")] * 500, new_call()))
        assert {key: client.dump(key) for key in client.scan_iter()} == before
        claims = store.run(store.claim({"default": 9}, ["note"], [""], new_token(), "w", LEASE)).claims
        assert [claimed.args for claimed in claims] == ["1", "2"]
        answers = store.run(store.settle([Settlement(c.id, c.token, State.COMPLETED, keep=0) for c in claims]))
        assert set(answers.values()) == {Settled.ACCEPTED}


def test_a_replica_takes_nothing(redis_sentinel: ValkeySentinel) -> None:
    store = RedisStore(f"{redis_sentinel.replica.url}?timeout=300ms")
    with contextlib.closing(store), pytest.raises(StoreUnavailable, match="replica and takes no writes"):
        store.run(store.enqueue([NewJob("note", "1")], new_call()))


def test_a_forked_child_has_connections_of_its_own(redis_url: str) -> None:
    with contextlib.closing(RedisStore(redis_url)) as store:
        store.run(store.enqueue([NewJob("note", "0")], new_call()))
        child = os.fork()
        if child == 0:
            try:
                store.run(store.enqueue([NewJob("note", "1")], new_call()))
                os._exit(0)
            except BaseException:
                os._exit(1)
        store.run(store.enqueue([NewJob("note", "2")], new_call()))
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert sorted(job.args for job in store.run(store.find(Filter(), 10))) == ["0", "1", "2"]


def test_a_frozen_worker_whose_job_was_taken_back_reports_nothing(redis_url: str, tmp_path: Path) -> None:
    with scene_on(redis_url, tmp_path) as scene:
        scene.store.run(scene.store.enqueue([NewJob("long", '{"seconds":1}', max_attempts=1)], new_call()))
        frozen = scene.worker()
        until(lambda: "long begins" in scene.lines())
        frozen.send_signal(signal.SIGSTOP)
        until(lambda: scene.store.run(scene.store.reclaim(10)).available, 15, "the lease ends")
        scene.store.run(scene.store.pause("queue", ["default"], True))
        frozen.send_signal(signal.SIGCONT)
        until(lambda: len(scene.lines(".refused")) == 1, 15, "the refusal")
        assert scene.lines(".settled") == []
        (job,) = scene.jobs()
        assert job.state is State.AVAILABLE
