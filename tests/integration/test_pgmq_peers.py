"""Beside Roadster and other clients of pgmq: what they send is performed, and what they read is theirs."""

from __future__ import annotations

import asyncio
import json
import secrets
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from stoker import Context, Stoker
from stoker.core.duration import SECOND
from stoker.core.filters import Filter
from stoker.core.job import Claim, Due, JobId, State, new_call, new_token
from stoker.core.settlement import Settled
from stoker.errors import ConfigurationError, NotSupported, SchemaOutdated
from stoker.stores.pgmq import PgmqStore
from stoker.stores.pgmq.commands import Walk
from stoker.testing.contract.base import claim, claim_one, ending, enqueue, enqueue_one, failure, job, settle

OLD = Path(__file__).parents[1] / "rigs" / "pgmq_1_4.sql"


class Peer:
    """Another client of the same queues, which knows pgmq's functions and Roadster's envelope."""

    def __init__(self, connection: psycopg.Connection[Any], prefix: str) -> None:
        self._connection = connection
        self._prefix = prefix

    def ask(self, text: str, *values: Any) -> list[Any]:
        return self._connection.execute(text.replace("{prefix}", self._prefix).encode(), values).fetchall()

    def send(self, worker: str, args: object, queue: str = "default", **more: object) -> int:
        """Send as Roadster does; ``more`` are further parts of the message."""
        message = {"metadata": {"id": str(uuid.uuid4()), "worker_name": worker}, "args": args, **more}
        self._connection.execute("SELECT pgmq.create(%s::text)", (self._prefix + queue,))
        text = "SELECT pgmq.send(%s::text, %s::jsonb)"
        ((id,),) = self._connection.execute(text, (self._prefix + queue, json.dumps(message))).fetchall()
        return int(id)

    def read(self, seconds: int = 30, queue: str = "default") -> list[tuple[int, int, Any]]:
        text = "SELECT msg_id, read_ct, message FROM pgmq.read(%s::text, %s::integer, 100)"
        return [(row[0], row[1], row[2]) for row in self.ask(text, self._prefix + queue, seconds)]

    def kept(self) -> list[Any]:
        """Give what the store remembers of archived messages."""
        return self.ask(f'SELECT queue, id FROM "stoker_pgmq_{self._prefix.rstrip("_")}".kept')

    def rows(self, kind: str = "q", queue: str = "default") -> list[dict[str, Any]]:
        """Give the rows of a queue or of its archive."""
        return [
            row[0] for row in self.ask(f'SELECT to_json(m) FROM pgmq."{kind}_{{prefix}}{queue}" AS m ORDER BY msg_id')
        ]


@pytest.fixture
def store(pgmq_url: str) -> Iterator[PgmqStore]:
    opened = PgmqStore(pgmq_url)
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def archiving(pgmq_url: str, store: PgmqStore) -> Iterator[PgmqStore]:
    opened = PgmqStore(f"{pgmq_url}&on_success=archive")
    yield opened
    opened.close()


@pytest.fixture
def peer(pgmq_url: str, postgres_server: str, store: PgmqStore) -> Iterator[Peer]:
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        yield Peer(connection, pgmq_url.partition("prefix=")[2])


# -- messages of others ------------------------------------------------------------------------------------------------


def test_what_roadster_sends_is_performed(store: PgmqStore, peer: Peer) -> None:
    id = peer.send("work", {"user": 7, "big": 12345678901234567890, "none": None, "list": []})

    (claimed,) = claim(store)
    assert (claimed.id, claimed.name, claimed.queue) == (f"default:{id}", "work", "default")
    assert json.loads(claimed.args) == {"user": 7, "big": 12345678901234567890, "none": None, "list": []}
    assert (claimed.starts, claimed.failures, claimed.max_attempts, claimed.keep_failed) == (1, 0, 26, None)
    assert settle(store, claimed, State.COMPLETED) is Settled.ACCEPTED
    assert (peer.rows(), peer.rows("a")) == ([], [])


