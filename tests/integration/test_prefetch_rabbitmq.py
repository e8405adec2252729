"""What RabbitMQ pushes ahead while the window grows, while workers stop, and while suspects are fetched."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from stoker import Context, Stoker
from stoker.core.job import Claim, State, new_token
from stoker.core.settlement import Settled
from stoker.drivers.rabbitmq_link import Message, Properties
from stoker.stores.rabbitmq import RabbitStore
from stoker.stores.rabbitmq.commands import talk
from stoker.stores.rabbitmq.lane import Lane
from stoker.stores.rabbitmq.session import Session
from stoker.testing.contract.base import claim, ending, enqueue, job

pytestmark = pytest.mark.timeout(180)
JOBS = 10_000


@pytest.fixture
def store(rabbitmq_url: str) -> Iterator[RabbitStore]:
    store = RabbitStore(rabbitmq_url)
    enqueue(store, *[job() for _ in range(JOBS)])
    yield store
    store.close()


def drained(store: RabbitStore, least: int) -> Counter[int]:
    """Claim ever more at once and complete it meanwhile, until so many are; give how many crashes were of how many."""
    found: Counter[int] = Counter()
    answers: list[Settled] = []

    def complete(claimed: Sequence[Claim]) -> None:
        answers.extend(store.run(store.settle([ending(one, State.COMPLETED) for one in claimed])).values())

    with ThreadPoolExecutor(1) as thread:
        while found.total() < least:
            claimed = claim(store, 1 + found.total() // 10)
            found.update(one.crashes for one in claimed)
            for at in range(0, len(claimed), 20):
                thread.submit(complete, claimed[at : at + 20])
    assert Counter(answers) == {Settled.ACCEPTED: found.total()}
    return found


def test_nothing_counts_as_crashed_because_a_worker_asks_for_more(rabbitmq_url: str) -> None:
    app = Stoker(rabbitmq_url)
    attempts: Counter[int] = Counter()

    @app.job
    async def work(ctx: Context, number: int) -> None:
        attempts[ctx.attempt] += 1

    app.enqueue_many(work.draft(number) for number in range(JOBS))
    app.work(until_empty=True, concurrency=100)
    app.close()

    assert attempts == {1: JOBS}


def test_nothing_counts_as_crashed_because_it_was_on_its_way_to_one_who_stops(
    store: RabbitStore, rabbitmq_url: str
) -> None:
    found: Counter[int] = Counter()
    for _ in range(5):
        stops = RabbitStore(rabbitmq_url)
        while not (claimed := claim(stops, 100)):
            ...
        while len(claimed) < 300:
            stops.run(stops.settle([ending(one, State.COMPLETED) for one in claimed[-100:]]))
            claimed += claim(stops, 100)
        stops.run(stops.settle([ending(one, State.COMPLETED) for one in claimed]))
        stops.close()
        found.update(one.crashes for one in claimed)
    found += drained(store, JOBS - found.total())

    assert found.total() == JOBS
    # Some hundred at each stop without the wait; those of one, if the broker stalls for longer than a stop waits.
    assert found[1] < 200


def test_what_is_fetched_is_known_before_what_is_pushed_after_it(store: RabbitStore) -> None:
    """Else it would be acknowledged with those, and once more, which ends the channel."""

    async def fetch_between(session: Session) -> list[int]:
        _, channel = await session.connect("publishing")
        await channel.call("queue_declare", "fetched", exclusive=True)
        await channel.publish([Message("", "fetched", b"", Properties()) for _ in range(200)])
        tags: list[int] = []

        def pushed(_channel: Any, method: Any, _properties: Any, _body: bytes) -> None:
            tags.append(method.delivery_tag)
            channel.ack(method.delivery_tag)

        def fetched(_channel: Any, method: Any, _properties: Any, _body: bytes) -> None:
            tags.append(method.delivery_tag)

        await channel.consume(session.topology.key(Lane("default", "work")), pushed, _nothing, 200)
        while await channel.get("fetched", fetched, lambda: True):
            ...
        return tags

    tags = store.run(talk("fetch", fetch_between))
    assert len(tags) > 400
    assert tags == sorted(tags)


def test_a_claim_that_is_given_up_while_it_asks_for_more_keeps_nothing(store: RabbitStore) -> None:
    claimed = claim(store, 1)  # makes it consume: more is pushed than this takes

    async def give_up(session: Session) -> list[Claim]:
        while not any(lane.buffer for lane in session.deliveries.lanes):
            claimed.extend(await session.claim({"default": 1}, ["work"], new_token()))
            await asyncio.sleep(0.01)
        waiting = asyncio.ensure_future(session.claim({"default": 5_000}, ["work"], new_token()))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        return await session.claim({"default": 1}, ["work"], new_token())

    (one,) = store.run(talk("give up", give_up))
    assert one.id not in {other.id for other in claimed}
    assert one.crashes == 0


def _nothing(_tag: str) -> None: ...
