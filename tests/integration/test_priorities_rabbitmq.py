"""Priorities on a broker: classic queues have them, where the URL asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stoker.core.capability import Capability
from stoker.core.job import Claim, Due, State
from stoker.errors import ConfigurationError, EnqueueError, NotSupported
from stoker.stores.rabbitmq import RabbitStore
from stoker.testing.contract.base import claim, enqueue, enqueue_one, failure, job, settle
from tests.contract.rabbitmq_patience import PatientStore
from tests.rigs.processes import until


@pytest.fixture
def store(rabbitmq_url: str) -> Iterator[PatientStore]:
    store = PatientStore(f"{rabbitmq_url}&priorities=classic")
    yield store
    store.close()


def taken_later(store: PatientStore) -> Claim:
    """Wait for a job and claim it."""
    found: list[Claim] = []

    def one() -> bool:
        found.extend(claim(store, 1))
        return bool(found)

    until(one, 20, "a job can be claimed")
    return found[0]


def test_what_is_more_urgent_is_claimed_first_and_equals_in_their_order(store: PatientStore) -> None:
    enqueue(store, *[job(args=f"[{n}]", priority=priority) for n, priority in enumerate((0, -5, 5, 0, 3))])

    taken = [one for _ in range(5) for one in claim(store, 1)]
    assert [(one.priority, one.args) for one in taken] == [(5, "[2]"), (3, "[4]"), (0, "[0]"), (0, "[3]"), (-5, "[1]")]


def test_one_claim_gives_many_in_their_order_over_all_names(store: PatientStore) -> None:
    assert claim(store, 5, names=("work", "other")) == []
    enqueue(store, job("other", priority=-1), job(priority=1), job("other", priority=2), job())
    until(lambda: sum(row.count for row in store.run(store.count())) >= 4, 10, "all are there")

    taken = claim(store, 10, names=("work", "other"))
    assert sorted(one.priority for one in taken) == [-1, 0, 1, 2]


def test_a_retry_and_a_delay_keep_the_priority(store: PatientStore) -> None:
    enqueue_one(store, priority=4, due=Due(200_000))
    first = taken_later(store)
    settle(store, first, State.RETRYABLE, due=Due(200_000), counts="failure", error=failure())

    assert [first.priority, taken_later(store).priority] == [4, 4]


def test_the_flag_is_that_of_the_url(store: PatientStore, rabbitmq_url: str) -> None:
    plain = RabbitStore(rabbitmq_url)

    assert store.supports(Capability.PRIORITY)
    assert not plain.supports(Capability.PRIORITY)
    with pytest.raises(NotSupported, match="PRIORITY"):
        enqueue_one(plain, priority=1)
    assert "with priorities" in next(one.text for one in store.examine() if one.subject == "queues")


def test_a_priority_beyond_the_brokers_is_refused(store: PatientStore) -> None:
    with pytest.raises(EnqueueError, match="from -5 to 5"):
        enqueue_one(store, priority=6)


def test_queues_that_were_made_without_priorities_are_explained(store: PatientStore, rabbitmq_url: str) -> None:
    plain = RabbitStore(rabbitmq_url)
    enqueue_one(plain)
    with pytest.raises(ConfigurationError, match=r"made with other properties.*prefix"):
        enqueue_one(store, priority=1)
    plain.close()