def test_what_is_enqueued_is_roadsters_message(store: PgmqStore, peer: Peer) -> None:
    enqueue_one(store, "Mailer", '{"to":"ada","cc":[]}')

    ((_, reads, message),) = peer.read()
    assert reads == 1
    assert message == {
        "metadata": {"id": message["metadata"]["id"], "worker_name": "Mailer"},
        "args": {"to": "ada", "cc": []},
    }
    assert uuid.UUID(message["metadata"]["id"]).version == 7


def test_messages_of_unknown_workers_are_not_read(store: PgmqStore, peer: Peer) -> None:
    for number in range(3):
        peer.send("Rust", number)
    peer.send("work", None)

    assert len(claim(store)) == 1
    assert [row["read_ct"] for row in peer.rows()] == [0, 0, 0, 1]
    assert [message["args"] for _, reads, message in peer.read() if reads == 1] == [0, 1, 2]


def test_a_message_without_args_is_a_defect_and_none_of_stokers_stays(store: PgmqStore, peer: Peer) -> None:
    peer.ask("SELECT pgmq.create('{prefix}default')")
    peer.ask('SELECT pgmq.send(\'{prefix}default\', \'{"metadata": {"id": 1, "worker_name": "work"}}\'::jsonb)')
    peer.ask("SELECT pgmq.send('{prefix}default', '[\"no\", \"job\"]'::jsonb)")

    (claimed,) = claim(store)
    assert claimed.defect == "the message has no args"
    assert [row["read_ct"] for row in peer.rows()] == [1, 0]
    assert {finding.subject: finding.text for finding in store.examine()}[f"queue {_table(peer, 'default')}"]


def test_what_others_read_in_vain_counts_as_attempts(store: PgmqStore, peer: Peer) -> None:
    peer.send("work", 1)
    peer.read(0)
    peer.read(0)

    (claimed,) = claim(store)
    assert (claimed.starts, claimed.failures, claimed.crashes) == (3, 2, 0)


def _is_retried(store: PgmqStore, claimed: Claim) -> None:
    settle(store, claimed, State.RETRYABLE, due=Due(0), counts="failure", error=failure())


def _is_reclaimed(store: PgmqStore, claimed: Claim) -> None:
    store.run(store.reclaim(10, [claimed.token]))


def _is_requeued(store: PgmqStore, claimed: Claim) -> None:
    store.run(store.requeue(Filter(ids=(claimed.id,)), 1, force=True))


@pytest.mark.parametrize("after", [_is_retried, _is_reclaimed, _is_requeued])
def test_a_message_of_others_stays_theirs_after_an_attempt_of_ours(
    store: PgmqStore, peer: Peer, after: Callable[[PgmqStore, Claim], None]
) -> None:
    peer.send("work", 1)
    (first,) = claim(store)
    after(store, first)

    (again,) = claim(store)
    (found,) = store.run(store.find(Filter(), 10))
    assert again.starts == 2
    for seen in (first, again, found):
        assert (seen.max_attempts, seen.keep, seen.keep_failed) == (26, None, None)


def test_a_message_of_others_that_crashed_too_often_stays_in_the_archive(store: PgmqStore, peer: Peer) -> None:
    peer.send("work", 1)
    for _ in range(3):
        (claimed,) = claim(store)
        store.run(store.extend([claimed.token], SECOND, started=[claimed.id]))
        store.run(store.reclaim(10, [claimed.token]))

    (found,) = store.run(store.find(Filter(), 10))
    assert (found.state, found.crashes, found.keep_failed) == (State.DISCARDED, 3, None)
    assert peer.kept() == []


def test_a_message_of_others_that_was_cancelled_is_retried_as_theirs(store: PgmqStore, peer: Peer) -> None:
    peer.send("work", 1)
    store.run(store.cancel(Filter(), 10))
    (found,) = store.run(store.find(Filter(), 10))
    assert (found.state, found.max_attempts, found.keep_failed) == (State.CANCELLED, 26, None)
    assert peer.kept() == []

    store.run(store.retry(Filter(), 10))
    (again,) = claim(store)
    assert (again.max_attempts, again.keep, again.keep_failed) == (26, None, None)


# -- leases are visibility timeouts ------------------------------------------------------------------------------------


