"""Tags, weights, strict order and turns by age, as a worker keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tests.rigs.worker import Rig


def noting(rig: Rig, **options: Any) -> tuple[Any, list[str]]:
    order: list[str] = []

    @rig.app.job(**options)
    async def note(word: str) -> None:
        order.append(word)

    return note, order


@pytest.mark.parametrize(
    ("choice", "taken"),
    [
        ({}, ["plain"]),
        ({"tags": ("gpu",)}, ["eu,gpu", "gpu"]),
        ({"tags": ("gpu", "ssd")}, ["eu,gpu", "gpu", "ssd"]),
        ({"tags": ("GPU",)}, []),
        ({"all_tags": True}, ["eu,gpu", "gpu", "plain", "ssd"]),
    ],
)
async def test_a_worker_takes_the_jobs_of_its_tags(rig: Rig, choice: dict[str, Any], taken: Sequence[str]) -> None:
    note, order = noting(rig)
    for tags in ((), ("gpu",), ("eu", "gpu"), ("ssd",)):
        note.using(tags=tags).enqueue(",".join(tags) or "plain")
    async with rig.working(**choice):
        await rig.settle_down()
    assert sorted(order) == taken


async def test_a_waiting_worker_learns_of_a_new_set_of_tags_when_it_is_woken(rig: Rig) -> None:
    note, order = noting(rig)
    async with rig.working(tags=("gpu",)):
        await rig.pass_time(0.5)
        note.using(tags=["gpu", "new"]).enqueue("woken")
        await rig.pass_time(0.2)
        assert order == ["woken"]


async def test_a_worker_ends_when_nothing_of_its_tags_is_left(rig: Rig) -> None:
    note, order = noting(rig, tags=["gpu"])
    note.enqueue("mine")
    note.using(tags=["ssd"]).enqueue("not mine")
    worker = rig.make(tags=("gpu",))
    await rig.drive(asyncio.ensure_future(worker.run(until_empty=True)))
    assert order == ["mine"]


async def test_a_worker_without_tags_never_asks_for_routes(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    note, order = noting(rig)
    note.enqueue("plain")
    asked: list[str] = []
    monkeypatch.setattr(rig.store, "routes", lambda: asked.append("routes"))
    async with rig.working():
        await rig.pass_time(5)
    assert asked == []
    assert order == ["plain"]


async def test_queues_in_strict_order_are_emptied_one_after_the_other(rig: Rig) -> None:
    note, order = noting(rig)
    for number in range(3):
        for queue in ("low", "high", "middle"):
            note.using(queue=queue).enqueue(f"{queue} {number}")
    async with rig.working(queues=("high", "middle", "low"), strict_order=True, concurrency=1):
        await rig.settle_down()
    assert [word.split()[0] for word in order] == ["high"] * 3 + ["middle"] * 3 + ["low"] * 3


async def test_an_earlier_queue_goes_first_again_as_soon_as_it_has_a_job(rig: Rig) -> None:
    order: list[str] = []

    @rig.app.job
    async def note(word: str) -> None:
        order.append(word)
        if word == "low 2":
            await note.using(queue="high").aenqueue("high")

    for number in range(6):
        note.using(queue="low").enqueue(f"low {number}")
    async with rig.working(queues=("high", "low"), strict_order=True, concurrency=1):
        await rig.settle_down()
    assert "high" in order[3:5]


async def test_a_steady_stream_of_high_priorities_does_not_hold_up_a_low_one_for_ever() -> None:
    rig = Rig(**{"workers.oldest_every": 10})
    order: list[str] = []

    @rig.app.job
    async def note(word: str) -> None:
        order.append(word)
        if word == "high" and len(order) < 100:
            await note.using(priority=10).aenqueue("high")

    note.using(priority=-10).enqueue("low")
    for _ in range(3):
        note.using(priority=10).enqueue("high")
    async with rig.working(concurrency=1):
        await rig.settle_down()
    assert order.index("low") <= 21


async def test_without_turns_by_age_it_is_the_last(rig: Rig) -> None:
    note, order = noting(rig)
    note.using(priority=-10).enqueue("low")
    rig.app.enqueue_many([note.using(priority=10).draft("high") for _ in range(30)])
    async with rig.working(concurrency=1):
        await rig.pass_time(2)
    assert order[-1] == "low"


async def test_jobs_with_tags_run_in_the_background_of_their_own_process_too() -> None:
    from stoker import Stoker

    app = Stoker(settings={"workers.mode": "async", "blocking_enqueue": "allow"})

    @app.job(tags=["gpu"])
    async def double(n: int) -> int:
        return 2 * n

    with app:
        assert double.enqueue(21).result(timeout=10) == 42
