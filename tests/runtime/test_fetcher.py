"""How a worker asks for jobs: for every queue, and again as long as one may have more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from stoker.runtime.loop import sleep
from tests.rigs.worker import Rig


async def test_a_backlog_in_one_queue_is_worked_off_without_a_pause_although_another_is_empty(rig: Rig) -> None:
    performed: list[int] = []

    @rig.app.job(queue="mail")
    async def mail(n: int) -> None:
        performed.append(n)

    rig.app.enqueue_many([mail.draft(n) for n in range(20)])
    async with rig.working(queues=("default", "mail"), concurrency=4):
        await rig.settle_down()
        assert len(performed) == 20


async def test_slots_that_come_free_are_filled_although_the_queue_of_another_pool_is_empty(rig: Rig) -> None:
    performed: list[int] = []

    @rig.app.job
    async def slow(n: int) -> None:
        await sleep(rig.clock, 0.05)
        performed.append(n)

    @rig.app.job(queue="mail")
    async def mail() -> None: ...

    rig.app.enqueue_many([slow.draft(n) for n in range(100)])
    async with rig.working(queues=("default", "mail:1"), concurrency=2):
        await rig.pass_time(0.5, step=0.01)
        assert len(performed) >= 16


async def test_a_thousand_empty_queues_are_asked_once_each_before_a_sleep(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, asked = rig.store.claim, Counter[str]()

    def counted(demand: Mapping[str, int], *rest: Any) -> Any:
        asked.update(demand)
        return claim(demand, *rest)

    @rig.app.job
    async def note() -> None: ...

    monkeypatch.setattr(rig.store, "claim", counted)
    async with rig.working(queues=tuple(f"q{n}" for n in range(1000)), concurrency=10):
        for _ in range(10):
            await rig.settle_down()
        assert set(asked.values()) == {1}
        assert len(asked) == 1000