def test_others_do_not_see_what_is_claimed(store: PgmqStore, peer: Peer) -> None:
    enqueue_one(store)
    (claimed,) = claim(store, lease=5 * SECOND)
    before = peer.ask('SELECT vt FROM pgmq."q_{prefix}default"')[0][0]
    assert peer.read() == []

    store.run(store.extend([claimed.token], 60 * SECOND))
    after = peer.ask('SELECT vt FROM pgmq."q_{prefix}default"')[0][0]
    assert 54 < (after - before).total_seconds() < 60


def test_who_lost_a_message_to_another_reader_settles_nothing(store: PgmqStore, peer: Peer) -> None:
    claimed = claim_one(store)
    peer.ask('UPDATE pgmq."q_{prefix}default" SET vt = now() RETURNING 1')
    ((id, reads, _),) = peer.read()

    assert reads == 2
    assert settle(store, claimed, State.COMPLETED) is Settled.LOST
    assert settle(store, claimed, State.RETRYABLE, counts="failure", error=failure()) is Settled.LOST
    assert claimed.id == f"default:{id}"
    ((row),) = peer.rows()
    assert row["headers"]["stoker"].keys() == {"keep", "keep_failed"}
    assert store.run(store.reclaim(10, [claimed.token])).available == ()


def test_a_lease_that_is_over_is_counted_once_though_the_message_is_visible(store: PgmqStore) -> None:
    enqueue_one(store)
    claim(store, lease=0)
    assert claim(store) == []

    assert store.run(store.reclaim(10)).available == ("default:1",)
    (again,) = claim(store)
    assert (again.crashes, again.starts) == (1, 2)


# -- endings -----------------------------------------------------------------------------------------------------------


def test_a_retry_waits_and_its_error_is_kept(store: PgmqStore, peer: Peer) -> None:
    claimed = claim_one(store)
    settle(store, claimed, State.RETRYABLE, due=Due(1_500_000), counts="failure", error=failure("no route", "OSError"))

    ((wait,),) = peer.ask('SELECT extract(epoch FROM vt - now())::float8 FROM pgmq."q_{prefix}default"')
    assert 0.5 < wait <= 1.5
    (row,) = peer.rows()
    notes = row["headers"]["stoker"]
    assert (notes["failures"], notes["seen"]) == (1, 1)
    assert [(error["type"], error["message"]) for error in notes["errors"]] == [("OSError", "no route")]
    assert peer.read() == []


@pytest.mark.parametrize(
    ("options", "state", "left"),
    [
        ("", State.COMPLETED, []),
        ("&on_success=archive", State.COMPLETED, ["completed"]),
        ("", State.DISCARDED, ["discarded"]),
        ("&on_failure=delete", State.DISCARDED, []),
    ],
)
def test_messages_are_archived_or_deleted_as_the_url_says(
    pgmq_url: str, peer: Peer, options: str, state: State, left: list[str]
) -> None:
    store = PgmqStore(pgmq_url + options)
    claimed = claim_one(store)
    settle(store, claimed, state, keep=None, error=None if state is State.COMPLETED else failure(), result="[1.0]")
    store.close()

    assert peer.rows() == []
    archived = [row["headers"]["stoker"] for row in peer.rows("a")]
    assert [notes["state"] for notes in archived] == left
    assert all(notes["result"] == "[1.0]" for notes in archived)


def test_what_is_kept_for_a_time_leaves_the_archive_after_it_and_what_others_archived_stays(
    pgmq_url: str, peer: Peer
) -> None:
    store = PgmqStore(f"{pgmq_url}&on_success=archive")
    theirs = peer.send("Rust", 1)
    peer.ask("SELECT pgmq.archive('{prefix}default', %s::bigint)", theirs)
    claimed = claim_one(store)
    settle(store, claimed, State.COMPLETED, keep=1)

    assert store.run(store.prune(10)).ids == (claimed.id,)
    assert [row["msg_id"] for row in peer.rows("a")] == [theirs]
    store.close()


