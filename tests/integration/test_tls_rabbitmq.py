"""A broker that speaks TLS with a certificate of an authority of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stoker.core.job import State
from stoker.core.settlement import Settled
from stoker.errors import StoreUnavailable
from stoker.stores.rabbitmq import RabbitStore
from stoker.testing.contract.base import claim, enqueue_one, settle
from tests.conftest import miss_rabbitmq
from tests.contract.rabbitmq_patience import PatientStore
from tests.rigs.rabbitmq import RabbitMq
from tests.rigs.servers import running
from tests.rigs.tls import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def broker(authority: Authority) -> Iterator[RabbitMq]:
    miss_rabbitmq()
    with running(RabbitMq(authority)) as broker:
        yield broker


def test_jobs_travel_over_tls_with_a_certificate_of_ones_own(broker: RabbitMq, authority: Authority) -> None:
    certificate, key = authority.sign("worker")
    files = f"ca_certs={authority.certificate}&certfile={certificate}&keyfile={key}"
    store = PatientStore(f"amqps://guest:guest@localhost:{broker.tls_port}/?{files}")
    enqueued = enqueue_one(store)
    (claimed,) = claim(store)

    assert claimed.id == enqueued
    assert settle(store, claimed, State.COMPLETED) is Settled.ACCEPTED
    assert "CN=worker" in broker.control("list_connections", "ssl", "peer_cert_subject")
    store.close()


@pytest.mark.parametrize(
    ("host", "trusts", "text"),
    [
        ("localhost", "nobody", r"certificate.*ca_certs="),
        ("localhost", "another", r"certificate.*ca_certs="),
        ("127.0.0.1", "it", r"another name.*127\.0\.0\.1"),
    ],
)
def test_a_certificate_that_cannot_be_trusted_is_told_at_once_in_one_line(
    broker: RabbitMq, authority: Authority, tmp_path: Path, host: str, trusts: str, text: str
) -> None:
    trusted = {"nobody": "", "another": f"?ca_certs={Authority(tmp_path).certificate}"}
    query = trusted.get(trusts, f"?ca_certs={authority.certificate}")
    store = RabbitStore(f"amqps://guest:guest@{host}:{broker.tls_port}/{query}")
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=text) as raised:
        enqueue_one(store)

    assert time.monotonic() - began < 5  # the timeout is ten: no second try would end otherwise
    assert "\n" not in str(raised.value)
    assert raised.value.uncertain is False
    store.close()


def test_a_certificate_is_not_looked_at_where_nobody_wants_it(broker: RabbitMq) -> None:
    store = PatientStore(f"amqps://guest:guest@127.0.0.1:{broker.tls_port}/?verify=none")

    assert [enqueue_one(store)] == [one.id for one in claim(store)]
    store.drop()
    store.close()


def test_tls_to_a_port_without_it_is_explained(broker: RabbitMq) -> None:
    store = RabbitStore(f"amqps://guest:guest@localhost:{broker.port}/?timeout=2s")
    with pytest.raises(StoreUnavailable, match="amqp://"):
        enqueue_one(store)
    store.close()
