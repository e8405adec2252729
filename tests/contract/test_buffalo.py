"""What Buffalo's form changes of the contract, what is written and read; the rest is RabbitMQ's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from secrets import token_hex
from typing import Final

import pytest

from stoker.core.clock import Clock
from stoker.stores.base import Store
from stoker.stores.rabbitmq.buffalo import BuffaloTopology
from stoker.stores.rabbitmq.lane import Lane
from stoker.testing.contract import Place
from stoker.testing.contract.claim import ClaimContract
from stoker.testing.contract.enqueue import EnqueueContract
from stoker.testing.contract.settle import SettleContract
from tests.contract.rabbitmq_patience import HurriedClock, PatientStore
from tests.contract.test_rabbitmq import clock_for

NO_OBJECTS: Final = (
    "test_answers_come_in_the_order_of_the_jobs",
    "test_the_async_way_does_the_same",
    "test_arguments_arrive_byte_for_byte",
)


class Handlers(BuffaloTopology):
    """Handlers that no other test has, and that are dropped: the form knows no prefix for them."""

    def handler(self, name: str) -> str:
        return f"{self._prefix}.{name}"

    def _ours(self, lanes: Iterable[Lane]) -> list[Lane]:
        return [*lanes]


class BuffaloStore(PatientStore):
    def __init__(self, url: str, clock: Clock | None = None) -> None:
        super().__init__(url, clock)
        self._running.topology = lambda: Handlers(url.partition("prefix=")[2], "")  # type: ignore[method-assign]


@pytest.fixture
def place(rabbitmq_server: str) -> Iterator[Place]:
    url = f"buffalo+{rabbitmq_server}?prefix=t_{token_hex(6)}"
    opened: list[BuffaloStore] = []

    def connect(*, clock: HurriedClock) -> Store:
        opened.append(BuffaloStore(url, clock))
        return opened[-1]

    yield Place(connect)
    if any(store.was_reached for store in opened):
        store = BuffaloStore(url)
        store.drop()
        store.close()


class TestBuffalo(EnqueueContract, ClaimContract, SettleContract):
    @pytest.fixture
    def clock(self, request: pytest.FixtureRequest) -> HurriedClock:
        if request.function.__name__ in NO_OBJECTS:
            pytest.skip("its arguments are a JSON object, and refused otherwise: see test_buffalo_rabbitmq.py")
        return clock_for(request)