@pytest.mark.parametrize("exchanges", [1, 2, 3])
def test_who_is_killed_while_pruning_leaves_nothing_in_the_archive_for_ever(
    archiving: PgmqStore, peer: Peer, exchanges: int
) -> None:
    for queue in ("default", "mail"):
        settle(archiving, claim_one(archiving, queue=queue), State.COMPLETED, keep=1)
    pruning = archiving.prune(10)
    assert isinstance(pruning, Walk)
    assert pruning.course is not None
    course = pruning.course()
    step = next(course)
    for _ in range(exchanges):
        step = course.send(archiving.run(step))

    archiving.run(archiving.prune(10))
    assert peer.rows("a") == peer.rows("a", "mail") == []
    assert peer.kept() == []


def test_what_somebody_else_took_out_of_the_archive_is_not_remembered(archiving: PgmqStore, peer: Peer) -> None:
    settle(archiving, claim_one(archiving), State.COMPLETED, keep=1)
    peer.ask('DELETE FROM pgmq."a_{prefix}default" RETURNING 1')

    assert archiving.run(archiving.prune(10)).ids == ()
    assert peer.kept() == []


def test_an_archived_message_that_somebody_has_locked_is_pruned_later(
    archiving: PgmqStore, peer: Peer, postgres_server: str
) -> None:
    claimed = claim_one(archiving)
    settle(archiving, claimed, State.COMPLETED, keep=1)
    with psycopg.connect(postgres_server) as other:
        Peer(other, peer._prefix).ask('SELECT FROM pgmq."a_{prefix}default" FOR UPDATE')
        assert archiving.run(archiving.prune(10)).ids == ()

    assert archiving.run(archiving.prune(10)).ids == (claimed.id,)


# -- callers' transactions ---------------------------------------------------------------------------------------------


def test_a_completion_is_part_of_the_callers_transaction(store: PgmqStore, peer: Peer, postgres_server: str) -> None:
    claimed, other = (claim_one(store) for _ in range(2))
    with psycopg.connect(postgres_server) as on:
        assert store.run(store.complete(ending(claimed, State.COMPLETED)), on=on) is Settled.ACCEPTED
        assert store.run(store.extend([claimed.token, other.token], 60 * SECOND)).missing == frozenset()
        assert store.run(store.reclaim(10, [claimed.token])).available == ()
        assert settle(store, other, State.COMPLETED) is Settled.ACCEPTED
        assert len(peer.rows()) == 1

    assert peer.rows() == []
    assert settle(store, claimed, State.RETRYABLE, counts="failure") is Settled.GONE
    with psycopg.connect(postgres_server) as on:
        assert store.run(store.complete(ending(other, State.COMPLETED)), on=on) is Settled.GONE
        on.rollback()


def test_a_completion_that_is_rolled_back_leaves_the_job_running(store: PgmqStore, postgres_server: str) -> None:
    claimed = claim_one(store)
    with psycopg.connect(postgres_server) as on:
        assert (
            store.run(store.complete(ending(claimed, State.COMPLETED, then=(job("next"),))), on=on) is Settled.ACCEPTED
        )
        on.rollback()

    assert settle(store, claimed, State.AVAILABLE) is Settled.ACCEPTED
    assert [again.id for again in claim(store, names=["work", "next"])] == [claimed.id]


# -- waking ------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_what_others_send_wakes_a_worker_where_pgmq_tells(store: PgmqStore, peer: Peer) -> None:
    peer.send("Rust", 1)
    peer.ask("SELECT pgmq.enable_notify_insert('{prefix}default')")
    sleeping = asyncio.create_task(store.wait(["default"], 20))
    await asyncio.to_thread(store._waiting._listener.armed.wait, 10)

    peer.send("work", 2)
    assert await asyncio.wait_for(sleeping, 10) is True


# -- through the application -------------------------------------------------------------------------------------------


def test_workers_in_rust_and_in_python_call_each_other(pgmq_url: str, peer: Peer, tmp_path: Path) -> None:
    app = Stoker(url=pgmq_url, imports=[])
    performed: list[tuple[int, str]] = []

    @app.job(name="PythonWorker", queue="python")
    def perform(ctx: Context[Any], user: int, text: str = "hello") -> None:
        performed.append((user, text))
        mail.enqueue(user, text=text)

    @app.remote(name="RustWorker", queue="rust")
    def mail(user: int, text: str) -> None: ...

    peer.send("PythonWorker", {"user": 1}, queue="python")
    perform.enqueue(2, "ahoy")
    app.work(until_empty=True)
    app.close()

    assert sorted(performed) == [(1, "hello"), (2, "ahoy")]
    sent = [row["message"] for row in peer.rows(queue="rust")]
    assert {message["metadata"]["worker_name"] for message in sent} == {"RustWorker"}
    assert sorted(message["args"]["text"] for message in sent) == ["ahoy", "hello"]


