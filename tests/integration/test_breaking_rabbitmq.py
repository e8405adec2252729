"""Jobs on a RabbitMQ that restarts, closes connections and channels, runs out of memory and forgets consumers."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stoker.core.job import Claim, Due, NewJob, State, new_call
from stoker.core.settlement import Settled
from stoker.drivers.rabbitmq_link import Message, Properties
from stoker.errors import ConfigurationError, NotSupported, StoreUnavailable
from stoker.stores.rabbitmq import RabbitStore
from stoker.stores.rabbitmq.commands import talk
from stoker.stores.rabbitmq.lane import Lane
from stoker.stores.rabbitmq.session import Session
from stoker.stores.rabbitmq.topology import Topology
from stoker.testing.contract.base import claim, enqueue, enqueue_one, failure, job, settle
from tests.contract.rabbitmq_patience import PatientStore
from tests.rigs.processes import Processes, processes, until
from tests.rigs.rabbitmq import RabbitMq

WORKER = "tests.integration.apps.ledger"
pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def store(rabbitmq_url: str) -> Iterator[PatientStore]:
    store = PatientStore(rabbitmq_url)
    yield store
    store.close()


def claimed(store: PatientStore, **fields: Any) -> Claim:
    """Wait for a job and claim it."""
    found: list[Claim] = []

    def one() -> bool:
        found.extend(claim(store, 1, **fields))
        return bool(found)

    until(one, 20, "a job can be claimed")
    return found[0]


def messages(store: RabbitStore, queue: str) -> list[tuple[Any, bytes]]:
    """Take what is in a queue, with properties."""

    async def take_all(session: Session) -> list[tuple[Any, bytes]]:
        link, _ = await session.connect("publishing")
        channel = await link.channel()
        taken: list[tuple[Any, bytes]] = []

        def take(_channel: Any, method: Any, properties: Any, body: bytes) -> None:
            channel.ack(method.delivery_tag)
            taken.append((properties, body))

        while await channel.get(queue, take, lambda: True):
            ...
        return taken

    return store.run(talk("take", take_all))


def delete(store: RabbitStore, name: Callable[[Topology], str]) -> None:
    """Delete a queue, as an operator does."""

    async def delete_it(session: Session) -> None:
        link, _ = await session.connect("publishing")
        channel = await link.channel()
        await channel.call("queue_delete", name(session.topology))

    store.run(talk("delete", delete_it))


def work_queue(topology: Topology) -> str:
    return topology.key(Lane("default", "work"))


def parked(store: RabbitStore) -> list[Any]:
    """Take the headers of what was given up."""
    prefix = store.url.partition("prefix=")[2] or "stoker"
    return [properties.headers for properties, _ in messages(store, f"{prefix}:parked")]


def broken_channel(store: RabbitStore) -> None:
    """Have the broker close the channel on which jobs were delivered."""

    async def break_it(session: Session) -> None:
        _, channel = await session.connect("consuming")
        channel.ack(987_654)

    held = store.run(talk("break", break_it))
    assert held is None


# -- the lease is the channel ------------------------------------------------------------------------------------------


def test_a_job_whose_channel_was_closed_runs_again_as_a_suspect_and_the_late_ending_is_lost(
    store: PatientStore,
) -> None:
    enqueue_one(store)
    first = claimed(store)
    broken_channel(store)
    until(lambda: first.token in store.run(store.extend([first.token], 1)).missing, 10, "the lease is missing")

    assert settle(store, first, State.COMPLETED) is Settled.LOST
    again = claimed(store)
    assert (again.id, again.crashes, again.suspect) == (first.id, 1, True)
    assert settle(store, again, State.COMPLETED) is Settled.ACCEPTED
    assert claim(store) == []


def test_a_job_that_takes_its_channel_down_three_times_is_parked_with_the_reason(store: PatientStore) -> None:
    culprit = enqueue_one(store)
    for crashes in range(3):
        assert claimed(store).crashes == crashes
        broken_channel(store)
    until(lambda: store.run(store.count()) and not claim(store), 20, "nothing can be claimed")

    until(lambda: any(row.queue == "(parked)" for row in store.run(store.count())), 10, "it is parked")
    (headers,) = parked(store)
    assert headers["stoker-reason"].startswith("LeaseExpired: ")
    assert headers["stoker-crashes"] == 3
    assert msgspec.json.decode(headers["stoker-error"])["type"] == "LeaseExpired"
    assert culprit


def test_neighbours_of_a_culprit_are_counted_once_and_run(store: PatientStore) -> None:
    ids = enqueue(store, *[job(args=str(number)) for number in range(5)])
    assert len(claim(store, 5)) == 5
    broken_channel(store)

    counted: dict[str, int] = {}
    for _ in range(5):
        one = claimed(store)
        assert claim(store) == []  # a process has one suspect at a time
        counted[one.id] = one.crashes
        settle(store, one, State.COMPLETED)
    assert counted == dict.fromkeys(ids, 1)


def test_jobs_that_were_pushed_and_not_claimed_go_back_uncounted(rabbitmq_url: str) -> None:
    first, second = PatientStore(rabbitmq_url), PatientStore(rabbitmq_url)
    enqueue_one(first)
    (one,) = claim(first, 3)
    settle(first, one, State.COMPLETED)
    ids = enqueue(first, job(), job(), job())
    until(lambda: first.run(talk("look", pushed)) == 3, 10, "all are pushed")
    first.close()

    found = claim(second, 3)
    assert {one.id: one.crashes for one in found} == dict.fromkeys(ids, 0)
    second.close()


async def pushed(session: Session) -> int:
    return sum(len(lane.buffer) for lane in session.deliveries.lanes)


# -- retries, delays, parking ------------------------------------------------------------------------------------------


def test_a_delayed_job_comes_at_its_time_and_not_before(store: PatientStore) -> None:
    began = time.time()
    enqueue_one(store, due=Due(1_300_000))
    assert claim(store) == []

    one = claimed(store)
    assert 1.3 <= time.time() - began < 3.5
    assert one.due - one.enqueued_at == 1_300_000


def test_a_retry_keeps_arguments_and_counters_and_comes_later(store: PatientStore) -> None:
    enqueue_one(store, args='{"n":123456789012345678901234567890,"a":[]}')
    first = claimed(store)
    began = time.time()
    ended = settle(store, first, State.RETRYABLE, due=Due(700_000), counts="failure", error=failure())

    again = claimed(store)
    assert ended is Settled.ACCEPTED
    assert time.time() - began >= 0.7
    assert (again.id, again.args, again.failures, again.starts, again.attempt) == (first.id, first.args, 1, 2, 2)
    assert again.crashes == 0


def test_an_exhausted_job_is_parked_with_its_error_and_dropped_after_its_time(store: PatientStore) -> None:
    enqueue_one(store, keep_failed=60_000_000)
    one = claimed(store)
    settle(store, one, State.DISCARDED, keep=one.keep_failed, counts="failure", error=failure("no route", "OSError"))

    prefix = store.url.partition("prefix=")[2]
    ((properties, body),) = messages(store, f"{prefix}:parked")
    assert (properties.headers["stoker-reason"], body) == ("OSError: no route", b'{"n":1}')
    assert properties.headers["stoker-queue"] == f"{prefix}:jobs:default:work"
    assert properties.expiration == "60000"


def test_a_job_that_is_not_kept_is_gone(store: PatientStore) -> None:
    enqueue_one(store)
    settle(store, claimed(store), State.DISCARDED, keep=0, error=failure())

    assert store.run(store.count()) == []


def test_a_foreign_message_is_claimed_with_a_defect_and_named(store: PatientStore) -> None:
    enqueue_one(store)
    settle(store, claimed(store), State.COMPLETED)

    async def intrude(session: Session) -> None:
        _, channel = await session.connect("publishing")
        key = session.topology.key(Lane("default", "work"))
        await channel.publish([Message("", key, b"\xff\xfe", Properties())])

    store.run(talk("intrude", intrude))
    one = claimed(store)
    assert one.defect is not None
    assert "UTF-8" in one.defect


# -- what it cannot do is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "flag"),
    [
        ({"priority": 3}, "PRIORITY"),
        ({"route": "gpu"}, "TAGS"),
        ({"batch": "b"}, "BATCH"),
        ({"expires": Due(1)}, "EXPIRY"),
    ],
)
def test_what_a_broker_lacks_is_refused_and_nothing_stored(
    store: PatientStore, fields: dict[str, Any], flag: str
) -> None:
    with pytest.raises(NotSupported, match=flag):
        enqueue_one(store, **fields)
    assert store.run(store.count()) == []


def test_a_queue_that_others_made_otherwise_is_explained(store: PatientStore) -> None:
    async def squat(session: Session) -> None:
        link, _ = await session.connect("publishing")
        channel = await link.channel()
        await channel.call("queue_declare", session.topology.key(Lane("default", "work")), durable=True)

    store.run(talk("squat", squat))
    with pytest.raises(ConfigurationError, match=r"made with other properties.*prefix"):
        enqueue_one(store)


# -- the broker --------------------------------------------------------------------------------------------------------


def test_a_deleted_queue_is_declared_again_by_the_next_enqueue_and_consumed_again(store: PatientStore) -> None:
    enqueue_one(store)
    settle(store, claimed(store), State.COMPLETED)

    async def consumed(session: Session) -> bool:
        return any(lane.consumers for lane in session.deliveries.lanes)

    delete(store, work_queue)
    until(lambda: not store.run(talk("look", consumed)), 30, "the broker has cancelled the consumer")
    enqueued = enqueue_one(store)

    assert claimed(store).id == enqueued


def test_a_queue_deleted_under_a_consumer_is_declared_again_by_the_consumer(store: PatientStore) -> None:
    enqueue_one(store, name="other")
    held = claimed(store, names=["other"])
    enqueue_one(store)
    settle(store, claimed(store), State.COMPLETED)
    elsewhere = RabbitStore(store.url)

    async def consumed(session: Session) -> bool:
        return any(lane.consumers for lane in session.deliveries.lanes if lane.lane.name == "work")

    delete(elsewhere, work_queue)
    until(lambda: not store.run(talk("look", consumed)), 30, "the broker has cancelled the consumer")
    assert claim(store, names=["work"]) == []
    assert store.run(talk("look", consumed))
    assert settle(store, held, State.COMPLETED) is Settled.ACCEPTED
    enqueued = enqueue_one(elsewhere)
    elsewhere.close()

    assert claimed(store).id == enqueued


def test_a_deleted_queue_of_suspects_keeps_no_claim_from_the_others(store: PatientStore) -> None:
    enqueue_one(store)
    claimed(store)
    broken_channel(store)
    suspect = claimed(store)
    assert settle(store, suspect, State.COMPLETED) is Settled.ACCEPTED

    delete(store, lambda topology: topology.key(Lane("default", "work", suspects=True)))
    enqueued = enqueue_one(store)
    assert claimed(store).id == enqueued


def test_a_deleted_list_of_lanes_is_followed_anew(store: PatientStore) -> None:
    enqueue_one(store)
    settle(store, claimed(store), State.COMPLETED)

    async def follows(session: Session) -> bool:
        return session._following is not None and session._following.ended is None

    delete(store, lambda topology: topology.listing)
    until(lambda: not store.run(talk("look", follows)), 10, "the end of the list is noticed")
    elsewhere = RabbitStore(store.url)
    enqueued = enqueue_one(elsewhere, name="new")
    elsewhere.close()

    assert claimed(store, names=["new"]).id == enqueued


def test_a_restarted_broker_has_all_jobs_and_what_was_claimed_runs_again(own_rabbitmq: RabbitMq) -> None:
    store = PatientStore(own_rabbitmq.url)
    ids = enqueue(store, *[job(args=str(number)) for number in range(3)])
    first = claimed(store)
    later = enqueue_one(store, due=Due(2_000_000))
    own_rabbitmq.restart()

    assert first.token in store.run(store.extend([first.token], 1)).missing
    done: list[Claim] = []
    while len(done) < 4:
        done.append(claimed(store))
        settle(store, done[-1], State.COMPLETED)
    assert {one.id for one in done} == {*ids, later}
    assert {one.crashes for one in done if one.id == first.id} == {1}
    store.close()


def test_a_broker_that_is_away_is_unavailable_and_nothing_is_uncertain(own_rabbitmq: RabbitMq) -> None:
    own_rabbitmq.stop()
    store = RabbitStore(f"{own_rabbitmq.url}/?timeout=1s")
    with pytest.raises(StoreUnavailable, match=r"does not answer \(enqueue\): ConnectionRefusedError: ") as raised:
        enqueue_one(store)
    assert raised.value.uncertain is False
    store.close()


def test_a_broker_without_memory_refuses_new_jobs_aloud_while_endings_get_through(own_rabbitmq: RabbitMq) -> None:
    store = PatientStore(f"{own_rabbitmq.url}/?timeout=3s")
    enqueue(store, job(), job())
    first = claimed(store)
    own_rabbitmq.control("set_vm_memory_high_watermark", "0.00001")
    with pytest.raises(StoreUnavailable, match="memory") as raised:
        enqueue_one(store)

    assert raised.value.uncertain is True
    assert settle(store, first, State.COMPLETED) is Settled.ACCEPTED
    doctor = PatientStore(own_rabbitmq.url)  # has published nothing yet, so nobody told it
    assert [one.level for one in doctor.examine() if one.subject == "alarm"] == ["fail"]
    doctor.close()
    own_rabbitmq.control("set_vm_memory_high_watermark", "0.6")
    until(lambda: bool(enqueue_one(store)), 20, "jobs are taken again")
    store.close()


def test_connections_closed_by_an_operator_are_opened_again(own_rabbitmq: RabbitMq) -> None:
    store = PatientStore(own_rabbitmq.url)
    enqueue(store, job(), job())
    first = claimed(store)
    own_rabbitmq.control("close_all_connections", "maintenance")

    assert settle(store, first, State.COMPLETED) is Settled.LOST
    assert {claimed(store).id, enqueue_one(store)}
    store.close()


def test_a_job_that_runs_longer_than_the_broker_allows_is_told_that_its_lease_is_lost_and_runs_again(
    own_rabbitmq: RabbitMq, caplog: pytest.LogCaptureFixture
) -> None:
    own_rabbitmq.limit_unacknowledged(1_000)
    store = PatientStore(own_rabbitmq.url)
    enqueue_one(store)
    first = claimed(store)
    until(lambda: first.token in store.run(store.extend([first.token], 1)).missing, 20, "the lease is missing")
    own_rabbitmq.limit_unacknowledged(1_800_000)

    assert settle(store, first, State.COMPLETED) is Settled.LOST
    assert "consumer_timeout" in caplog.text
    again = claimed(store)
    assert (again.id, again.crashes) == (first.id, 1)
    assert settle(store, again, State.COMPLETED) is Settled.ACCEPTED
    store.close()


# -- workers -----------------------------------------------------------------------------------------------------------


class Crew:
    """Workers on a broker, and what they wrote down."""

    def __init__(self, url: str, folder: Path, started: Processes) -> None:
        self.store = RabbitStore(url)
        self._ledger = folder / "ledger"
        self._processes = started

    def worker(self) -> subprocess.Popen[bytes]:
        return self._processes.start(WORKER)

    def lines(self) -> list[str]:
        return self._ledger.read_text().splitlines() if self._ledger.exists() else []

    def notes(self, first: int, last: int) -> None:
        jobs = [NewJob("note", f'{{"n":{n}}}', max_attempts=1) for n in range(first, last)]
        self.store.run(self.store.enqueue(jobs, new_call()))

    def has_done(self, total: int) -> bool:
        return {int(line) for line in self.lines() if line.isdecimal()} == set(range(total))


@contextmanager
def crew_on(url: str, folder: Path) -> Iterator[Crew]:
    environment = {"LEDGER_URL": url, "LEDGER": str(folder / "ledger"), "LEDGER_POLL": "60s"}
    with processes(folder, **environment) as started:
        crew = Crew(url, folder, started)
        yield crew
        crew.store.close()


@pytest.fixture
def crew(rabbitmq_url: str, tmp_path: Path) -> Iterator[Crew]:
    with crew_on(rabbitmq_url, tmp_path) as crew:
        yield crew


def test_a_worker_killed_again_and_again_loses_no_job(crew: Crew) -> None:
    crew.notes(0, 600)
    for count in (100, 250):
        worker = crew.worker()
        until(lambda count=count: len(crew.lines()) >= count, 60, "it works")  # type: ignore[misc]
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    crew.worker()

    until(lambda: crew.has_done(600), 60, "all is done")


def test_a_job_that_kills_its_worker_is_parked_and_its_neighbours_are_done(crew: Crew) -> None:
    crew.notes(0, 20)
    crew.store.run(crew.store.enqueue([NewJob("poison", "{}")], new_call()))
    crew.notes(20, 40)
    for _ in range(3):
        worker = crew.worker()
        worker.wait(60)
        assert worker.returncode == -signal.SIGKILL
    crew.worker()

    until(lambda: crew.has_done(40), 60, "the neighbours are done")
    until(lambda: any(row.queue == "(parked)" for row in crew.store.run(crew.store.count())), 30, "it is parked")
    (headers,) = parked(crew.store)
    assert headers["stoker-reason"].startswith("LeaseExpired")


def test_a_worker_goes_on_after_the_broker_was_restarted(own_rabbitmq: RabbitMq, tmp_path: Path) -> None:
    with crew_on(own_rabbitmq.url, tmp_path) as crew:
        crew.notes(0, 300)
        crew.worker()
        until(lambda: len(crew.lines()) >= 50, 60, "it works")
        own_rabbitmq.restart()
        crew.notes(300, 400)

        until(lambda: crew.has_done(400), 60, "all is done")


def test_an_idle_worker_that_polls_once_a_minute_is_woken_by_an_enqueue_elsewhere(crew: Crew) -> None:
    crew.notes(0, 1)
    crew.worker()
    until(lambda: crew.has_done(1), 60, "it works")
    began = time.monotonic()
    crew.notes(1, 2)

    until(lambda: crew.has_done(2), 30, "it wakes")
    assert time.monotonic() - began < 20
