"""Publishing is confirmed, many messages at once; what no queue takes or a queue refuses is told, and so is a doubt."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from stoker.core.job import new_call
from stoker.drivers.rabbitmq_link import Message, Properties, Unconfirmed
from stoker.errors import StoreError, StoreUnavailable
from stoker.stores.rabbitmq.commands import talk
from stoker.stores.rabbitmq.session import Session
from stoker.testing.contract.base import enqueue_one, job
from tests.contract.rabbitmq_patience import PatientStore


@pytest.fixture
def store(rabbitmq_url: str) -> Iterator[PatientStore]:
    store = PatientStore(rabbitmq_url)
    yield store
    store.close()


def message(key: str, number: int) -> Message:
    return Message("", key, b"{}", Properties(message_id=str(number)))


def test_messages_that_no_queue_takes_come_back_from_among_many(store: PatientStore) -> None:
    async def publish(session: Session) -> list[Message]:
        _, channel = await session.connect("publishing")
        await channel.call("queue_declare", "", exclusive=True)
        there = (await channel.call("queue_declare", "", exclusive=True)).method.queue
        messages = [message("nowhere" if n % 100 == 7 else there, n) for n in range(1_000)]
        return await channel.publish(messages)

    returned = store.run(talk("publish", publish))
    assert [one.properties.message_id for one in returned] == [str(n) for n in range(7, 1_000, 100)]


def test_an_enqueue_that_no_queue_takes_raises(store: PatientStore, monkeypatch: pytest.MonkeyPatch) -> None:
    enqueue_one(store)

    async def nothing_is_declared(*_: object) -> None: ...

    async def delete(session: Session) -> None:
        link, _ = await session.connect("looking")
        await session.topology.delete(link)
        monkeypatch.setattr(session.topology, "ensure_lanes", nothing_is_declared)

    store.run(talk("delete", delete))
    with pytest.raises(StoreError, match="no queue takes"):
        enqueue_one(store)


def test_what_a_full_queue_refuses_is_no_success(store: PatientStore) -> None:
    async def publish(session: Session) -> None:
        _, channel = await session.connect("publishing")
        arguments = {"x-max-length": 10, "x-overflow": "reject-publish"}
        full = (await channel.call("queue_declare", "", exclusive=True, arguments=arguments)).method.queue
        with pytest.raises(Unconfirmed, match="refused"):
            await channel.publish([message(full, n) for n in range(500)])
        await channel.publish([])

    store.run(talk("publish", publish))


def test_calls_of_many_threads_are_confirmed_side_by_side(store: PatientStore) -> None:
    def enqueue_hundred(_: int) -> int:
        return len(store.run(store.enqueue([job()] * 100, new_call())))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(enqueue_hundred, range(40))) == 4_000
    assert sum(row.count for row in store.run(store.count())) == 4_000


def test_a_connection_lost_with_messages_in_flight_leaves_a_doubt_that_is_told(store: PatientStore) -> None:
    enqueue_one(store)

    async def cut(session: Session) -> None:
        link, channel = await session.connect("publishing")
        publish = channel._raw.basic_publish
        left = 5_000

        def publish_until_cut(*words: Any, **named: Any) -> None:
            nonlocal left
            left -= 1
            publish(*words, **named)
            if left == 0:
                link._raw._transport._sock.shutdown(socket.SHUT_RDWR)

        channel._raw.basic_publish = publish_until_cut

    store.run(talk("cut", cut))
    with pytest.raises(StoreUnavailable) as raised:
        store.run(store.enqueue([job()] * 10_000, new_call()))

    assert raised.value.uncertain is True
    assert enqueue_one(store)