def test_what_pgmq_has_no_place_for_is_refused(store: PgmqStore) -> None:
    with pytest.raises(NotSupported, match="lacks PRIORITY"):
        store.enqueue([job(priority=1)], new_call())
    with pytest.raises(ConfigurationError, match="Roadster keeps its periodic jobs"):
        PgmqStore("pgmq+postgresql://db/shop").enqueue([job(queue="periodic")], new_call())


def test_what_failed_is_found_in_the_archive_and_tried_again(store: PgmqStore, peer: Peer) -> None:
    claimed = claim_one(store, max_attempts=1)
    settle(store, claimed, State.DISCARDED, counts="failure", error=failure(), keep=None)
    theirs = peer.send("Rust", 1)
    peer.ask("SELECT pgmq.archive('{prefix}default', %s::bigint)", theirs)

    (found,) = store.run(store.find(Filter(), 10))
    assert (found.id, found.state, found.failures) == (claimed.id, State.DISCARDED, 1)
    assert [error.message for error in found.errors] == ["no route to host"]
    assert store.run(store.retry(Filter(states=(State.DISCARDED,)), 10)).ids == (claimed.id,)
    (again,) = claim(store)
    assert (again.id, again.failures, again.max_attempts, again.starts) == (claimed.id, 1, 2, 2)
    assert [row["msg_id"] for row in peer.rows("a")] == [theirs]


def test_messages_of_others_are_found_and_cancelled(store: PgmqStore, peer: Peer) -> None:
    ids = [f"default:{peer.send('Rust', number)}" for number in range(3)]
    peer.read(3600)
    waiting = f"mail:{peer.send('Rust', {'user': 7}, queue='mail')}"

    assert [(one.id, one.state) for one in store.run(store.find(Filter(), 10))] == [
        (waiting, State.AVAILABLE),
        *((id, State.RUNNING) for id in reversed(ids)),
    ]
    assert [one.id for one in store.run(store.find(Filter(args=(("user", "7"),)), 10))] == [waiting]
    assert [one.id for one in store.run(store.find(Filter(), 2, before=JobId(waiting)))] == [ids[2], ids[1]]
    assert store.run(store.cancel(Filter(names=("Rust",)), 10)).ids == (waiting,)
    assert [row["headers"]["stoker"]["state"] for row in peer.rows("a", "mail")] == ["cancelled"]


# -- queues ---------------------------------------------------------------------------------------------------------


def test_a_queue_is_never_without_its_index_whenever_its_maker_dies(store: PgmqStore, peer: Peer) -> None:
    enqueue_one(store)

    made = peer.ask(
        "SELECT xmin::text FROM pg_class WHERE relname IN ('q_{prefix}default', 'q_{prefix}default_stoker_idx')"
    )
    assert len(made) == 2
    assert len(set(made)) == 1


def test_queues_of_others_get_no_index(store: PgmqStore, peer: Peer) -> None:
    peer.send("work", 1)

    assert len(claim(store)) == 1
    assert peer.ask("SELECT to_regclass('pgmq.\"q_{prefix}default_stoker_idx\"')") == [(None,)]


# -- installing --------------------------------------------------------------------------------------------------------


@pytest.fixture
def database(postgres_server: str) -> Iterator[str]:
    """An empty database, owned by a role that is no superuser."""
    name = f"pgmq_{secrets.token_hex(4)}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN".encode())
        connection.execute(f"CREATE DATABASE {name} OWNER {name}".encode())
        parts = urlsplit(postgres_server)
        yield parts._replace(netloc=f"{name}@{parts.hostname}:{parts.port}", path=f"/{name}").geturl()
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
        connection.execute(f"DROP ROLE {name}".encode())


