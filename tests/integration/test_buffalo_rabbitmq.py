"""Jobs that travel between stoker and Buffalo's AMQP adapter, here a peer that publishes and consumes as that does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from secrets import token_hex
from typing import Any

import pika
import pytest

from stoker import Stoker
from stoker.core.capability import Capability
from stoker.core.job import Due, State
from stoker.core.settlement import Settled
from stoker.errors import EnqueueError
from stoker.stores.rabbitmq import RabbitStore
from stoker.stores.rabbitmq.buffalo import BuffaloTopology
from stoker.testing.contract.base import claim, enqueue_one, failure, settle
from tests.contract.rabbitmq_patience import PatientStore
from tests.rigs.processes import until

pytestmark = pytest.mark.timeout(120)


class Peer:
    """Declares, publishes and consumes with the words of stanislas-m/amqp-work-adapter, and no others."""

    def __init__(self, url: str, exchange: str = "") -> None:
        self._connection = pika.BlockingConnection(pika.URLParameters(f"{url}/%2F"))
        self.channel = self._connection.channel()
        self._exchange = exchange
        self._queues: set[str] = set()
        if exchange:
            self.channel.exchange_declare(exchange, "direct", durable=True, auto_delete=False)

    def register(self, handler: str) -> None:
        self.channel.queue_declare(handler, durable=True, exclusive=False, auto_delete=False)
        self._queues.add(handler)

    def perform(self, handler: str, body: bytes) -> None:
        self._publish(handler, body)

    def perform_in(self, handler: str, body: bytes, seconds: int) -> None:
        arguments = {
            "x-message-ttl": seconds,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": handler,
        }
        name = f"{handler}_delayed_{seconds}"
        self.channel.queue_declare(name, durable=True, auto_delete=True, arguments=arguments)
        self._queues.add(name)
        self._publish(name, body)

    def take(self, handler: str, seconds: float = 10.0) -> tuple[Any, bytes]:
        """Consume one message and acknowledge it, as a handler that succeeds."""
        for method, properties, body in self.channel.consume(handler, auto_ack=False, inactivity_timeout=seconds):
            assert method is not None, f"nothing came in {seconds} s"
            self.channel.basic_ack(method.delivery_tag)
            self.channel.cancel()
            return properties, body
        raise AssertionError

    def waiting(self, handler: str) -> int:
        found: int = self.channel.queue_declare(handler, passive=True).method.message_count
        return found

    def close(self) -> None:
        for queue in self._queues:
            self.channel.queue_delete(queue)
        if self._exchange:
            self.channel.exchange_delete(self._exchange)
        self._connection.close()

    def _publish(self, key: str, body: bytes) -> None:
        properties = pika.BasicProperties(content_type="application/json", delivery_mode=2)
        self.channel.basic_publish(self._exchange, key, body, properties, mandatory=True)


@pytest.fixture
def url(rabbitmq_server: str) -> Iterator[str]:
    url = f"buffalo+{rabbitmq_server}?prefix=t_{token_hex(6)}"
    yield url
    store = RabbitStore(url)
    store.drop()
    store.close()


@pytest.fixture
def peer(rabbitmq_server: str) -> Iterator[Peer]:
    peer = Peer(rabbitmq_server)
    yield peer
    peer.close()


@pytest.fixture
def handler(peer: Peer) -> str:
    name = f"send_email_{token_hex(4)}"
    peer.register(name)
    return name


@pytest.fixture
def store(url: str) -> Iterator[PatientStore]:
    store = PatientStore(url)
    yield store
    store.close()


def taken(store: PatientStore, handler: str) -> Any:
    found: list[Any] = []

    def one() -> bool:
        found.extend(claim(store, 1, names=(handler,)))
        return bool(found)

    until(one, 20, "a job can be claimed")
    return found[0]


def test_a_job_of_buffalos_is_performed_with_its_arguments(peer: Peer, handler: str, url: str) -> None:
    app = Stoker(url)
    performed: list[tuple[str, int]] = []

    @app.job(name=handler)
    def send_email(to: str, user_id: int) -> None:
        performed.append((to, user_id))

    peer.perform(handler, b'{"to":"ann@example.org","user_id":12345678901234567890}')
    app.work(until_empty=True)

    assert performed == [("ann@example.org", 12345678901234567890)]
    assert peer.waiting(handler) == 0


@pytest.mark.parametrize("body", [b"null", b"{}", b"null\n"])
def test_a_job_of_buffalos_without_arguments_is_performed(
    peer: Peer, handler: str, store: PatientStore, body: bytes
) -> None:
    peer.perform(handler, body)

    one = taken(store, handler)
    assert (one.args, one.defect, one.queue, one.attempt) == ("{}", None, "default", 1)
    assert abs(one.enqueued_at / 1e6 - time.time()) < 30
    assert settle(store, one, State.COMPLETED) is Settled.ACCEPTED
    assert peer.waiting(handler) == 0


def test_buffalo_takes_what_stoker_enqueued_and_it_is_what_the_adapter_would_write(
    peer: Peer, handler: str, store: PatientStore
) -> None:
    enqueue_one(store, handler, '{"to":"ann","n":1}', keep=86_400_000_000, keep_failed=1_209_600_000_000)

    properties, body = peer.take(handler)
    assert body == b'{"to":"ann","n":1}'
    written = {name: value for name, value in vars(properties).items() if value is not None}
    assert written == {"content_type": "application/json", "delivery_mode": 2}


def test_a_job_without_arguments_has_the_body_null(peer: Peer, handler: str, store: PatientStore) -> None:
    enqueue_one(store, handler, "{}")

    assert peer.take(handler)[1] == b"null"


def test_arguments_by_position_are_refused_with_the_reason(handler: str, store: PatientStore) -> None:
    with pytest.raises(EnqueueError, match="by name"):
        enqueue_one(store, handler, "[1, 2]")


def test_a_handler_that_stoker_declared_first_is_declared_again_by_buffalo(peer: Peer, store: PatientStore) -> None:
    handler = f"first_{token_hex(4)}"
    assert claim(store, 1, names=(handler,)) == []
    peer.register(handler)
    peer.perform(handler, b'{"n":1}')

    assert taken(store, handler).args == '{"n":1}'


def test_what_is_for_later_comes_to_buffalo_at_its_time(peer: Peer, handler: str, store: PatientStore) -> None:
    began = time.time()
    enqueue_one(store, handler, '{"n":1}', due=Due(1_200_000))

    _, body = peer.take(handler)
    assert body == b'{"n":1}'
    assert time.time() - began >= 1.2


def test_a_delaying_queue_that_was_not_needed_for_long_is_declared_again(
    peer: Peer, handler: str, store: PatientStore
) -> None:
    enqueue_one(store, handler, '{"n":1}', due=Due(900_000))
    prefix = store.url.partition("prefix=")[2]
    peer.take(handler)
    peer.channel.queue_delete(f"{prefix}:delayed:1s")  # as the broker does after a while
    enqueue_one(store, handler, '{"n":2}', due=Due(900_000))

    assert peer.take(handler)[1] == b'{"n":2}'


@pytest.mark.parametrize(
    ("delay", "waits"), [(1, 1), (1_000, 1_000), (60_001, 70_000), (3_600_001, 3_660_000), (86_400_001, 87_000_000)]
)
def test_a_delay_is_rounded_up_and_never_down(delay: int, waits: int) -> None:
    assert BuffaloTopology("p", "").step(delay * 1000) == max(waits, 1_000) * 1000


def test_a_delay_longer_than_a_message_may_wait_is_refused(handler: str, store: PatientStore) -> None:
    with pytest.raises(EnqueueError, match="49 days"):
        enqueue_one(store, handler, "{}", due=Due(50 * 86_400_000_000))


def test_what_buffalo_delayed_is_performed_and_its_delaying_queue_disturbs_nothing(
    peer: Peer, handler: str, store: PatientStore
) -> None:
    peer.perform_in(handler, b"null", 5)  # the adapter writes seconds where the broker reads milliseconds
    enqueue_one(store, handler, '{"n":1}', due=Due(5_000))

    assert sorted(taken(store, handler).args for _ in range(2)) == ['{"n":1}', "{}"]


def test_a_retry_keeps_the_body_and_counts_where_buffalo_does_not_look(
    peer: Peer, handler: str, store: PatientStore
) -> None:
    peer.perform(handler, b"null")
    first = taken(store, handler)
    settle(store, first, State.RETRYABLE, due=Due(200_000), counts="failure", error=failure())

    again = taken(store, handler)
    assert (again.id, again.args, again.failures, again.enqueued_at) == (first.id, "{}", 1, first.enqueued_at)
    settle(store, again, State.RETRYABLE, due=Due(200_000), counts="failure", error=failure())
    properties, body = peer.take(handler)
    assert (body, properties.headers["stoker-failures"]) == (b"null", 2)


def test_an_exhausted_job_is_parked_and_leaves_its_handler(peer: Peer, handler: str, store: PatientStore) -> None:
    peer.perform(handler, b"\xff no JSON")
    one = taken(store, handler)
    assert "UTF-8" in str(one.defect)
    settle(store, one, State.DISCARDED, counts="failure", error=failure())

    assert peer.waiting(handler) == 0
    prefix = store.url.partition("prefix=")[2]
    until(lambda: peer.waiting(f"{prefix}:parked") == 1, 10, "it is parked")
    properties, body = peer.take(f"{prefix}:parked")
    assert (body, properties.headers["stoker-queue"]) == (b"\xff no JSON", handler)


def test_a_named_exchange_reaches_the_handlers_that_stoker_serves(rabbitmq_server: str, url: str) -> None:
    exchange = f"work_{token_hex(4)}"
    peer, store = Peer(rabbitmq_server, exchange), PatientStore(f"{url}&exchange={exchange}")
    handler = f"resize_{token_hex(4)}"
    peer.register(handler)
    assert claim(store, 1, names=(handler,)) == []  # serving it binds it
    peer.perform(handler, b'{"n":1}')
    enqueue_one(store, handler, '{"n":2}')

    assert sorted(taken(store, handler).args for _ in range(2)) == ['{"n":1}', '{"n":2}']
    store.close()
    peer.close()


def test_dropping_the_store_leaves_the_handlers_to_their_owner(peer: Peer, handler: str, store: PatientStore) -> None:
    enqueue_one(store, handler, '{"n":1}')
    assert [(row.queue, row.name, row.count) for row in store.run(store.count())] == [("default", handler, 1)]
    store.drop()

    assert peer.waiting(handler) == 1


def test_it_can_what_a_broker_can(store: PatientStore) -> None:
    assert store.supports(Capability.SCHEDULE | Capability.LEASE | Capability.SELECTIVE)
    assert not store.supports(Capability.UNIQUE)
    assert all(finding.level == "ok" for finding in store.examine())
