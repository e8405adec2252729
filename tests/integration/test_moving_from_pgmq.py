"""Roadster's messages move from pgmq's queues to a store of ours; what is in somebody's hands stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from stoker.app.moving import Moved, Mover, Place
from stoker.core.filters import EVERYTHING, Filter
from stoker.core.job import State, StoredJob, new_call, new_token
from stoker.core.moving import MOVING
from stoker.core.settlement import Settlement
from stoker.stores.base import Store
from stoker.stores.urls import open_store
from stoker.testing.contract.base import claim_one, enqueue_one, failure, job, later, settle
from tests.integration.test_pgmq_peers import Peer

AWAY = f"{MOVING}elsewhere"


class Stage(NamedTuple):
    """Where messages move from, where to, and whoever else is at the queues."""

    old: Store
    new: Store
    peer: Peer

    def move(self, only: Filter = EVERYTHING) -> Moved:
        return Mover(Place(self.old, "legacy", "pgmq"), Place(self.new, "default", "sqlite")).move(only, None)

    def arrived(self) -> list[StoredJob]:
        """Give what is in the new store, the oldest first."""
        return self.new.run(self.new.find(EVERYTHING, 100))[::-1]


@pytest.fixture
def stage(pgmq_url: str, postgres_server: str, tmp_path: Path) -> Iterator[Stage]:
    old, new = (open_store(url, root=tmp_path) for url in (pgmq_url, f"sqlite:///{tmp_path}/jobs.sqlite3"))
    old.migrate()
    new.migrate()
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        yield Stage(old, new, Peer(connection, pgmq_url.partition("prefix=")[2]))
    old.close()
    new.close()


def test_messages_of_workers_that_nobody_knows_here_arrive_with_their_times(stage: Stage) -> None:
    stage.peer.send("MailWorker", {"user": 42}, queue="mail")
    id = stage.peer.send("InvoiceWorker", {"order": 7}, queue="rust")
    stage.peer.ask("SELECT pgmq.set_vt('{prefix}rust', %s, 3600)", id)
    (waiting,) = stage.peer.rows(queue="rust")

    assert stage.move() == Moved(2)
    mail, invoice = stage.arrived()
    assert (mail.name, mail.queue, mail.args, mail.state) == ("MailWorker", "mail", '{"user":42}', State.AVAILABLE)
    assert (invoice.state, invoice.max_attempts, invoice.starts) == (State.SCHEDULED, 26, 0)
    ((due,),) = stage.peer.ask("SELECT (extract(epoch FROM %s::timestamptz) * 1000000)::bigint", waiting["vt"])
    assert invoice.run_at == due
    assert stage.peer.rows(queue="mail") == stage.peer.rows(queue="rust") == []


def test_attempts_of_both_sides_and_their_errors_are_counted_on(stage: Stage) -> None:
    ours = claim_one(stage.old, args='{"n": 1.0}', labels=("bulk",))
    settle(stage.old, ours, State.RETRYABLE, due=later(), counts="failure", error=failure("full"))
    stage.peer.send("work", {})
    assert [reads for _, reads, _ in stage.peer.read(0)] == [1]

    assert stage.move() == Moved(2)
    failed, read = stage.arrived()
    assert (failed.args, failed.labels, failed.state, failed.starts) == ('{"n": 1.0}', ("bulk",), State.RETRYABLE, 1)
    assert [error.message for error in failed.errors] == ["full"]
    assert (read.starts, read.failures, read.state) == (1, 1, State.AVAILABLE)


def test_what_somebody_reads_and_what_is_no_job_or_a_periodic_one_stays(stage: Stage) -> None:
    stage.peer.send("work", {"read": True})
    assert len(stage.peer.read()) == 1
    stage.peer.ask('SELECT pgmq.send(\'{prefix}default\', \'{"metadata": {"worker_name": "work"}}\')')
    stage.peer.ask("SELECT pgmq.send('{prefix}default', '[1]')")
    stage.peer.send("work", {}, periodic={"schedule": "0 0 3 * * * *", "hash": "1"})
    before = stage.peer.rows()
    for number in range(3):
        enqueue_one(stage.old, args=str(number))

    assert stage.move() == Moved(3)
    assert [one.args for one in stage.arrived()] == ["0", "1", "2"]
    assert stage.peer.rows() == before


def test_who_reads_the_queue_does_not_see_what_is_held(stage: Stage) -> None:
    stage.peer.send("work", {})
    token = new_token()
    held = stage.old.run(stage.old.hold(EVERYTHING, 10, token, AWAY))

    assert stage.peer.read() == []
    stage.old.run(stage.old.settle([Settlement(one.id, token, State.COMPLETED, keep=0) for one in held]))
    assert stage.peer.rows() == stage.peer.rows("a") == []


def test_a_hold_that_another_mover_has_finished_takes_nothing_when_it_is_sent_again(stage: Stage) -> None:
    enqueue_one(stage.old)
    token = new_token()
    (held,) = stage.old.run(stage.old.hold(EVERYTHING, 1, token, AWAY))
    stage.old.run(stage.old.settle([Settlement(held.id, token, State.COMPLETED, keep=0)]))
    enqueue_one(stage.old)

    assert stage.old.run(stage.old.hold(EVERYTHING, 1, token, AWAY)) == []


def test_what_others_lock_is_passed_over_and_the_rest_moved_though_it_is_more_than_a_batch(
    stage: Stage, postgres_server: str
) -> None:
    jobs = [job(args=str(number)) for number in range(1200)]
    ids = [one.id for one in stage.old.run(stage.old.enqueue(jobs, new_call()))]
    ((table,),) = stage.peer.ask("SELECT 'pgmq.q_{prefix}default'")
    with psycopg.connect(postgres_server) as other:
        other.execute(f"SELECT FROM {table} WHERE msg_id <= %s FOR UPDATE".encode(), (ids[599].partition(":")[2],))
        assert stage.move() == Moved(600)
    assert stage.move() == Moved(600)
    assert sorted(int(one.args) for one in stage.new.run(stage.new.find(EVERYTHING, 2000))) == list(range(1200))