def test_pgmq_is_installed_without_a_superuser_and_as_roadsters_installer_would(database: str) -> None:
    store = PgmqStore(f"pgmq+{database}", auto_migrate=False)
    with pytest.raises(SchemaOutdated, match=r"lacks pgmq 1\.13\.0, 0001_leases; run: stoker migrate"):
        enqueue_one(store)
    assert list(store.migrate()) == ["pgmq 1.13.0", "0001_leases"]
    assert list(store.migrate()) == list(store.pending_migrations()) == []

    with psycopg.connect(database) as connection:
        # What its installer asks: a row means that pgmq.sql is not to be run again, and which upgrades are.
        asked = "SELECT name, version FROM pgmq.__pgmq_migrations"
        assert connection.execute(asked).fetchall() == [("pgmq.sql", "1.13.0")]
        assert connection.execute("SELECT count(*) FROM pgmq.list_queues()").fetchone() == (0,)
    enqueue_one(store)
    assert "tracked for Roadster" in {finding.subject: finding.text for finding in store.examine()}["pgmq"]
    store.close()


def test_all_of_it_can_be_applied_by_hand(database: str) -> None:
    store = PgmqStore(f"pgmq+{database}", auto_migrate=False)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(store.migration_script().encode())

    assert list(store.pending_migrations()) == []
    assert claim_one(store).starts == 1
    store.close()


def test_a_pgmq_that_is_there_is_not_touched_however_old(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(OLD.read_bytes())
    store = PgmqStore(f"pgmq+{database}")
    assert list(store.migrate()) == ["0001_leases"]

    with psycopg.connect(database, autocommit=True) as connection:
        _lives_with_an_old_pgmq(store, connection)
        ((message,),) = connection.execute("SELECT message FROM pgmq.a_default WHERE msg_id = 1").fetchall()
    assert message["metadata"]["worker_name"] == "work"
    assert (message["stoker"]["state"], message["stoker"]["failures"]) == ("discarded", 2)
    assert [error["message"] for error in message["stoker"]["errors"]] == ["no route to host"] * 2
    store.close()


def _lives_with_an_old_pgmq(store: PgmqStore, connection: psycopg.Connection[Any]) -> None:
    first, _, late = enqueue(store, job(args='{"bb":1,"a":2}'), job(meta='{"trace":"ab"}'), job(due=Due(10**6 * 3600)))
    assert first == "default:1"
    one, two = claim(store)
    assert (one.args, two.meta) == ('{"bb":1,"a":2}', '{"trace":"ab"}')
    assert settle(store, one, State.RETRYABLE, due=Due(1), counts="failure", error=failure()) is Settled.ACCEPTED
    assert settle(store, two, State.COMPLETED) is Settled.ACCEPTED
    answer = store.run(store.claim({"default": 5}, ["work"], [""], new_token(), "w", 30 * SECOND))
    assert answer.claims == []
    # Whole seconds, rounded up: never early.
    assert answer.next_due is not None
    assert 0 < answer.next_due - answer.now <= SECOND
    connection.execute("UPDATE pgmq.q_default SET vt = now() WHERE msg_id = 1")
    (again,) = claim(store)
    assert (again.id, again.failures, again.starts) == (first, 1, 2)
    assert settle(store, again, State.DISCARDED, counts="failure", error=failure()) is Settled.ACCEPTED
    assert late == "default:3"
    _keeps_to_the_terms_of_others(store, connection)
    (held,) = store.run(store.hold(Filter(), 5, new_token(), "move to elsewhere"))
    assert (held.id, held.state, held.starts) == (late, State.SCHEDULED, 0)


def _keeps_to_the_terms_of_others(store: PgmqStore, connection: psycopg.Connection[Any]) -> None:
    message = '{"metadata": {"id": "1", "worker_name": "work"}, "args": null}'
    connection.execute("SELECT pgmq.send_batch('default', ARRAY[%s::jsonb], 0)", (message,))
    (theirs,) = claim(store)
    store.run(store.reclaim(10, [theirs.token]))
    (again,) = claim(store)
    assert (again.starts, again.max_attempts, again.keep_failed) == (2, 26, None)
    assert settle(store, again, State.COMPLETED) is Settled.ACCEPTED


def _table(peer: Peer, queue: str) -> str:
    return peer._prefix + queue
